"""Is a value a tuple by a comma too many?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.source import Source
from audit.code.syntax import dotted
from audit.reading import Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "trailing-comma-tuple"
PLAIN = {"bool", "int", "float", "str"}
FLAW = Flaw(
    Severity.LOW,
    "A comma at the end of an assignment makes the value a tuple of one. (False,) counts as true, so an option that "
    "reads as switched off is switched on.",
    "Not seen: how the value is used later.",
    "Remove the comma and repeat what was run with the option as it then was.",
)


@check(IDENT, "Does a trailing comma turn a switch into a tuple?", needs=(Need.CODE,))
def trailing_comma_tuple(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Assignments such as `option = False,`: a tuple of one truth value or None without parentheses, and any
    constant so assigned to a name that is annotated as bool, int, float or str.

    ## Why it matters

    A tuple that holds something is true, so `if option:` takes the branch that the line seems to switch off.
    The run then differs from what the code seems to say, be it in the variance of sampling or in whether
    noise is added.

    ## What it cannot see

    Numbers and texts with such a comma and no annotation: they are often meant. Whether the value is ever
    used as a truth value.
    """
    sources = subject.checkout.python
    matches = [match for source in sources for match in _matches(source)]
    yield from answers(FLAW, subject.checkout, matches, lacking="" if sources else "Python code")


def _matches(source: Source) -> Iterator[Match]:
    for node in source.nodes:
        if isinstance(node, ast.Assign) and not any(isinstance(t, ast.Tuple | ast.List) for t in node.targets):
            value, switch = node.value, True
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            value, switch = node.value, not (isinstance(node.annotation, ast.Name) and node.annotation.id in PLAIN)
        else:
            continue
        only = _only(value)
        if only is not None and (not switch or isinstance(only.value, bool) or only.value is None):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield Match(source, node.lineno, f"{dotted(target)} becomes a tuple")


def _only(value: ast.expr) -> ast.Constant | None:
    """The constant of a tuple of one that has no parentheses of its own."""
    if not (isinstance(value, ast.Tuple) and len(value.elts) == 1 and isinstance(value.elts[0], ast.Constant)):
        return None
    only = value.elts[0]
    bare = (value.lineno, value.col_offset) == (only.lineno, only.col_offset)
    return only if bare else None
