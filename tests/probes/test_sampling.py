"""Samplers are recognised from their batches, and Poisson ones are not doubted."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from audit.probes.bench import Bench
from audit.probes.plan import Plan
from audit.probes.sampling import _dispersion, recognised, sampling
from audit.types import ProbeStatus, Sampler

N, B, EPOCHS = 40, 12, 6  # 12 does not divide 40
Run = list[list[int]]


def chunks(order: list[int], *, drop_last: bool) -> Run:
    parts = [order[start : start + B] for start in range(0, N, B)]
    return [part for part in parts if len(part) == B] if drop_last else parts


def poisson(rng: np.random.Generator) -> Run:
    return [np.flatnonzero(rng.random(N) < B / N).tolist() for _ in range(20)]


def fixed(rng: np.random.Generator) -> Run:
    return [rng.permutation(N)[:B].tolist() for _ in range(20)]


def each_epoch(rng: np.random.Generator, *, drop_last: bool = False) -> Run:
    return [batch for _ in range(EPOCHS) for batch in chunks(rng.permutation(N).tolist(), drop_last=drop_last)]


def once(rng: np.random.Generator) -> Run:
    return EPOCHS * chunks(rng.permutation(N).tolist(), drop_last=False)


def in_order(rng: np.random.Generator) -> Run:
    return EPOCHS * chunks(list(range(N)), drop_last=False)


@pytest.mark.parametrize(
    ("draw", "sampler"),
    [
        (poisson, Sampler.POISSON),
        (fixed, Sampler.FIXED_SIZE),
        (each_epoch, Sampler.SHUFFLE_EACH_EPOCH),
        (lambda rng: each_epoch(rng, drop_last=True), Sampler.SHUFFLE_EACH_EPOCH),
        (once, Sampler.SHUFFLE_ONCE),
        (in_order, Sampler.DETERMINISTIC),
    ],
    ids=["poisson", "fixed", "each epoch", "each epoch, last dropped", "once", "in order"],
)
def test_a_sampler_is_recognised(draw: Callable[[np.random.Generator], Run], sampler: Sampler) -> None:
    for seed in range(20):
        assert recognised([draw(np.random.default_rng([seed, run])) for run in range(3)], N) is sampler


@pytest.mark.parametrize(("n", "q", "count"), [(48, 0.25, 200), (200, 0.02, 100), (1000, 0.001, 400)])
def test_binomial_counts_are_doubted_no_more_often_than_the_level(n: int, q: float, count: int) -> None:
    rng = np.random.default_rng(5)
    flagged = sum(_dispersion(rng.binomial(n, q, count), n, q) < 0.02 for _ in range(1000))
    assert flagged <= 20 + 4 * 20**0.5


def test_counts_without_spread_are_not_binomial() -> None:
    assert _dispersion(np.full(200, 12), 48, 0.25) < 1e-12


def test_sampling_is_not_judged_without_the_loops_own_batches(tiny: ModuleType) -> None:
    answer = sampling(Bench(tiny.loop(tiny.Parts(batches=None)), Plan()))
    assert answer.status is ProbeStatus.NOT_JUDGED


def test_shuffled_batches_are_covered_by_an_accounting_for_a_fixed_order(tiny: ModuleType) -> None:
    def batches(run):  # type: ignore[no-untyped-def]
        import torch

        for _ in range(4):
            yield from torch.randperm(tiny.N, generator=run.coins).reshape(-1, tiny.B).tolist()

    answer = sampling(Bench(tiny.loop(tiny.Parts(batches=batches), sampler="deterministic"), Plan()))
    assert answer.status is ProbeStatus.HOLDS
