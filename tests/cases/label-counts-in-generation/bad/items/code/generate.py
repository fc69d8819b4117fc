import pandas as pd

counts = pd.read_csv("train.csv")["label"].value_counts()
for label, number in counts.items():
    texts = model.generate(prompt(label), num_return_sequences=number)
