"""Are the epochs of the loop counted on another loader than those that were accounted?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.source import Source
from audit.code.syntax import calls_to, dotted, keyword, tail, value_before, words
from audit.reading import NO_ENGINE, Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "epochs-from-other-loader"
MANAGERS = {"BatchMemoryManager", "wrap_data_loader"}  # their loaders count physical batches
ACCOUNTED = {"make_private_with_epsilon", "get_noise_multiplier"}
FLAW = Flaw(
    Severity.MEDIUM,
    "The loop's epochs are a number of steps divided by the length of another loader than the one that the accounted "
    "epochs were computed from, so it may run other steps than the ε was computed for.",
    "Not seen: the lengths at run time. A memory manager's loader counts physical batches and is the longer one: a "
    "loop by it runs fewer epochs than were accounted, and ε is then overstated.",
    "Compute the epochs once, from the loader before it is split into physical batches, and pass them to both.",
)


@check(IDENT, "Are the loop's epochs computed from another loader than the accounted ones?", needs=(Need.CODE,))
def epochs_from_other_loader(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    A loop over `range(steps / len(loader))` beside private training, where the loader is that of Opacus'
    `BatchMemoryManager`; and epochs handed to the accounting that are divided by the length of another
    loader than the loop's, both in one file (a pattern).

    ## Why it matters

    ε is for the accounted steps. A loader that splits batches to save memory is several times as long, so
    the same number of steps makes several times fewer epochs; the other way round, the run takes more
    noisy steps than were paid for.

    ## What it cannot see

    Lengths at run time, loops that stop by a counter, loaders passed to other files under other names.
    """
    checkout = subject.checkout
    loops = [(source, loop) for source in checkout.private for loop in _counted_loops(source)]
    matches = [match for source, loop in loops for match in _matches(source, loop)]
    judged = bool(loops) or any(True for s in checkout.private for _ in _accounted(s))
    lacking = "" if judged else "number of epochs beside a privacy engine" if checkout.engines else NO_ENGINE
    yield from answers(FLAW, checkout, matches, lacking=lacking)


def _counted_loops(source: Source) -> Iterator[ast.For]:
    """Loops over a range, which epochs are."""
    for node in source.nodes:
        if isinstance(node, ast.For) and isinstance(node.iter, ast.Call) and tail(node.iter) in ("range", "trange"):
            yield node


def _matches(source: Source, loop: ast.For) -> Iterator[Match]:
    assert isinstance(loop.iter, ast.Call)
    counted = [name for end in loop.iter.args for name in _divisors(source, end, loop.lineno)]
    physical = _physical(source)
    if any(name in physical for name in counted):
        yield Match(source, loop.lineno, "divided by the length of the loader of physical batches")
        return
    for call, end in _accounted(source):
        accounted = list(_divisors(source, end, call.lineno))
        same = {_origin(source, name, call) for name in accounted} & {_origin(source, name, call) for name in counted}
        if accounted and counted and not same:
            yield Match(source, call.lineno, f"accounted by len({accounted[0]})", read=False)
            yield Match(source, loop.lineno, f"looped by len({counted[0]})", read=False)


def _divisors(source: Source, node: ast.expr, line: int) -> Iterator[str]:
    """Names x in `… / len(x)`, also behind one name such as `epochs`."""
    direct = value_before(source, dotted(node), line) if isinstance(node, ast.Name | ast.Attribute) else node
    for part in ast.walk(direct) if direct is not None else ():
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Div | ast.FloorDiv):
            lengths = (n for n in ast.walk(part.right) if isinstance(n, ast.Call) and tail(n) == "len" and n.args)
            yield from (dotted(length.args[0]) for length in lengths)


def _accounted(source: Source) -> Iterator[tuple[ast.Call, ast.expr]]:
    for call in calls_to(source, ACCOUNTED):
        epochs = keyword(call, "epochs")
        if epochs is not None:
            yield call, epochs


def _physical(source: Source) -> set[str]:
    """Names of loaders that a memory manager makes."""
    named = set[str]()
    for node in source.nodes:
        if isinstance(node, ast.withitem) and node.optional_vars is not None and _is_managed(source, node):
            named.add(dotted(node.optional_vars))
        elif isinstance(node, ast.Assign) and tail(node.value) in MANAGERS:
            named |= {dotted(target) for target in node.targets if "loader" in words(dotted(target))}
    return named


def _is_managed(source: Source, item: ast.withitem) -> bool:
    made = item.context_expr
    if isinstance(made, ast.Name):
        made = value_before(source, made.id, made.lineno) or made
    return any(isinstance(n, ast.Call) and tail(n) in MANAGERS for n in ast.walk(made))


def _origin(source: Source, name: str, call: ast.Call) -> str:
    """The loader that was handed to the accounting, where `name` is what came back from it."""
    given, parent = keyword(call, "data_loader"), source.parents.get(call)
    if given is not None and isinstance(parent, ast.Assign):
        returned = {dotted(n) for target in parent.targets for n in ast.walk(target) if isinstance(n, ast.expr)}
        return dotted(given) if name in returned else name
    return name
