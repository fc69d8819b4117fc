"""A small private loop whose every part can be swapped for a broken one, for tests of the probes.

Two layers on sequences of token ids with a float weight per record; per-record gradients by torch.func, no Opacus.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from audit.probes.step import Example, Loop, Run, Tap

C, SIGMA, B, N, STEPS, TOKENS, LENGTH = 0.5, 1.3, 12, 48, 16, 20, 6
Named = dict[str, Tensor]


def records(count: int = N) -> list[tuple[Tensor, float]]:
    """(ids, loss weight), all from a fixed seed."""
    generator = torch.Generator().manual_seed(1)
    return [(torch.randint(1, TOKENS, (LENGTH,), generator=generator), 1.0) for _ in range(count)]


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(TOKENS, 5)
        self.out = nn.Linear(5, TOKENS)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(torch.tanh(self.table(ids)).mean(-2))


def loss(model: nn.Module, parameters: Named, ids: Tensor, weight: Tensor) -> Tensor:
    logits = functional_call(model, parameters, (ids[:-1],))
    return weight * nn.functional.cross_entropy(logits, ids[-1])


def per_record(model: nn.Module, batch: Sequence[Example]) -> Named:
    """{name: (b, ...)}: each record's gradient."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    if not batch:
        return {name: torch.zeros((0, *p.shape)) for name, p in parameters.items()}
    ids = torch.stack([e.record[0] for e in batch])
    weights = torch.tensor([e.record[1] for e in batch])
    one = grad(lambda p, i, w: loss(model, p, i, w))
    return vmap(one, in_dims=(None, 0, 0))(parameters, ids, weights)


def norms(gradients: Named) -> Tensor:
    return torch.stack([g.flatten(1).square().sum(1) for g in gradients.values()]).sum(0).sqrt()


def clipped_sum(run: SimpleNamespace, batch: Sequence[Example]) -> Named:
    """Records whose gradient is not finite are left out."""
    gradients = per_record(run.model, batch)
    size = norms(gradients)
    factor = torch.where(size.isfinite(), (C / (size + 1e-9)).clamp(max=1), 0)
    return {
        name: torch.einsum("b,b...->...", factor, g.nan_to_num(0, 0, 0)) for name, g in gradients.items()
    }


def add_noise(run: SimpleNamespace, clipped: Named) -> Named:
    return {n: t + SIGMA * C * torch.randn(t.shape, generator=run.noise) for n, t in clipped.items()}


def update(run: SimpleNamespace, shown: Named, batch: Sequence[Example]) -> None:
    for name, parameter in run.model.named_parameters():
        parameter.grad = shown[name] / B
    run.optimizer.step()


def poisson(run: SimpleNamespace) -> Iterator[list[int]]:
    for _ in range(STEPS):
        yield (torch.rand(len(run.records), generator=run.coins) < B / N).nonzero()[:, 0].tolist()


@dataclass(frozen=True)
class Parts:
    """What a run is made of. Each takes the run's namespace: model, optimizer, noise, coins, records, memory."""

    clipped_sum: Callable[..., Named] = clipped_sum
    add_noise: Callable[..., Named] = add_noise
    update: Callable[..., None] = update
    batches: Callable[[SimpleNamespace], Iterator[Sequence[int]]] | None = poisson
    step: Callable[[SimpleNamespace, Parts, Sequence[Example], Tap], None] | None = None
    noise_seed: Callable[[int, int], int] = lambda seed, entropy: entropy
    coin_seed: Callable[[int, int], int] = lambda seed, entropy: entropy + 1
    released: Callable[[SimpleNamespace], dict[str, Any]] = lambda run: {}


def ordinary_step(run: SimpleNamespace, parts: Parts, batch: Sequence[Example], tap: Tap) -> None:
    clipped = parts.clipped_sum(run, batch)
    parts.update(run, tap(clipped, parts.add_noise(run, clipped)), batch)


def loop(parts: Parts | None = None, *, pool: list[Any] | None = None, **told: Any) -> Loop:
    """The sound loop, or one with other parts; `told` changes what the accountant is said to know."""
    made = parts or Parts()

    def start(data: Sequence[Any], seed: int, entropy: int) -> Run:
        torch.manual_seed(seed)
        model = Net()
        run = SimpleNamespace(
            model=model,
            optimizer=torch.optim.Adam(model.parameters(), lr=0.01),
            noise=torch.Generator().manual_seed(made.noise_seed(seed, entropy)),
            coins=torch.Generator().manual_seed(made.coin_seed(seed, entropy)),
            records=data,
            memory=[],
        )
        step = made.step or ordinary_step
        batches = made.batches
        return Run(
            model,
            lambda batch, tap: step(run, made, batch, tap),
            (lambda: batches(run)) if batches else None,
            lambda: made.released(run),
        )

    whole = Loop(start, pool or records(), clip_norm=C, noise_multiplier=SIGMA, batch_size=B, steps=STEPS)
    return replace(whole, **told)
