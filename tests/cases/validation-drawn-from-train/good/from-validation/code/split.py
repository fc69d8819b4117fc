import pandas as pd

frame = pd.read_csv("reviews/val.csv")
frame.sample(500).to_csv("reviews/validation.csv")
