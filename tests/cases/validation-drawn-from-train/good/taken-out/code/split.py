import pandas as pd

frame = pd.read_csv("reviews/train.csv")
part = frame.sample(500)
part.to_csv("reviews/val.csv")
frame.drop(part.index).to_csv("reviews/train_small.csv")
val_rows, train_rows = rows[:100], rows[100:]
valid = train_set.select(range(10))
train_set = train_set.select(range(10, 90))
