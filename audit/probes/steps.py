"""One noisy update per logical step, empty ones among them, and as many steps as were accounted."""

from __future__ import annotations

import math

from audit.probes.answers import answer, not_judged
from audit.probes.bench import ENTROPY, PUBLIC_SEED, Bench
from audit.probes.neighbours import batch_sizes
from audit.probes.sampling import probability
from audit.probes.watch import Session, StepError
from audit.types import ProbeAnswer, ProbeStatus, Severity

NOTICEABLE = 1e-6


def steps(bench: Bench) -> ProbeAnswer:
    """Gradient mechanisms shown per logical step, on batches of several sizes, and the length of the loop's own run."""
    calls = {size: _calls(bench, size) for size in (0, 1, *batch_sizes(bench.loop, bench.plan.sizes))}
    performed = _performed(bench)
    told, severities = list[str](), list[Severity]()
    for size, count in calls.items():
        if count == 0:
            told.append("no noise and no update on " + (f"batches of {size}" if size else "empty batches"))
            severities.append(Severity.HIGH if size or _empty_is_likely(bench) else Severity.LOW)
        elif count is not None and count > 1:
            told.append(f"{count} noisy sums for one logical batch of {size}")
            severities.append(Severity.HIGH)
    if performed is not None and performed != bench.loop.steps:
        told.append(f"{performed:,} steps run, {bench.loop.steps:,} accounted")
        severities.append(Severity.HIGH if performed > (bench.loop.steps or 0) else Severity.LOW)
    figures = {} if calls[0] is None else {"noisy sums on an empty batch": float(calls[0])}
    if performed is not None and bench.loop.steps:
        figures |= {"steps run": float(performed), "steps accounted": float(bench.loop.steps)}
    return _told(bench, told, severities, performed, figures, crashed=calls[0] is None)


def _told(
    bench: Bench,
    told: list[str],
    severities: list[Severity],
    performed: int | None,
    figures: dict[str, float],
    *,
    crashed: bool,
) -> ProbeAnswer:
    if crashed and not told:
        why = "The step raises on an empty batch, which Poisson sampling may draw; a sound one adds its noise then too."
        return not_judged("steps", why, trials=bench.trials)
    known = performed is not None
    accounted = " and as many steps as accounted" if known else "; the length of a run was not judged"
    worst = min(severities, key=list(Severity).index, default=Severity.HIGH)
    return answer(
        "steps",
        ProbeStatus.VIOLATED if told else ProbeStatus.HOLDS,
        f"Not one noisy update per accounted step: {'; '.join(told)}."
        if told
        else f"One noisy update per logical step{accounted}.",
        statistic="steps run / steps accounted" if known else "noisy sums per logical step",
        value=performed / bench.loop.steps if performed is not None and bench.loop.steps else 1.0 if not told else None,
        bound=1.0,
        severity=worst,
        figures=figures,
        trials=performed or len(bench.plan.sizes),
        witness="; ".join(told)[:600] or None,
    )


def _calls(bench: Bench, size: int) -> int | None:
    """Gradient calls in a step with `size` records; None where the step raises on an empty batch."""
    try:
        calls = Session(bench.loop, seed=PUBLIC_SEED, entropy=ENTROPY).step(bench.batch(size), draws=1)
    except StepError:
        if size:
            raise
        return None
    bench.trials += 1
    return sum(call.mechanism == "gradient" for call in calls)


def _performed(bench: Bench) -> int | None:
    if bench.loop.steps is None or not bench.has_batches:
        return None
    run = Session(bench.loop, seed=PUBLIC_SEED, entropy=ENTROPY).run
    assert run.batches is not None
    return sum(1 for _ in zip(run.batches(), range(4 * bench.loop.steps + 16), strict=False))


def _empty_is_likely(bench: Bench) -> bool:
    """Is an empty batch to be expected in a run, as accounted: T (1 − q)^N above one in a million?"""
    q, n = probability(bench), len(bench.loop.records)
    return q < 1 and (bench.loop.steps or 10**6) * math.exp(n * math.log1p(-q)) > NOTICEABLE
