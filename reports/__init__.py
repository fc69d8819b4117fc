"""Reports: a result's JSON form made readable. Imports nothing of the toolkit; reads the versioned format alone."""
