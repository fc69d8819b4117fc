"""Private texts looked for in a corpus, and duplicates within a dataset. Computes; judges nothing."""
