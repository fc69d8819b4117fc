"""Was a library that the guarantee rests on changed by hand?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.checkout import Checkout
from audit.code.shell import Command
from audit.code.source import Source
from audit.code.syntax import dotted, strings
from audit.reading import NO_ENGINE, Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "dependency-edited"
LIBRARIES = {
    "opacus": "opacus/privacy_engine.py",
    "private_transformers": "private_transformers/privacy_engine.py",
    "prv_accountant": "prv_accountant/accountant.py",
}
INSTALLED = re.compile(r"(site|dist)-packages/")
COPIES, EDITS = {"cp", "mv", "rsync"}, {"sed", "patch"}
EDIT = r"\b(modif\w*|patched|edited|hacked)\b"
BORROWED = re.compile(r"\b(from|based on|adapted|copied|version of|taken)\b|://", re.IGNORECASE)
SAID = re.compile(rf"{EDIT}.*-packages/[\w./-]+\.py\b|{EDIT}\W+opacus/[\w./-]+\.py\b", re.IGNORECASE)
FLAW = Flaw(
    Severity.MEDIUM,
    "The library that the guarantee rests on may not be the published one: a line of the release edits it, replaces a "
    "part of it, says that it was edited, or brings a copy of it.",
    "Not seen: what a change does, whether a copy was changed at all, or whether a change was undone.",
    "Publish the change as a patch or a pinned fork, and test the changed library against the original.",
)


@check(IDENT, "Was a library that the guarantee rests on changed by hand?", needs=(Need.CODE,))
def dependency_edited(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Scripts that copy to, edit or patch files under site-packages; assignments into a module of Opacus,
    which replace its functions as the program runs; a copy of a privacy library inside the checkout; and,
    as a pattern, comments that say an installed file was modified.

    ## Why it matters

    Clipping, noise and accounting live in that library. A changed line in the computation of per-record
    gradients can undo every guarantee, and where the change is not published nobody can check.

    ## What it cannot see

    Whether a copy differs from the published version, changes that no line of the release mentions, and
    forks named in a requirements file. Notes that a file was made from a library's are no finding.
    """
    checkout = subject.checkout
    matches = [*_copies(checkout), *(match for source in checkout.sources for match in _matches(source))]
    yield from answers(FLAW, checkout, matches, lacking="" if checkout.engines else NO_ENGINE)


def _copies(checkout: Checkout) -> Iterator[Match]:
    """A library inside the checkout, unless the checkout is that library's own."""
    for library, file in LIBRARIES.items():
        for source in checkout.python:
            inside = source.path.endswith(f"/{file}") or source.path == file
            own = source.path in (file, f"src/{file}") and _is_package(checkout, library)
            if inside and not own:
                yield Match(source, 1, f"a copy of {library} lies in the checkout", severity=Severity.LOW)


def _is_package(checkout: Checkout, library: str) -> bool:
    """Does the checkout's own setup.py name the library as what it installs?"""
    setups = (source for source in checkout.python if source.path == "setup.py")
    return any(library in strings(setup.tree) for setup in setups if setup.tree is not None)


def _matches(source: Source) -> Iterator[Match]:
    for command in source.commands:
        if _changes_installed(command):
            yield Match(source, command.line, "an installed file is changed")
    for node in source.nodes:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and dotted(target).startswith("opacus."):
                    yield Match(source, node.lineno, "a part of the library is replaced", severity=Severity.LOW)
    if source.tree is not None:
        for number, line in enumerate(source.lines, 1):
            text = line.strip()[:400]
            if text.startswith("#") and SAID.search(text) and not BORROWED.search(text):
                yield Match(source, number, "a comment says that an installed file was changed", read=False)


def _changes_installed(command: Command) -> bool:
    """A copy to an installed place, or an edit in one."""
    tools = set(command.words[:2])  # also behind sudo
    target = command.words[-1:] if tools & COPIES else command.words if tools & EDITS else ()
    return any(INSTALLED.search(word) for word in target)
