"""The reimplementation run beside the audit: every recipe that a card names, as published and corrected.

It runs as programs of their own and leaves folders with a ledger; nothing of it is imported here.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from audit.types import PaperCard

VARIANTS = ("as-published", "corrected")
STAGES = ("train", "generate", "evaluate")
DONE = "evaluation.json"  # the last file of a run
TAIL = 300  # characters of a failed program's last line that are shown
Progress = Callable[[str, int, int], None]  # stage, done, total


class ReimplementationError(ValueError):
    """A run that failed, or nothing to run; one line with what to do."""


@dataclass(frozen=True)
class Run:
    """One recipe in one variant."""

    recipe: str
    variant: str
    epsilon: float
    folder: Path

    @property
    def commands(self) -> Iterator[list[str]]:
        """The command lines after `python -m reimpl`, first to last."""
        for stage in STAGES:
            asked = ["--variant", self.variant, "--scale", "smoke", "--epsilon", f"{self.epsilon:g}"]
            yield [stage, self.recipe, *asked, "--out", str(self.folder)]


def runs_of(card: PaperCard, folder: Path) -> tuple[Run, ...]:
    """Both variants of every recipe that a mechanism of the card names, at the largest ε claimed for it.

    Raises:
        ReimplementationError: the card names no recipe.
    """
    found = [
        Run(mechanism.recipe, variant, max(epsilons), folder / mechanism.recipe / variant)
        for mechanism in card.mechanism
        if mechanism.recipe is not None and (epsilons := _claimed(card, mechanism.id))
        for variant in VARIANTS
    ]
    if not found:
        raise ReimplementationError(f"{card.id}: its card names no recipe with an ε; leave --reimpl out")
    return tuple(found)


def _claimed(card: PaperCard, mechanism: str) -> list[float]:
    """Every ε of the card for a mechanism; where none is stated for it, those claimed for the others."""
    own = [e for claim in card.claim if claim.mechanism == mechanism for e in claim.epsilons.value or ()]
    return own or [e for claim in card.claim for e in claim.epsilons.value or ()]


def perform(runs: Iterable[Run], jobs: int, progress: Progress | None = None) -> tuple[Path, ...]:
    """Make every run, `jobs` at a time; a run that is whole already is kept. Its folder, run by run.

    Raises:
        ReimplementationError: a program failed; its last line.
    """
    todo, tell = list(runs), progress or (lambda stage, done, total: None)
    tell("running the reimplementation", 0, len(todo))
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        futures = [pool.submit(_make, run) for run in todo]
        for done, future in enumerate(as_completed(futures), 1):
            if (error := future.exception()) is not None:
                pool.shutdown(cancel_futures=True)
                raise error
            tell("running the reimplementation", done, len(todo))
    return tuple(run.folder for run in todo)


def _make(run: Run) -> None:
    if (run.folder / DONE).is_file():
        return
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    for arguments in run.commands:
        if arguments[0] == "train":
            if (run.folder / "ledger.json").is_file() and not (run.folder / "checkpoint").exists():
                continue
            if (run.folder / "checkpoint").exists():
                arguments.append("--resume")
        _call(arguments)


def _call(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "reimpl", *arguments], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1][-TAIL:]
        raise ReimplementationError(f"python -m reimpl {' '.join(arguments[:2])} failed: {last}")
