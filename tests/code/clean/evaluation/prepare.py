"""Validation records are drawn first and taken out of the training file."""

import pandas as pd
from sklearn.model_selection import train_test_split

frame = pd.read_json("data/all.jsonl", lines=True)
train, rest = train_test_split(frame, test_size=0.2, random_state=1)
validation, test = rest.iloc[:1000], rest.iloc[1000:]
train.to_json("data/train.jsonl", orient="records", lines=True)
validation.to_json("data/validation.jsonl", orient="records", lines=True)
print(train["label"].value_counts())
