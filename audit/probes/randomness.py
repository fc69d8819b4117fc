"""Whoever knows the public seed: can they make the noise, or the batches, again?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from audit.probes import whiteness
from audit.probes.answers import answer, not_judged
from audit.probes.bench import PUBLIC_SEED, Bench
from audit.probes.neighbours import drawn, examples
from audit.probes.step import Tensors
from audit.probes.watch import Session, StepError
from audit.types import ProbeAnswer, ProbeStatus

STEPS = 2  # the first may be noised before the generators part


def randomness(bench: Bench) -> ProbeAnswer:
    """Runs of two people who share the public seed and nothing else: is their noise, are their batches, the same?

    The second knows neither the data (its batches are other ones) nor the operating system's entropy of the first. If
    its noise correlates with the first's, it can subtract it: the figure is the error of the clipped sum it gets.
    """
    before = bench.trials
    try:
        mine, theirs = _noises(bench, 0), _noises(bench, 1)
    except StepError:
        return not_judged("randomness", "The step did not run on the batches tried.", trials=bench.trials - before)
    pairs = [(a, b) for a, b in zip(mine, theirs, strict=False) if a[0].size == b[0].size and a[0].any()]
    if not pairs:
        return not_judged("randomness", "No noise was shown to the tap.", trials=bench.trials - before)
    level = bench.plan.level("randomness", len(pairs))
    replayed = [n for n, (a, b) in enumerate(pairs, 1) if whiteness.correlation(a[0], b[0]) < level]
    same_batches = _same_batches(bench)
    error = min(float(np.linalg.norm(a[0] - b[0]) / (np.linalg.norm(a[1]) or 1.0)) for a, b in pairs)
    return answer(
        "randomness",
        ProbeStatus.VIOLATED if replayed or same_batches else ProbeStatus.HOLDS,
        _summary(bool(replayed), same_batches, error),
        statistic="relative error of the clipped sum after subtracting noise made again from the public seed",
        value=error,
        figures={"steps whose noise is repeated": float(len(replayed)), "steps tried": float(len(pairs))},
        trials=bench.trials - before,
        confidence=f"correlation of each step's noise at level {level:.1g}; batches by equality of the first ten",
        witness=f"two runs with seed {PUBLIC_SEED} and different entropy" if replayed or same_batches else None,
    )


def _summary(noise: bool, batches: bool, error: float) -> str:
    told = []
    if noise:
        told.append(
            "The public seed repeats the noise: whoever runs the code with it, without the data, can subtract the "
            f"noise and gets the clipped sum to a relative error of {error:.2g}."
        )
    if batches:
        told.append("The public seed repeats the batches, so the accounting's amplification by sampling is void.")
    return " ".join(told) or "With the same public seed, noise and batches differ from run to run."


def _noises(bench: Bench, other: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """(noise, clipped sum) of the first calls, flat; two runs with one public seed differ in data and entropy."""
    session = Session(bench.loop, seed=PUBLIC_SEED, entropy=bench.plan.seed * 1009 + 900 + other)
    size, found = max(1, min(bench.loop.batch_size, len(bench.loop.records) // 2)), []
    for step in range(STEPS):
        seed = bench.plan.seed * 1009 + 20 * other + step
        bench.trials += 1
        for call in session.step(examples(bench.loop, drawn(bench.loop, size, seed), seed)):
            names = [name for name in call.noisy if name in call.clipped]
            noisy, clipped = (_flat(tensors, names) for tensors in (call.noisy, call.clipped))
            found.append((noisy - clipped, clipped))
    return found


def _flat(tensors: Tensors, names: list[str]) -> NDArray[np.float64]:
    return np.concatenate([tensors[name].double().numpy().ravel() for name in names])


def _same_batches(bench: Bench) -> bool:
    """Are the first ten batches of two such runs the same? Only judged where there was a choice."""
    if not bench.has_batches or bench.loop.sampler == "deterministic":
        return False
    first, second = (_first_batches(bench, entropy) for entropy in (bench.plan.seed + 31, bench.plan.seed + 32))
    return first == second and len(set(map(tuple, first))) > 1


def _first_batches(bench: Bench, entropy: int) -> list[list[int]]:
    run = Session(bench.loop, seed=PUBLIC_SEED, entropy=entropy).run
    assert run.batches is not None
    return [list(batch) for batch, _ in zip(run.batches(), range(10), strict=False)]
