"""How far one record moves the clipped sum: one record more or less, one replaced, one alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from audit.probes.answers import answer
from audit.probes.bench import OTHER, OWN, REMOVED, START, Bench, Neighbours
from audit.probes.neighbours import batch_sizes
from audit.probes.plan import ROUNDING
from audit.probes.watch import StepError
from audit.types import ProbeAnswer, ProbeStatus

COARSE = 0.05  # more than bf16, with its eight bits, rounds a norm up by
MEASURED = list[tuple[Neighbours, float]]
HOW = {1.0: "one record removed", 2.0: "one record replaced"}  # how far it may move the sum, in C
KINDS = {  # figure -> is the record ordinary, and the bound of that kind of neighbours
    "ordinary record removed": (True, 1.0),
    "ordinary record replaced": (True, 2.0),
    "hard record removed": (False, 1.0),
    "hard record put in": (False, 2.0),
}


def sensitivity(bench: Bench) -> ProbeAnswer:
    """The largest ‖S(D) − S(D′)‖ / C over the neighbours tried, and the neighbours that gave it.

    A removal may move S by C, a replacement by 2 C (the triangle inequality through the removal); with
    replace-one accounting only replacements are neighbours.
    """
    before = bench.trials
    measured, refused = _measure(bench)
    worst, value = max(measured, key=lambda pair: (pair[1] / pair[0].bound, -pair[0].bound))
    violated = value > worst.bound * (1 + ROUNDING)
    taken = " That the numbers in records are finite and of ordinary size is taken from the loop."
    assumed = taken if bench.loop.records_checked else ""
    turned_away = f" Refused by the step: {', '.join(refused)}." if refused else ""
    return answer(
        "sensitivity",
        ProbeStatus.VIOLATED if violated else ProbeStatus.HOLDS,
        _summary(measured, worst, value, violated=violated) + assumed + turned_away,
        statistic=f"largest ‖S(D) − S(D′)‖ / C found ({HOW[worst.bound]})",
        value=value,
        bound=worst.bound,
        figures=dict(_figures(measured)),
        trials=bench.trials - before,
        witness=str(worst),
    )


def _measure(bench: Bench) -> tuple[MEASURED, list[str]]:
    """Every pair that the loop takes with its ratio, and the hard records that it refuses."""
    measured: MEASURED = []
    refused: dict[str, None] = {}
    for neighbours in _tried(bench):
        if {neighbours.one, neighbours.other} & set(refused):
            continue
        try:
            measured.append((neighbours, bench.ratio(neighbours)))
        except StepError:
            if neighbours.is_ordinary:
                raise
            refused[neighbours.one] = None
    return measured, list(refused)


def _tried(bench: Bench) -> Iterator[Neighbours]:
    """Ordinary records at several places, then hard ones."""
    plan, removals = bench.plan, bench.loop.neighboring_relation != "replace-one"
    hard_sizes = batch_sizes(bench.loop, plan.hard_sizes)
    for point in bench.points:
        for size in batch_sizes(bench.loop, plan.sizes) if point == START else [bench.smallest]:
            places = np.random.default_rng(bench.batch_seed(size)).permutation(size)[: plan.places]
            for place in map(int, places):
                if removals:
                    yield Neighbours(size, place, OWN, REMOVED, point)
                yield Neighbours(size, place, OWN, OTHER, point)
            for name in bench.hard if size in hard_sizes else ():
                if removals:
                    yield Neighbours(size, int(places[0]), name, REMOVED, point)
                yield Neighbours(size, int(places[0]), name, OWN, point)


def _figures(measured: MEASURED) -> Iterator[tuple[str, float]]:
    """The largest ratio of each kind of neighbours."""
    for name, (ordinary, bound) in KINDS.items():
        ratios = [ratio for n, ratio in measured if n.is_ordinary is ordinary and n.bound == bound]
        if ratios:
            yield name, max(ratios)


def _summary(measured: MEASURED, worst: Neighbours, value: float, *, violated: bool) -> str:
    if not violated:
        return f"No neighbour tried moved the clipped sum past its bound: {'; '.join(_most(measured))}."
    ordinary = [ratio for n, ratio in measured if n.is_ordinary and n.bound == worst.bound]
    usual = f" Ordinary records move it by up to {max(ordinary):.5g} C." if ordinary and not worst.is_ordinary else ""
    moved = "without bound (the sum is no longer finite)" if np.isinf(value) else f"by {value:.5g} C"
    how = "scaled for C" if worst.bound == 1 else "scaled for 2 C when a record is replaced"
    worst_case = "A guarantee is about the worst case."
    return f"One record moves the clipped sum {moved}, where the noise is {how}.{usual} {worst_case}"


def _most(measured: MEASURED) -> Iterator[str]:
    """How far the records removed, and those replaced, moved the sum, each beside the bound that is its own."""
    for bound, how in HOW.items():
        ratios = [ratio for n, ratio in measured if n.bound == bound]
        if ratios:
            yield f"{how} moved it by up to {max(ratios):.4g} C, where {_times(bound)} is allowed"


def _times(bound: float) -> str:
    return "C" if bound == 1 else f"{bound:g} C"


def precision(bench: Bench) -> ProbeAnswer:
    """The largest ‖S({j}) − S(∅)‖ / C: the norm of one clipped gradient, where rounding shows best.

    Clipping in low precision without a margin overshoots C by less than 1 %, which a loose tolerance misses.
    """
    before, ratios, empty = bench.trials, dict[str, float](), bench.empty_sum()
    singles = {f"record {n}": e for n, e in enumerate(bench.batch(min(bench.plan.singles, len(bench.loop.records))))}
    for name, example in {**singles, **bench.hard}.items():
        with suppress(StepError):  # a record that the step refuses moves nothing
            ratios[name] = bench.sum_of([example]).gap(empty)
    worst = max(ratios, key=lambda name: ratios[name])
    violated = ratios[worst] > 1 + ROUNDING
    return answer(
        "precision",
        ProbeStatus.VIOLATED if violated else ProbeStatus.HOLDS,
        f"The clipped gradient of one record has a norm of up to {ratios[worst]:.5g} C."
        + (f" {_cure(ratios[worst])}" if violated else ""),
        statistic="largest ‖S({j}) − S(∅)‖ / C",
        value=ratios[worst],
        bound=1.0,
        trials=bench.trials - before,
        witness=f"a batch of one: {worst}",
    )


def _cure(ratio: float) -> str:
    if ratio < 1 + COARSE:
        return "Clip to a norm below C by the rounding error, or in float32."
    return "No rounding does that: it is not clipped to C, or not over all its tensors together."
