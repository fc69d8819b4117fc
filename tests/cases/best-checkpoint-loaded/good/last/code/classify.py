args = TrainingArguments("out", load_best_model_at_end=True)
