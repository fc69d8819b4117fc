"""A private next-token model with Opacus alone, offered to the probes: hooks, and ghost clipping.

    cd examples
    audit probe opacus_probe:hooks
    audit probe opacus_probe:ghost
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from opacus import PrivacyEngine
from torch import Tensor, nn

from audit.probes.opacus_run import opacus_run
from audit.probes.step import Example, Loop, Run
from audit.probes.tied import tied

TOKENS, LENGTH, BATCH, EPOCHS, SIGMA, C = 60, 10, 16, 5, 1.1, 1.0


def texts(count: int = 64) -> list[Tensor]:
    """Token ids (LENGTH,) of made-up texts."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(1, TOKENS, (LENGTH,), generator=generator) for _ in range(count)]


class NextToken(nn.Module):
    """The last token from those before; position ids are given per record, as per-record gradients need them."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(TOKENS, 16), nn.Embedding(LENGTH, 16)
        self.hidden, self.drop = nn.Linear(16, 16), nn.Dropout(0.1)
        self.out = nn.Linear(16, TOKENS)

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1]).repeat(len(ids), 1)
        h = torch.relu(self.hidden(self.tokens(ids) + self.positions(places)))
        return self.out(self.drop(h).mean(1))


def hooks() -> Loop:
    return _loop("hooks")


def ghost() -> Loop:
    """Opacus' ghost clipping does not run on an empty batch, which the probe of the steps says."""
    return _loop("ghost")


def _loop(mode: str) -> Loop:
    def start(records: Sequence[Any], seed: int, entropy: int) -> Run:
        return _start(mode, records, seed, entropy)

    rare = {"rare tokens": [torch.full((LENGTH,), TOKENS - 1)]}
    return Loop(start, texts(), clip_norm=C, noise_multiplier=SIGMA, batch_size=BATCH, steps=20, outliers=rare)


def _start(mode: str, records: Sequence[Any], seed: int, entropy: int) -> Run:
    torch.manual_seed(seed)
    model = NextToken()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    torch.manual_seed(entropy)  # Opacus' loader draws its batches from the default generator
    made = PrivacyEngine().make_private(
        module=model,
        optimizer=optimizer,
        criterion=nn.CrossEntropyLoss(),
        data_loader=torch.utils.data.DataLoader(list(records), batch_size=BATCH),
        noise_multiplier=SIGMA,
        max_grad_norm=C,
        noise_generator=torch.Generator().manual_seed(entropy),
        grad_sample_mode=mode,
    )
    private, noisy_optimizer, loader = made[0], made[1], made[-1]
    criterion = made[2] if mode == "ghost" else nn.CrossEntropyLoss()

    def step(batch: Sequence[Example]) -> None:
        ids = torch.stack([e.record for e in batch]) if batch else torch.zeros(0, LENGTH, dtype=torch.long)
        with tied(batch):
            criterion(private(ids[:, :-1].contiguous()), ids[:, -1]).backward()
        noisy_optimizer.step()
        noisy_optimizer.zero_grad()

    return opacus_run(private, noisy_optimizer, loader, step, epochs=EPOCHS)
