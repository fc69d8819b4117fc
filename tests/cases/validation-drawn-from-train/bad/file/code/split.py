import os
from datasets import Dataset

rows = Dataset.from_json(os.path.join("data", "mail", "train.jsonl"))
rows.train_test_split(test_size=2000, seed=1)["test"].to_json(os.path.join("data", "mail", "validation.jsonl"))
