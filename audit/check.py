"""A check: one question put to a subject, answered with findings or skips.

A check is a generator function in `audit/checks/<ident_with_underscores>.py`, decorated with `@check`. It is
found by its file; nothing is registered by hand. Its docstring is its public page.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from audit.subject import Subject
from audit.types import Finding, Skip

Answer = Iterable[Finding | Skip]


class Need(StrEnum):
    """What a check cannot do without. A subject that lacks it gets a skip, never "clean"."""

    CLAIMS = "claims"
    DATA = "data"
    CORPUS = "corpus"
    CODE = "code"
    LEDGER = "ledger"


HOW_TO_SUPPLY = {
    Need.CLAIMS: "a [[claim]] and its [[mechanism]] in the card",
    Need.DATA: "the private data: --data NAME=PATH",
    Need.CORPUS: "a pretraining corpus: --corpus NAME=PATH",
    Need.CODE: "a checkout of the released code: --code PATH",
    Need.LEDGER: "the ledger of a training run: --ledger PATH",
}


@dataclass(frozen=True)
class Check:
    """One question, what it needs, and the function that answers it."""

    ident: str
    question: str
    needs: tuple[Need, ...]
    answer: Callable[[Subject], Answer]

    @property
    def page(self) -> str:
        """The check's public page: its docstring, unindented."""
        return inspect.cleandoc(self.answer.__doc__ or "")

    def run(self, subject: Subject) -> Iterator[Finding | Skip]:
        """Findings and skips; a missing need is a skip that says how to supply it."""
        missing = [need for need in self.needs if not subject.has(need)]
        if missing:
            yield Skip(
                reason=f"No {' and no '.join(missing)} to judge by.",
                needs="; ".join(HOW_TO_SUPPLY[need] for need in missing),
            )
            return
        yield from self.answer(subject)


def check(
    ident: str, question: str, *, needs: tuple[Need, ...] = ()
) -> Callable[[Callable[[Subject], Answer]], Check]:
    """Make a check of a generator function.

    Args:
        ident: the flaw's name, e.g. "sampling-mismatch"; the file is named after it.
        question: what the check asks, in one line, ending in a question mark.
        needs: what it cannot do without.
    """
    return lambda answer: Check(ident, question, needs, answer)


@cache
def all_checks() -> dict[str, Check]:
    """Every check, by ident, in alphabetical order."""
    package = importlib.import_module("audit.checks")
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"audit.checks.{name}") for name in names]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Check)]
    return {item.ident: item for item in sorted(found, key=lambda item: item.ident)}
