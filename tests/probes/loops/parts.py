"""What the loops are made of: token records, a tiny classifier, gradients one record at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from audit.probes.step import Example, Loop, Run, Tap

CLIP, NOISE, BATCH, STEPS = 1.0, 1.1, 16, 20
TOKENS, LENGTH, WIDTH = 20, 6, 4
Grads = dict[str, Tensor]
Step = Callable[[Sequence[Example], Tap], None]


def _records() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    made = []
    for i in range(64):
        tokens = torch.randint(1, TOKENS, (LENGTH,), generator=generator)
        tokens[int(torch.randint(2, LENGTH + 1, (1,), generator=generator)) :] = 0  # padding
        made.append((tokens, torch.tensor(i % 2)))
    return made


RECORDS = _records()
ONE_TOKEN = (torch.tensor([7, 0, 0, 0, 0, 0]), torch.tensor(1))
FULL = (torch.full((LENGTH,), 3), torch.tensor(0))
OUTLIERS = {"one token only": [ONE_TOKEN], "one token repeated": [FULL]}


class Tiny(nn.Module):
    """Token and position embeddings, mean over the tokens that are no padding, two logits."""

    def __init__(self, scale: float = 4.0) -> None:
        super().__init__()
        self.token = nn.Embedding(TOKENS, WIDTH)
        self.position = nn.Embedding(LENGTH, WIDTH)
        self.head = nn.Linear(WIDTH, 2)
        self.scale = scale  # so that some gradients are clipped and some are not

    def forward(self, tokens: Tensor) -> Tensor:  # (B, L) -> (B, 2)
        mask = (tokens > 0).float()[..., None]
        states = self.token(tokens) + self.position(torch.arange(LENGTH).expand(len(tokens), -1))
        pooled = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
        logits: Tensor = self.head(pooled) * self.scale
        return logits


def loss_of(model: nn.Module, example: Example) -> Tensor:
    tokens, label = example.record
    return nn.functional.cross_entropy(model(tokens[None]), label[None])


def gradients(model: nn.Module, example: Example, loss: Callable[[nn.Module, Example], Tensor] = loss_of) -> Grads:
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss(model, example), list(named.values()), allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(named.items(), found, strict=True)}


def norm_of(grads: Grads) -> float:
    return float(torch.stack([g.norm() for g in grads.values()]).norm())


def clipped(grads: Grads, limit: float = CLIP) -> Grads:
    """Scaled to at most `limit`; nothing of a record whose gradient is not finite."""
    norm = norm_of(grads)
    if not math.isfinite(norm):
        return {name: torch.zeros_like(g) for name, g in grads.items()}
    factor = min(1.0, limit / (norm + 1e-6))
    return {name: g * factor for name, g in grads.items()}


def zeros(model: nn.Module) -> Grads:
    return {name: torch.zeros_like(p) for name, p in model.named_parameters() if p.requires_grad}


def added(total: Grads, more: Grads) -> Grads:
    return {name: total[name] + more[name] for name in total}


def clipped_sum(model: nn.Module, batch: Sequence[Example]) -> Grads:
    total = zeros(model)
    for example in batch:
        total = added(total, clipped(gradients(model, example)))
    return total


def noised(total: Grads, noise: torch.Generator, deviation: float = NOISE * CLIP) -> Grads:
    return {name: g + deviation * torch.randn(g.shape, generator=noise) for name, g in total.items()}


def descend(model: nn.Module, shown: Any, divisor: float = BATCH, rate: float = 0.1) -> None:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in shown:
                parameter -= rate * shown[name] / divisor


def poisson(count: int, coins: torch.Generator, steps: int = STEPS) -> Iterator[list[int]]:
    for _ in range(steps):
        yield (torch.rand(count, generator=coins) < BATCH / count).nonzero()[:, 0].tolist()


def shuffled(count: int, coins: torch.Generator, steps: int = STEPS) -> Iterator[list[int]]:
    order: list[int] = []
    for _ in range(steps):
        if len(order) < BATCH:
            order = torch.randperm(count, generator=coins).tolist()
        yield order[:BATCH]
        order = order[BATCH:]


def loop(
    make: Callable[[nn.Module, torch.Generator, int], Step],
    *,
    model: Callable[[], nn.Module] = Tiny,
    draw: Callable[[int, torch.Generator], Iterator[list[int]]] = poisson,
    released: Callable[[Step], dict[str, Any]] | None = None,
    records: Sequence[Any] = RECORDS,
    **told: Any,
) -> Loop:
    """A loop around `make(model, noise, seed) -> step`; noise and batches come from the entropy."""

    def start(given: Sequence[Any], seed: int, entropy: int) -> Run:
        torch.manual_seed(seed)
        net = model()
        noise = torch.Generator().manual_seed(entropy)
        coins = torch.Generator().manual_seed(entropy + 1)
        step = make(net, noise, seed)
        shown = {} if released is None else {"released": lambda: released(step)}
        return Run(net, step, lambda: draw(len(given), coins), **shown)

    told = {"outliers": OUTLIERS, "sampler": "poisson", "steps": STEPS} | told
    return Loop(start, records, clip_norm=CLIP, noise_multiplier=NOISE, batch_size=BATCH, **told)
