"""Is the noise there, as large as accounted, normal, and independent across steps, tensors and coordinates?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from audit.probes import whiteness
from audit.probes.answers import answer, not_judged
from audit.probes.bench import PUBLIC_SEED, Bench
from audit.probes.neighbours import drawn, examples
from audit.probes.watch import Call, Session
from audit.types import ProbeAnswer, ProbeStatus, Severity

Array = NDArray[np.float64]
PREFIXES = (256, 16)  # leading coordinates in which two tensors' noise is compared
SHAPE = "the shape of its distribution is not normal"
LARGEST_MATRIX = 2**20  # coordinates of a tensor whose rank is looked at


@dataclass(frozen=True)
class Noise:
    """(noisy − clipped) / (σ C) of one gradient call, which should be independent N(0, 1)."""

    run: int
    step: int
    batch: int  # records in it
    tensors: dict[str, Array]  # of the parameter's shape
    clipped: Array  # flat

    def divided(self, deviation: float) -> Noise:
        return replace(self, tensors={name: tensor / deviation for name, tensor in self.tensors.items()})

    @cached_property
    def flat(self) -> Array:
        return np.concatenate([tensor.ravel() for tensor in self.tensors.values()])


@dataclass(frozen=True)
class Test:
    what: str
    p_value: float
    harmless: bool = False  # a deviation that costs utility, not privacy


def noise(bench: Bench) -> ProbeAnswer:
    """The smallest p-value of all tests of the noise, against a level divided over them.

    χ² on the size (per tensor and per batch size, empty ones among them), the mean, Kolmogorov-Smirnov on the shape,
    correlations between steps, between tensors and along the clipped sum, autocorrelation over all lags, and the
    largest singular value of each matrix: shared, repeated and low-rank noise pass every test of its marginals.
    """
    seen = list(_collected(bench))
    if not seen:
        return not_judged("noise", "No step showed a mechanism call with noise accounted; call the tap in each step.")
    tests = list(_tests(seen))
    level = bench.plan.level("noise", len(tests))
    failed = sorted((t for t in tests if t.p_value < level), key=lambda t: (t.harmless, t.p_value))
    harmless = any(t.harmless for t in failed) and all(t.harmless or t.what == SHAPE for t in failed)
    everything = np.concatenate([one.flat for one in seen])
    deviation = float(np.sqrt((everything**2).mean()))
    smallest = min((sum(o.tensors[n].size for o in seen if n in o.tensors) for n in seen[0].tensors), default=1)
    return answer(
        "noise",
        ProbeStatus.VIOLATED if failed else ProbeStatus.HOLDS,
        _summary(failed, deviation, harmless=harmless),
        statistic="standard deviation of the noise / (σ C)",
        value=deviation,
        bound=1.0,
        severity=Severity.LOW if harmless else Severity.HIGH,
        figures={"smallest p-value × number of tests": min(1.0, min(t.p_value for t in tests) * len(tests))},
        trials=everything.size,
        confidence=f"{len(tests)} tests, each at level {level:.1g}; a shortfall of the noise by "
        f"{whiteness.found_with(everything.size, level):.2g} of σ C in all tensors, or by "
        f"{whiteness.found_with(smallest, level):.2g} in the smallest, is found with probability 0.99",
        witness="; ".join(f"{t.what} (p = {t.p_value:.1g})" for t in failed[:4])[:600] or None,
    )


def _summary(failed: list[Test], deviation: float, *, harmless: bool) -> str:
    if not failed:
        return f"The noise is {deviation:.4g} σ C, normal and independent as far as tested."
    told = "; ".join(t.what for t in failed[:6]) + ("; …" if len(failed) > 6 else "")
    if harmless:
        return f"The noise is larger than accounted ({told}): no breach, but not the mechanism that was accounted."
    return f"The noise is not what was accounted: {told}. It measures {deviation:.4g} σ C."


def _collected(bench: Bench) -> Iterator[Noise]:
    """Noise of several runs, over batches of several sizes, empty ones among them; of few records in added steps."""
    loop, plan = bench.loop, bench.plan
    pool = len(loop.records)
    sizes = [min(pool, size) for size in (loop.batch_size, 0, max(1, loop.batch_size // 2), 2 * loop.batch_size, 1)]
    sizes = [size for size in sizes if size or bench.takes_empty]
    for run in range(plan.noise_runs):
        session = Session(loop, seed=PUBLIC_SEED + run, entropy=plan.seed * 1009 + 100 + run)
        for step in range(_enough(bench, session)):
            size = sizes[step % len(sizes)] if step < plan.noise_steps else sizes[-1]
            seed = plan.seed * 1009 + 50 * run + step
            calls = session.step(examples(loop, drawn(loop, size, seed), seed))
            bench.trials += 1
            for call in calls:
                if call.mechanism == "gradient" and call.noise_multiplier > 0:
                    yield Noise(run, step, size, *_standardised(call))


def _enough(bench: Bench, session: Session) -> int:
    """Steps a run, so that a tiny model's noise has as many coordinates as a test needs."""
    size = sum(parameter.numel() for parameter in session.run.model.parameters() if parameter.requires_grad)
    needed = -(-bench.plan.coordinates // max(1, size * bench.plan.noise_runs))
    return max(bench.plan.noise_steps, min(needed, 10 * bench.plan.noise_steps))


def _standardised(call: Call) -> tuple[dict[str, Array], Array]:
    scale = call.noise_multiplier * call.clip_norm
    clipped = {name: call.clipped[name].double() for name in call.noisy if name in call.clipped}
    tensors = {name: ((call.noisy[name].double() - before) / scale).numpy() for name, before in clipped.items()}
    return tensors, np.concatenate([before.numpy().ravel() for before in clipped.values()] or [np.zeros(0)])


def _tests(seen: list[Noise]) -> Iterator[Test]:
    """The size as accounted; all else whatever the size, so that noise twice as large is called that and no more."""
    yield from _sizes(seen)
    everything = np.concatenate([one.flat for one in seen])
    deviation = float(np.sqrt((everything**2).mean())) or 1.0
    white = [one.divided(deviation) for one in seen]
    yield Test(SHAPE, whiteness.shape(everything / deviation))
    yield Test("its mean is not 0", whiteness.mean(everything / deviation))
    yield from _directions(white)
    yield from _between_steps(white)
    yield from _between_tensors(white)
    yield from _within(white)


def _sizes(seen: list[Noise]) -> Iterator[Test]:
    """The standard deviation, per tensor and per batch size."""
    for name in seen[0].tensors:
        yield _size(f"in {name}", np.concatenate([one.tensors[name].ravel() for one in seen if name in one.tensors]))
    for batch in sorted({one.batch for one in seen}):
        what = f"on batches of {batch}" if batch else "on empty batches"
        yield _size(what, np.concatenate([one.flat for one in seen if one.batch == batch]))


def _size(where: str, noise: Array) -> Test:
    ratio = float(np.sqrt((noise**2).mean()))
    return Test(f"{where} its standard deviation is {ratio:.3g} σ C", whiteness.variance(noise), harmless=ratio > 1)


def _directions(seen: list[Noise]) -> Iterator[Test]:
    for one in seen:
        if one.clipped.size == one.flat.size and one.clipped.any():
            yield Test("it follows the clipped sum (units of the two differ)", whiteness.along(one.flat, one.clipped))


def _between_steps(seen: list[Noise]) -> Iterator[Test]:
    whole = [one for one in seen if one.flat.size == seen[0].flat.size]
    if len(whole) > 1:
        (first, second), p_value = whiteness.most_alike(np.stack([one.flat for one in whole]))
        one, other = whole[first], whole[second]
        where = f"steps {one.step + 1} and {other.step + 1}" + (" of two runs" if one.run != other.run else "")
        yield Test(f"noise of {where} is alike", p_value)


def _between_tensors(seen: list[Noise]) -> Iterator[Test]:
    whole = [one for one in seen if one.tensors.keys() == seen[0].tensors.keys()]
    for coordinates in PREFIXES:
        names = [n for n, tensor in seen[0].tensors.items() if tensor.size >= coordinates]
        if len(names) > 1:
            rows = [np.concatenate([one.tensors[n].ravel()[:coordinates] for one in whole]) for n in names]
            (first, second), p_value = whiteness.most_alike(np.stack(rows))
            yield Test(f"{names[first]} and {names[second]} share their noise", p_value)


def _within(seen: list[Noise]) -> Iterator[Test]:
    """Noise repeated inside a step, or of low rank inside a tensor: looked at in the first step of each run."""
    for one in {one.run: one for one in reversed(seen)}.values():
        yield Test("noise repeats itself within a step", whiteness.autocorrelation(one.flat))
        for name, tensor in one.tensors.items():
            if tensor.ndim > 1 and tensor.size <= LARGEST_MATRIX and min(tensor.shape[0], tensor[0].size) > 1:
                yield Test(f"noise in {name} has low rank", whiteness.low_rank(tensor.reshape(len(tensor), -1)))
