import pandas as pd

frame = pd.read_csv("reviews/train.csv")
part = frame.sample(500)
part = part.reset_index()
part.to_csv("reviews/val.csv")
