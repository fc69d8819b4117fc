"""For a test suite: a training step stays private, or the test says what one record does to it."""

from __future__ import annotations

from collections.abc import Sequence

from audit.probes.load import checked
from audit.probes.plan import FULL, Plan
from audit.probes.step import Loop
from audit.probes.suite import PROBES, probe
from audit.types import ProbeStatus


def assert_private_step(loop: Loop, *, probes: Sequence[str] = PROBES, plan: Plan = FULL) -> None:
    """Put `probes` to `loop`; AssertionError with every violation, and with every probe that could not judge.

    Leave a probe out by naming the others. `Plan(seed=…)` tries other batches and records.
    """
    unknown = set(probes) - set(PROBES)
    if unknown:
        raise ValueError(f"probes: expected some of {', '.join(PROBES)}; got {', '.join(sorted(unknown))}")
    answers = probe(checked(loop), plan, probes)
    told = [
        f"{a.probe}: {a.summary}" + (f" Witness: {a.witness}." if a.witness else "")
        for a in answers
        if a.status is not ProbeStatus.HOLDS
    ]
    assert not told, "\n".join(told)
