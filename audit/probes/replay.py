"""Two runs on neighbouring data with the noisy sums of the first frozen into the second: all else must be equal.

After Cebere et al. (arXiv 2602.17454): once the noisy sums are the same, nothing in a private training can tell which
data it ran on. What differs (parameters, buffers, sums of batches that the record is not in, clip norms, number and
kind of mechanism calls, logs, which batches come next) got there by another way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

from audit.probes.answers import answer, not_judged
from audit.probes.bench import Bench
from audit.probes.neighbours import drawn, example, is_extreme
from audit.probes.traces import Change, Difference, Trace, differences, trace
from audit.probes.watch import Call, StepError
from audit.types import ProbeAnswer, ProbeStatus

Script = Sequence[Sequence[int]]
FOUND = list[tuple[str, Difference]]
DEAF = "The update does not follow from what the tap returned: go on with `shown = tap(clipped, noisy)`."


def replay(bench: Bench) -> tuple[ProbeAnswer, ProbeAnswer]:
    """Answers of `replay` and `parameters`: what differs between the runs, and what changes without being shown."""
    before, script = bench.trials, _script(bench)
    first = trace(bench, script)
    if _is_deaf(bench, script, first):
        return not_judged("replay", DEAF), not_judged("parameters", DEAF)
    found = list(_found(bench, script, first))
    return _replayed(found, bench.trials - before), _parameters(first, found, bench.trials - before)


def _script(bench: Bench) -> Script:
    """Batches of several sizes, the changed record (the first of them) in every second one; an empty one; it alone."""
    pool, size = len(bench.loop.records), bench.loop.batch_size
    changed, *rest = drawn(bench.loop, pool, bench.plan.seed + 5)
    size = max(2, min(size, len(rest) // 2))
    left, right = rest[:size], rest[size : 2 * size]
    start = [[changed, *left[: size - 1]], right, [*left[: size // 2], changed], left, [], [changed], right, left]
    usable = [batch for batch in start if batch or bench.takes_empty]
    return [usable[number % len(usable)] for number in range(bench.plan.steps)]


def _changes(bench: Bench, index: int) -> list[Change]:
    """The record left out; replaced by another; replaced by hard ones that stay finite, the last ones named first."""
    order = drawn(bench.loop, len(bench.loop.records), bench.plan.seed + 6)
    spare = example(bench.loop, next(i for i in order if i != index), bench.plan.seed + 9)
    hard = [Change(index, f"replaced by {name}", e) for name, e in bench.hard.items() if not is_extreme(name)]
    kept = [*hard[::-1]][: bench.plan.hard_changes]
    return [Change(index, "left out of its batches"), Change(index, "replaced by another record", spare), *kept]


def _found(bench: Bench, script: Script, first: Trace) -> Iterator[tuple[str, Difference]]:
    for change in _changes(bench, script[0][0]):
        yield from _compared(bench, script, first, change)
    if bench.has_batches:
        # The loop's own run to its end (at most run_steps); the number of records stays, so a record is replaced.
        own = trace(bench, None)
        drawn_first = list(dict.fromkeys(i for batch in own.batches for i in batch)) or [0]
        for index in drawn_first[: bench.plan.own_records]:
            for change in _changes(bench, index)[1:][-bench.plan.own_changes :]:
                yield from _compared(bench, None, own, change)


def _compared(
    bench: Bench, script: Script | None, first: Trace, change: Change
) -> Iterator[tuple[str, Difference]]:
    own = "" if script else "own run, "
    with suppress(StepError):  # a record that the step refuses leads nowhere
        other = trace(bench, script, change, first)
        yield from ((f"{own}the record {change.name}", d) for d in differences(first, other, change))


def _is_deaf(bench: Bench, script: Script, first: Trace) -> bool:
    """Do parameters move, and move alike whatever the tap returns?"""
    doubled = Trace(calls=[tuple(_doubled(call) for call in calls) for calls in first.calls[:1]])
    other = trace(bench, script[:1], None, doubled)
    shown = {name for call in first.calls[0] for name in call.noisy}
    moved = [n for n in shown & set(first.states[0]) if not first.states[0][n].equal(first.states[1][n])]
    return bool(moved) and all(first.states[1][name].equal(other.states[1][name]) for name in moved)


def _doubled(call: Call) -> Call:
    return replace(call, noisy={name: 2 * tensor + 1 for name, tensor in call.noisy.items()})


def _replayed(found: FOUND, trials: int) -> ProbeAnswer:
    statistic = "kinds of difference between runs with the same noisy sums"
    if not found:
        summary = "Given the noisy sums, the runs on neighbouring data were equal in all else, step by step."
        return answer("replay", ProbeStatus.HOLDS, summary, statistic=statistic, value=0, bound=0, trials=trials)
    kinds = {difference.what: (name, difference) for name, difference in reversed(found)}
    told = "; ".join(f"{what} (from step {d.step} on{_named(d)}; {name})" for what, (name, d) in kinds.items())
    sums = [d.size for _, d in found if d.what.startswith("the clipped sum")]
    return answer(
        "replay",
        ProbeStatus.VIOLATED,
        f"Runs with the same noisy sums differ where only private data differs, so it acts by a way without noise: "
        f"{told}."[:3900],
        statistic=statistic,
        value=float(len(kinds)),
        bound=0,
        figures={"movement of a sum that the record is not in, in C": max(sums)} if sums else {},
        trials=trials,
        witness="; ".join(f"step {d.step}, {name}" for name, d in kinds.values())[:600],
    )


def _named(difference: Difference) -> str:
    shown = ", ".join(difference.names[:3]) + (", …" if len(difference.names) > 3 else "")
    return f": {shown}" if shown else ""


def _parameters(first: Trace, found: FOUND, trials: int) -> ProbeAnswer:
    """Parameters that move without having been shown, and whether they follow the data."""
    shown = {name for calls in first.calls for call in calls for name in call.noisy}
    moved = [n for n, start in first.states[0].items() if not start.equal(first.states[-1][n]) and n not in shown]
    differing = {n for _, d in found if d.what == "parameters or buffers" for n in d.names}
    leaking = [name for name in moved if name in differing]
    if leaking:
        summary = (
            f"Changed by private data without clipping and noise: {', '.join(leaking[:8])}"
            f"{', …' if len(leaking) > 8 else ''}."
        )
    elif moved:
        summary = f"Moved without passing the tap, but alike on neighbouring data: {', '.join(moved[:8])}."
    else:
        summary = "Whatever changed had passed through clipping and noise."
    return answer(
        "parameters",
        ProbeStatus.VIOLATED if leaking else ProbeStatus.HOLDS,
        summary[:3900],
        statistic="parameters and buffers that follow private data without having been shown",
        value=float(len(leaking)),
        bound=0,
        trials=trials,
        witness=", ".join(leaking)[:600] or None,
    )
