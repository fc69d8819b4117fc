"""The published downstream test: a pretrained encoder fine-tuned on synthetic texts, tested on real ones.

Protocol of arXiv 2410.22971: 256 tokens, batches of 8, AdamW at a constant 2e-5, 5 epochs, the last epoch is tested.
The order of the texts is shuffled anew each epoch, which the sources read do not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from reimpl.data import Record


class ClassifierError(ValueError):
    """A classifier that cannot be used: one line that says what was expected."""


@dataclass(frozen=True)
class Protocol:
    name: str  # a folder or hub name with safetensors weights
    length: int = 256
    batch_size: int = 8
    learning_rate: float = 2e-5
    epochs: int = 5


def fine_tuned(
    protocol: Protocol, train: Sequence[Record], test: Sequence[Record], classes: int, seed: int
) -> list[int]:
    """Predicted labels of test. The seed draws the new head, the dropout and the order."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            tokenizer = AutoTokenizer.from_pretrained(protocol.name)
            how = {"num_labels": classes, "use_safetensors": True, "dtype": torch.float32}
            model = AutoModelForSequenceClassification.from_pretrained(protocol.name, **how)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ClassifierError(f"classifier {protocol.name!r}: expected an encoder: {reason}") from None
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model.to(device)

        def inputs(records: Sequence[Record]) -> dict[str, torch.Tensor]:
            texts = [record.text for record in records]
            rows = tokenizer(texts, truncation=True, max_length=protocol.length, padding=True, return_tensors="pt")
            return {name: tensor.to(device) for name, tensor in rows.items()}

        optimizer = torch.optim.AdamW(model.parameters(), lr=protocol.learning_rate)
        model.train()
        for _ in range(protocol.epochs):
            for rows in torch.randperm(len(train)).split(protocol.batch_size):
                batch = [train[row] for row in rows.tolist()]
                labels = torch.tensor([record.label for record in batch], device=device)
                optimizer.zero_grad()
                F.cross_entropy(model(**inputs(batch)).logits, labels).backward()
                optimizer.step()
        model.eval()
        with torch.inference_mode():
            parts = [test[start : start + 64] for start in range(0, len(test), 64)]
            return [int(label) for part in parts for label in model(**inputs(part)).logits.argmax(-1)]
