"""Are as many texts of a class generated as the private data holds?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.checkout import ENGINES
from audit.code.source import Source
from audit.code.syntax import identifiers, names, receiver, tail
from audit.reading import NO_ENGINE, Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "label-counts-in-generation"
COUNTS = {"Counter", "value_counts", "bincount", "unique"}
NOISES = {"laplace", "normal", "gauss", "gaussian", "geometric", "noise", "noisy", "dp", "private"}
THROUGH = {"tqdm", "enumerate", "sorted", "list", "items", "keys", "most_common", "zip", "to_dict"}
FLAW = Flaw(
    Severity.HIGH,
    "The number of texts generated for a label is computed from an exact count of labels. If the counted data is "
    "private, a count without noise has no finite ε, and the claim does not cover the labels.",
    "Not seen: whether the counted file is private, and whether its counts were noised before.",
    "Generate with labels drawn uniformly, or add noise to the counts and pay for it, or say that labels are public.",
)


@check(IDENT, "Does generation follow exact label counts?", needs=(Need.CODE,))
def label_counts_in_generation(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    A loop over counts (`Counter`, `value_counts`, `np.unique`, `bincount`) whose numbers reach a call that
    generates, in a file that does not name noise; beside private training anywhere in the checkout.

    ## Why it matters

    A count is a deterministic function of the private data: whoever knows all records but one reads the
    missing record's label off the synthetic data's label counts. Counts with noise are cheap, since a
    record is in one class only.

    ## What it cannot see

    Whether what is counted is private, counts that pass through files or other functions, and prompts that
    are copied from training rows, which carry the same counts.
    """
    checkout = subject.checkout
    generating = [source for source in checkout.python if any(_generates(call) for call in source.calls)]
    matches = [match for source in generating for match in _matches(source)] if checkout.engines else []
    lacking = NO_ENGINE if not checkout.engines else "" if generating else "generation of texts"
    yield from answers(FLAW, checkout, matches, lacking=lacking)


def _generates(call: ast.Call) -> bool:
    return "generat" in tail(call).lower()


def _matches(source: Source) -> Iterator[Match]:
    called = {name for call in source.calls for name in identifiers(call.func)} - ENGINES
    if any(NOISES & set(name.lower().split("_")) for name in called):
        return
    counts = {name: line for name, line in _counted(source)}
    for loop in source.nodes:
        if isinstance(loop, ast.For):
            looped = sorted(names(loop.iter) & counts.keys())
            if looped and set(_calls_in(loop.iter)) <= THROUGH and _reaches(loop, looped):
                yield Match(source, counts[looped[0]], "labels are counted")
                yield Match(source, loop.lineno, "each label's count decides how many texts are generated")


def _counted(source: Source) -> Iterator[tuple[str, int]]:
    for node in source.nodes:
        if isinstance(node, ast.Assign) and any(tail(part) in COUNTS for part in receiver(node.value)):
            yield from ((name, node.lineno) for target in node.targets for name in names(target))


def _calls_in(node: ast.expr) -> Iterator[str]:
    return (tail(part) for part in ast.walk(node) if isinstance(part, ast.Call))


def _reaches(loop: ast.For, looped: list[str]) -> bool:
    """Is a number from the counts, not only a label, handed to a call that generates?"""
    numbers = _number_targets(loop, looped)
    calls = [n for n in ast.walk(loop) if isinstance(n, ast.Call) and _generates(n)]
    for node in sorted((n for n in ast.walk(loop) if isinstance(n, ast.Assign)), key=lambda n: n.lineno):
        if _holds(node.value, numbers, looped):
            numbers |= {name for target in node.targets for name in names(target)}
    inner = [n for n in ast.walk(loop) if isinstance(n, ast.For) and n is not loop]
    repeated = (n for n in inner if _holds(n.iter, numbers, looped) and any(c in set(ast.walk(n)) for c in calls))
    handed = (value for call in calls for value in [*call.args, *(k.value for k in call.keywords)])
    return any(True for _ in repeated) or any(_holds(value, numbers, looped) for value in handed)


def _number_targets(loop: ast.For, looped: list[str]) -> set[str]:
    """Loop variables that hold counts: the second of `.items()`, and what zip pairs with a counted name."""
    target = loop.target
    if not isinstance(target, ast.Tuple):
        return set()
    calls = set(_calls_in(loop.iter))
    if calls & {"items", "most_common"}:
        return names(target.elts[-1])
    zipped = next((n for n in ast.walk(loop.iter) if isinstance(n, ast.Call) and tail(n) == "zip"), None)
    if zipped is None or len(zipped.args) != len(target.elts):
        return set()
    last = zip(zipped.args[1:], target.elts[1:], strict=True)
    return {name for argument, part in last if names(argument) & set(looped) for name in names(part)}


def _holds(node: ast.expr, numbers: set[str], looped: list[str]) -> bool:
    """Does an expression use a count: a name for one, or a count looked up by label?"""
    if names(node) & numbers:
        return True
    return any(isinstance(n, ast.Subscript) and names(n.value) & set(looped) for n in ast.walk(node))
