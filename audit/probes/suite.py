"""All probes put to one loop. Same loop, same seed, same answers."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from audit.probes.additivity import additivity
from audit.probes.answers import QUESTIONS, failed, not_judged
from audit.probes.bench import Bench
from audit.probes.noise import noise
from audit.probes.plan import FULL, Plan
from audit.probes.randomness import randomness
from audit.probes.replay import replay
from audit.probes.sampling import sampling
from audit.probes.sensitivity import precision, sensitivity
from audit.probes.step import Loop
from audit.probes.steps import steps
from audit.probes.watch import StepError, generators_kept
from audit.types import ProbeAnswer

PROBES = tuple(QUESTIONS)
Measure = Callable[[Bench], tuple[ProbeAnswer, ...]]
MOST_UNTIED = 1e-3  # of C
UNTIED = (
    "The same batch in the same state gave another clipped sum: random draws are not tied to records. Draw them from "
    "`example.seed`, or open `with tied(batch):` around forward and backward; and show the tap the sum before noise."
)


def probe(
    loop: Loop, plan: Plan = FULL, names: Sequence[str] = PROBES, *, debug: bool = False
) -> tuple[ProbeAnswer, ...]:
    """The answers of the probes in `names`, in the order of PROBES. The default generators are left as they were.

    With `debug`, what a loop or a probe raises is printed to standard error.
    """
    with generators_kept():
        wanted = [(group, measure) for group, measure in _MEASURES if set(group) & set(names)]
        found = {a.probe: a for group, measure in wanted for a in _safely(group, measure, Bench(loop, plan), debug)}
    return tuple(found[name] for name in PROBES if name in names)


def _safely(group: Sequence[str], measure: Measure, bench: Bench, debug: bool) -> tuple[ProbeAnswer, ...]:
    """A loop that raises is not judged, and a probe that breaks fails alone. No message is kept: it may hold data."""
    try:
        return measure(bench)
    except StepError as error:
        if debug:
            traceback.print_exc()
        why = f"The loop raised on ordinary records ({error}); nothing can be measured before it runs."
        return tuple(not_judged(name, why) for name in group)
    except Exception as error:
        if debug:
            traceback.print_exc()
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return tuple(failed(n, f"{type(error).__name__} at {Path(frame.filename).stem}:{frame.lineno}") for n in group)


def _of_sums(bench: Bench) -> tuple[ProbeAnswer, ...]:
    """Probes that measure sums of the same records in other batches: each record's randomness must be its own."""
    if bench.untied() > MOST_UNTIED:
        return tuple(not_judged(name, UNTIED) for name in _OF_SUMS)
    return sensitivity(bench), additivity(bench), precision(bench)


_OF_SUMS = ("sensitivity", "additivity", "precision")
_MEASURES: tuple[tuple[tuple[str, ...], Measure], ...] = (
    (_OF_SUMS, _of_sums),
    (("replay", "parameters"), replay),
    (("noise",), lambda bench: (noise(bench),)),
    (("randomness",), lambda bench: (randomness(bench),)),
    (("sampling",), lambda bench: (sampling(bench),)),
    (("steps",), lambda bench: (steps(bench),)),
)
