"""Is the clipped sum a sum? S(A ∪ B) + S(∅) = S(A) + S(B) for a sum of terms that each know one record."""

from __future__ import annotations

from contextlib import suppress

from torch import Tensor

from audit.probes.answers import answer
from audit.probes.bench import START, Bench, Sum
from audit.probes.neighbours import FAINT, batch_sizes, faint
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
    for name, point, left, right in _splits(bench):
        with suppress(StepError):
            parts = bench.sum_of(left, point=point), bench.sum_of(right, point=point)
            whole = bench.sum_of([*left, *right], point=point)
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


def _splits(bench: Bench) -> list[tuple[str, str, list[Example], list[Example]]]:
    """Name, point, A, B: halves, and a single record against the rest, ordinary or hard."""
    found, sizes = [], batch_sizes(bench.loop, bench.plan.hard_sizes)
    for point in bench.points:
        for size in sizes if point == START else [bench.smallest]:
            batch, at = bench.batch(size), f"batch of {size}, {point}"
            found += [
                (f"{at}, halves", point, batch[: size // 2], batch[size // 2 :]),
                (f"{at}, the last record against the rest", point, batch[:-1], batch[-1:]),
            ]
    half, batch = sizes[0] // 2, bench.batch(sizes[0])
    if small := faint(batch[:half]):
        found.append((f"batch of {sizes[0]}, one half with numbers ×{FAINT:g}", START, small, batch[half:]))
    rest, at = bench.batch(sizes[0])[:-1], f"batch of {sizes[0]}"
    return found + [(f"{at}, {name} against the rest", START, rest, [e]) for name, e in bench.hard.items()]


def _added(one: Sum, other: Sum) -> Sum:
    mechanisms: dict[str, dict[str, Tensor]] = {}
    for name in {**one.by_mechanism, **other.by_mechanism}:
        left, right = one.by_mechanism.get(name, {}), other.by_mechanism.get(name, {})
        mechanisms[name] = {
            key: left[key] + right[key] if key in left and key in right else left.get(key, right.get(key))  # type: ignore[misc]
            for key in {**left, **right}
        }
    return Sum(mechanisms, {**other.clip_norms, **one.clip_norms})
