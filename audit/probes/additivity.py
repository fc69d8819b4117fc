"""Is the clipped sum a sum? S(A ∪ B) + S(∅) = S(A) + S(B) for a sum of terms that each know one record."""

from __future__ import annotations

from contextlib import suppress

from torch import Tensor

from audit.probes.answers import answer
from audit.probes.bench import Bench, Sum
from audit.probes.neighbours import batch_sizes
from audit.probes.step import Example
from audit.probes.watch import StepError
from audit.types import ProbeAnswer, ProbeStatus

# Rounding leaves about 1e-5 of C per record; coupling through a mean, a weight or a median leaves 1e-2 and more.
TOLERANCE = 1e-3


def additivity(bench: Bench) -> ProbeAnswer:
    """The largest ‖S(A ∪ B) + S(∅) − S(A) − S(B)‖ / C over the splits tried.

    Finds coupling (a mean over the batch's tokens, class weights, batch statistics) that the clip norm hides: where
    rows of others shrink or turn, the sum may stay within C for the neighbours tried, yet it is no sum of records.
    """
    before, gaps, empty = bench.trials, dict[str, float](), bench.empty_sum()
    for name, scale, left, right in _splits(bench):
        with suppress(StepError):
            parts = bench.sum_of(left, scale=scale), bench.sum_of(right, scale=scale)
            whole = bench.sum_of([*left, *right], scale=scale)
            gaps[name] = _added(whole, empty).gap(_added(*parts)) / (len(left) + len(right)) ** 0.5
    worst = max(gaps, key=lambda name: gaps[name])
    violated = gaps[worst] > TOLERANCE
    return answer(
        "additivity",
        ProbeStatus.VIOLATED if violated else ProbeStatus.HOLDS,
        "The clipped sum of a batch is not the sum of what its records give alone: they reach each other's gradients. "
        "DP-SGD's bound on one record is about a sum of records."
        if violated
        else "The clipped sum of a batch is the sum of its parts, up to rounding.",
        statistic="largest ‖S(A ∪ B) + S(∅) − S(A) − S(B)‖ / (C √|A ∪ B|)",
        value=gaps[worst],
        bound=TOLERANCE,
        trials=bench.trials - before,
        witness=worst,
    )


def _splits(bench: Bench) -> list[tuple[str, float, list[Example], list[Example]]]:
    """Name, scale, A, B: halves and a single record against the rest, ordinary and with each hard record in B."""
    found = []
    for scale in bench.plan.scales:
        sizes = batch_sizes(bench.loop, bench.plan.hard_sizes)
        for size in sizes if scale == 1 else sizes[:1]:
            batch = bench.batch(size, scale)
            at = f"batch of {size}" + (f", all parameters ×{scale:g}" if scale != 1 else "")
            found += [
                (f"{at}, halves", scale, batch[: size // 2], batch[size // 2 :]),
                (f"{at}, the last record against the rest", scale, batch[:-1], batch[-1:]),
            ]
    size = sizes[0]
    rest = bench.batch(size)[:-1]
    return found + [(f"batch of {size}, {name} against the rest", 1.0, rest, [e]) for name, e in bench.hard.items()]


def _added(one: Sum, other: Sum) -> Sum:
    mechanisms: dict[str, dict[str, Tensor]] = {}
    for name in {**one.by_mechanism, **other.by_mechanism}:
        left, right = one.by_mechanism.get(name, {}), other.by_mechanism.get(name, {})
        mechanisms[name] = {
            key: left[key] + right[key] if key in left and key in right else left.get(key, right.get(key))  # type: ignore[misc]
            for key in {**left, **right}
        }
    return Sum(mechanisms, {**other.clip_norms, **one.clip_norms})
