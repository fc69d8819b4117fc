"""`audit probe`: a step by its name, what the probes answered, as text, and what it exits with."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from audit.probes.load import ProbeError, load
from audit.probes.plan import BRIEF, FULL
from audit.probes.sensitivity import KINDS
from audit.probes.suite import PROBES, probe
from audit.types import ProbeAnswer, ProbedStep, ProbeStatus, Severity

__all__ = ["ProbeError", "exit_code", "lines", "probed"]

MARKS = {
    ProbeStatus.HOLDS: "holds",
    ProbeStatus.VIOLATED: "VIOLATED",
    ProbeStatus.NOT_JUDGED: "not judged",
    ProbeStatus.FAILED: "failed",
}
BOUNDS = {name: bound for name, (_, bound) in KINDS.items()}  # of a figure, where it has one of its own


def probed(
    name: str,
    only: Sequence[str] | None = None,
    *,
    seed: int = 0,
    brief: bool = False,
    folder: Path | None = None,
    debug: bool = False,
) -> ProbedStep:
    """The answers of the probes in `only` (None: all) on the loop that `name`, "module:factory", makes.

    Raises:
        ProbeError: no such probe, or no such loop.
    """
    for asked in only or ():
        if asked not in PROBES:
            close = difflib.get_close_matches(asked, PROBES, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(PROBES)}"
            raise ProbeError(f"--probe {asked}: no such probe; {hint}")
    loop = load(name, folder=folder)
    plan = replace(BRIEF if brief else FULL, seed=seed)
    return ProbedStep(step=name, seed=seed, answers=probe(loop, plan, only or PROBES, debug=debug))


def lines(found: ProbedStep) -> Iterator[str]:
    """The step's name, and for each probe its verdict and what stands behind it."""
    yield found.step
    for answer in found.answers:
        severity = f" ({answer.severity.value})" if answer.severity else ""
        yield f"{answer.probe:<12} {MARKS[answer.status]}{severity}: {answer.summary}"
        if answer.value is not None:
            measured = {f"{answer.statistic}:": (answer.value, answer.bound)}
            measured |= {name: (value, BOUNDS.get(name)) for name, value in answer.figures.items()}
            told = [f"{name} {value:.4g}{_bound(bound)}" for name, (value, bound) in measured.items()]
            yield f"{'':<12} {'; '.join(told)}; {answer.trials:,} trials"
        if answer.status is ProbeStatus.VIOLATED and answer.witness:
            yield f"{'':<12} witness: {answer.witness}"


def _bound(bound: float | None) -> str:
    return "" if bound is None else f" (bound {bound:g})"


def exit_code(answers: Sequence[ProbeAnswer], fail_on: Sequence[Severity], *, inconclusive: bool) -> int:
    """1: a violation of a severity in `fail_on`; else 3: a probe failed, or none could judge, or with `inconclusive`
    one could not; else 0.
    """
    if any(answer.severity in fail_on for answer in answers if answer.severity):
        return 1
    failed = any(answer.status is ProbeStatus.FAILED for answer in answers)
    unjudged = [answer.status is ProbeStatus.NOT_JUDGED for answer in answers]
    return 3 if failed or all(unjudged) or (inconclusive and any(unjudged)) else 0
