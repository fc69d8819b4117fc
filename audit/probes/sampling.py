"""Are batches drawn as the accountant was told?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from audit.probes.answers import answer, not_judged
from audit.probes.bench import PUBLIC_SEED, Bench
from audit.probes.watch import Session
from audit.types import ProbeAnswer, ProbeStatus, Sampler, Severity

Drawn = list[list[list[int]]]  # runs × steps × indices
MOST_RUNS = 40
Test = tuple[str, float]
COVERED = {Sampler.DETERMINISTIC: {Sampler.SHUFFLE_ONCE, Sampler.SHUFFLE_EACH_EPOCH}}


def sampling(bench: Bench) -> ProbeAnswer:
    """The sampler recognised in the batches that the loop draws, and its fit to Poisson(q) where that was accounted.

    Under Poisson sampling every record enters every step by its own coin of probability q: batch sizes and the counts
    of each record are binomial, and batches in a row share q²N records on average. χ² on each, two-sided: batches of
    one size and records seen once an epoch have no spread at all.
    """
    if not bench.has_batches:
        return not_judged("sampling", "The run offers no `batches`; let it yield the indices that its sampler draws.")
    runs = _drawn(bench)
    batches = [batch for run in runs for batch in run]
    if not any(batches):
        return not_judged("sampling", "The run's sampler drew no record in the batches looked at.")
    accounted, found = Sampler(bench.loop.sampler), recognised(runs, len(bench.loop.records))
    tests = list(_poisson(runs, bench)) if Sampler.POISSON in (accounted, found) else []
    level = bench.plan.level("sampling", len(tests))
    failed = [test for test in tests if test[1] < level] if accounted is Sampler.POISSON else []
    other = found is not accounted and found not in COVERED.get(accounted, ())
    repeated = any(len(set(batch)) < len(batch) for batch in batches)
    told = [f"they look {found.value} and were accounted as {accounted.value}"] * other
    told += [what for what, _ in failed] + ["a record comes twice in one batch"] * repeated
    sizes = [len(batch) for batch in batches]
    return answer(
        "sampling",
        ProbeStatus.VIOLATED if told else ProbeStatus.HOLDS,
        f"Batches are not drawn as accounted: {'; '.join(told)}."
        if told
        else f"Batches look {found.value}, as accounted.",
        statistic="mean batch size / (q N)",
        value=float(np.mean(sizes)) / (probability(bench) * len(bench.loop.records)),
        bound=1.0,
        severity=Severity.HIGH,
        figures={"smallest batch": float(min(sizes)), "largest batch": float(max(sizes))},
        trials=len(batches),
        confidence=f"{len(tests)} tests, each at level {level:.1g}" if tests else "the pattern of sizes and repeats",
        witness="; ".join(f"{what} (p = {p:.1g})" for what, p in failed)[:600] or None,
    )


def probability(bench: Bench) -> float:
    loop = bench.loop
    return loop.sampling_probability or min(1.0, loop.batch_size / len(loop.records))


def _drawn(bench: Bench) -> Drawn:
    """Whole runs (each to its end, or to the batches wanted), with entropy of their own, until enough are seen."""
    wanted, runs = bench.plan.batches, list[list[list[int]]]()
    while sum(map(len, runs)) < wanted and len(runs) < MOST_RUNS:
        entropy = bench.plan.seed * 1009 + 5000 + len(runs)
        run = Session(bench.loop, seed=PUBLIC_SEED + len(runs), entropy=entropy).run
        assert run.batches is not None
        runs.append([list(batch) for batch, _ in zip(run.batches(), range(wanted), strict=False)])
    return runs


def recognised(runs: Drawn, records: int) -> Sampler:
    """Each record once an epoch: shuffled or in one order; else batches of one size, drawn anew; else Poisson."""
    longest, sizes = max(runs, key=len), {len(batch) for run in runs for batch in run}
    epoch = -(-records // max(sizes))
    if len(longest) < epoch or not all(_covers_epochs(run, records, max(sizes)) for run in runs if len(run) >= epoch):
        return Sampler.FIXED_SIZE if len(sizes) == 1 and len(longest) > 1 else Sampler.POISSON
    if len(runs) > 1 and all(run[:epoch] == runs[0][:epoch] for run in runs):
        return Sampler.DETERMINISTIC
    again = [sorted(batch) for batch in longest[epoch : 2 * epoch]]
    once = len(again) == epoch and again == [sorted(batch) for batch in longest[:epoch]]
    return Sampler.SHUFFLE_ONCE if once else Sampler.SHUFFLE_EACH_EPOCH


def _covers_epochs(run: Sequence[Sequence[int]], records: int, size: int) -> bool:
    """Does every whole epoch of batches hold each record at most once, and (but a dropped last batch) all of them?"""
    for length in {max(1, records // size), -(-records // size)}:
        starts = range(0, len(run) - length + 1, length)
        if all(_once(run[start : start + length], records, size) for start in starts):
            return True
    return False


def _once(epoch: Sequence[Sequence[int]], records: int, size: int) -> bool:
    indices = [i for batch in epoch for i in batch]
    return len(set(indices)) == len(indices) and len(indices) > records - size


def _poisson(runs: Drawn, bench: Bench) -> Iterator[Test]:
    q, n = probability(bench), len(bench.loop.records)
    batches = [batch for run in runs for batch in run]
    counts = np.bincount([i for batch in batches for i in batch], minlength=n)
    sizes = np.array([len(batch) for batch in batches])
    total = int(sizes.sum())
    mean = _two_sided(stats.binom(n * len(batches), q), total)
    yield f"their mean size is {sizes.mean():.4g}, not q N = {q * n:.4g}", mean
    yield "the spread of their sizes is not binomial", _dispersion(sizes, n, q)
    yield "the spread of how often each record comes is not binomial", _dispersion(counts, len(batches), q)
    shared = [len(set(a) & set(b)) for run in runs for a, b in pairwise(run)]
    if shared:
        yield "batches in a row do not share q² N records", _two_sided(stats.binom(n * len(shared), q * q), sum(shared))


def _dispersion(counts: NDArray[np.int64], n: int, q: float) -> float:
    """Two-sided p-value of Σ (X − nq)² / (nq(1−q)) for independent binomials, by a gamma law with its two moments."""
    if q >= 1:
        return 1.0
    variance = n * q * (1 - q)
    statistic = float(((counts - n * q) ** 2).sum() / variance)
    spread = len(counts) * (2 + (1 - 6 * q * (1 - q)) / variance)
    return _two_sided(stats.gamma(len(counts) ** 2 / spread, scale=spread / len(counts)), statistic)


def _two_sided(law: Any, value: float) -> float:
    return float(min(1.0, 2 * min(law.cdf(value), law.sf(value - 1e-9))))
