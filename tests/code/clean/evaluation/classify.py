"""A classifier on synthetic texts: not private, so seeds, shuffling and the best checkpoint are as usual."""

import json

from torch.utils.data import DataLoader, RandomSampler
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments, set_seed


def main(model, train_data, test_data):
    set_seed(42)
    arguments = TrainingArguments("out", load_best_model_at_end=True, metric_for_best_model="accuracy")
    loader = DataLoader(train_data, sampler=RandomSampler(train_data), drop_last=True)
    trainer = Trainer(model, arguments, callbacks=[EarlyStoppingCallback(3)], train_dataset=train_data)
    result = trainer.train()
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    with open("losses.json", "w", encoding="utf-8") as file:
        json.dump(losses, file)
    return trainer.evaluate(test_data), result, loader
