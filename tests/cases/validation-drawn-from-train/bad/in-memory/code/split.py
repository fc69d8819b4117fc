val_rows = train_rows[:100]
fit(train_rows, val_rows)
