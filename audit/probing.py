"""The probes run beside an audit, on the steps that a built-in card names, as programs of their own.

Only a card that comes with the package may name code to run, and only code that comes with the package.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from audit.files import write_atomically
from audit.types import PaperCard, ProbedStep

PACKAGE = "reimpl."
LIBRARIES = ("torch", "opacus", "transformers", "numpy", "scipy")
TIMEOUT = 900  # seconds a program may take
MOST_PROGRAMS = 2
RAN = (0, 3)  # exit codes of `audit probe` with an answer: 3 where a probe broke


@dataclass(frozen=True)
class Step:
    """A training step named on a card: of which mechanism, in which variant, and what makes it."""

    mechanism: str
    variant: str
    name: str  # module:factory


def steps_of(card: PaperCard) -> tuple[Step, ...]:
    """Every step of the card that comes with the package."""
    return tuple(
        Step(mechanism.id, variant, name)
        for mechanism in card.mechanism
        for variant, name in mechanism.probe.items()
        if name.startswith(PACKAGE)
    )


def not_run(step: Step) -> ProbedStep:
    """A step that somebody's own card names."""
    return _unprobed(step, "only cards that come with the package name code to run; `audit probe` on this step runs it")


def _unprobed(step: Step, why: str) -> ProbedStep:
    return ProbedStep(step=step.name, mechanism=step.mechanism, variant=step.variant, seed=0, error=why)


@dataclass
class Program:
    """A running program that probes `steps`, and the file that its answer goes to."""

    steps: Sequence[Step]
    process: subprocess.Popen[bytes]
    answer: IO[bytes]

    def wait(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(TIMEOUT)

    def result(self) -> list[ProbedStep]:
        """Waits for the answers; a program that fails leaves steps with an error."""
        try:
            code = self.process.wait(TIMEOUT)
            self.answer.seek(0)
            found = [ProbedStep.model_validate(one) for one in json.load(self.answer)] if code in RAN else []
        except (subprocess.TimeoutExpired, ValueError, ValidationError):
            code, found = -1, []
        if len(found) != len(self.steps):
            why = f"the probes did not run (exit code {code}); `audit probe` on this step shows why"
            return [_unprobed(step, why) for step in self.steps]
        return [
            one.model_copy(update={"mechanism": step.mechanism, "variant": step.variant})
            for one, step in zip(found, self.steps, strict=True)
        ]


@contextmanager
def started(steps: Sequence[Step], jobs: int) -> Iterator[list[Program]]:
    """Programs that probe the steps, started at once and ended with the context."""
    share = max(1, min(jobs, MOST_PROGRAMS, len(steps)))
    parts = [steps[start::share] for start in range(share)] if steps else []
    with ExitStack() as stack:
        programs = []
        for part in parts:
            answer = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(_command(part), stdout=answer, stderr=subprocess.DEVNULL)
            stack.callback(_end, process)
            programs.append(Program(part, process, answer))
        yield programs


def collected(programs: Sequence[Program], steps: Sequence[Step]) -> tuple[ProbedStep, ...]:
    """The answers of all programs, in the order of `steps`."""
    found = {(s.mechanism, s.variant): one for p in programs for s, one in zip(p.steps, p.result(), strict=True)}
    return tuple(found[step.mechanism, step.variant] for step in steps)


def remembered(steps: Sequence[Step], cache: Path | None) -> dict[Step, ProbedStep]:
    """Earlier answers for these steps: the same sources and libraries give the same answers."""
    known = {}
    for step in steps if cache is not None else ():
        with suppress(OSError, ValueError):
            stored = ProbedStep.model_validate_json(_place(cache, step).read_text(encoding="utf-8"))
            known[step] = stored.model_copy(update={"mechanism": step.mechanism, "variant": step.variant})
    return known


def remember(found: Mapping[Step, ProbedStep], cache: Path | None) -> None:
    """Keep answers for the next audit; what could not be probed is tried again. The folder may be deleted."""
    for step, one in found.items() if cache is not None else ():
        if one.error is None:
            with suppress(OSError):
                write_atomically(_place(cache, step), one.model_dump_json())


def _place(cache: Path | None, step: Step) -> Path:
    assert cache is not None  # asked by both callers
    facts = {"step": step.name, "sources": _sources(), "versions": {name: version(name) for name in LIBRARIES}}
    return cache / "probes" / f"{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()}.json"


@lru_cache
def _sources() -> str:
    """A digest of all code that a probing runs, read and not imported."""
    digest = hashlib.sha256()
    for package in ("audit", PACKAGE.rstrip(".")):
        spec = find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
            files = Path(folder, "probes" if package == "audit" else "").rglob("*.py")
            for path in sorted(files):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _command(steps: Sequence[Step]) -> list[str]:
    """-P: nothing is imported from the current folder, whoever it belongs to."""
    asked = ["probe", *(step.name for step in steps), "--brief", "--installed", "--json", "--fail-on", "never"]
    return [sys.executable, "-P", "-m", "audit.cli", *asked]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
