"""Can a flag that reads as a switch be switched off?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.options import flag_line, launches
from audit.code.source import Source
from audit.code.syntax import calls_to, keyword, strings
from audit.reading import Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "boolean-flag-always-true"
NO = {"false", "no", "0", "off", "none"}
FLAW = Flaw(
    Severity.LOW,
    "A command-line flag is declared with type=bool. argparse turns any text into True, also `--flag False`, so a "
    "run cannot be switched by the flag as its command line reads.",
    "Not seen: command lines that were typed by hand.",
    'Use action="store_true" (or argparse.BooleanOptionalAction), and look again at every run that passed False.',
)


@check(IDENT, "Does a flag turn True whatever is passed?", needs=(Need.CODE,))
def boolean_flag_always_true(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    `add_argument(..., type=bool)`, and scripts in the release that pass such a flag False.

    ## Why it matters

    `bool("False")` is True. A run with `--private False` trains privately, and one with `--shuffle False`
    shuffles: what a command line says is then not what was done. Where a script of the release passes
    False, a reported comparison may compare other things than it says.

    ## What it cannot see

    Flags of other parsers (click and typer read False as false), types that are functions, and whether a
    run that is reported ever passed False.
    """
    sources = subject.checkout.python
    declared = [(source, call) for source in sources for call in calls_to(source, {"add_argument"})]
    matches = [match for source, call in declared for match in _matches(subject, source, call)]
    yield from answers(FLAW, subject.checkout, matches, lacking="" if declared else "flag of an argparse parser")


def _matches(subject: Subject, source: Source, call: ast.Call) -> Iterator[Match]:
    kind = keyword(call, "type")
    if not (isinstance(kind, ast.Name) and kind.id == "bool"):
        return
    yield Match(source, call.lineno, "any text is True")
    names = {text.lstrip("-").replace("-", "_") for argument in call.args for text in strings(argument)}
    for script, command in launches(subject.checkout, (source,)):
        passed = sorted(name for name in names if (command.flag(name) or "").lower() in NO)
        if passed:
            what = f"passes False to --{passed[0]}, which becomes True"
            yield Match(script, flag_line(script, command, passed[0]), what, severity=Severity.MEDIUM)
