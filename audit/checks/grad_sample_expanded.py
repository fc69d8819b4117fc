"""Is one gradient copied into the rows of several records?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.source import Source
from audit.code.syntax import around, receiver, tail
from audit.reading import NO_ENGINE, Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "grad-sample-expanded"
COPIES = {"expand", "expand_as", "repeat", "repeat_interleave", "tile", "broadcast_to"}
SAME = {"to", "detach", "clone", "contiguous", "float", "unsqueeze", "view", "reshape"}  # the values stay
FLAW = Flaw(
    Severity.HIGH,
    "The per-record gradient of a parameter is expanded to the batch, which fits a gradient that was computed once for "
    "all records. Each record's row then holds the whole batch, and the sum can move by far more than the clip norm "
    "that the noise is scaled to.",
    "Not seen: the shapes at run time; for a gradient that has one row for each record the call changes nothing.",
    "Give the layer one input row per record (for a position embedding, ids of shape batch × length), or freeze it, "
    "and test that removing one record moves the clipped sum by no more than the clip norm.",
)


@check(IDENT, "Is one gradient expanded to stand for every record of a batch?", needs=(Need.CODE,))
def grad_sample_expanded(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    `.expand`, `.repeat` and the like on a parameter's `grad_sample`, the gradients that Opacus keeps for each
    record. By structure where the result becomes the parameter's `grad_sample`; a pattern otherwise.

    ## Why it matters

    A layer that is called once for the whole batch, such as a position embedding over a single row of ids,
    has one gradient: that of the batch. Copying it into every row silences a shape error, but each row then
    depends on all records. Clipping holds each row to C, and the sum of B rows may still move by up to
    2·B·C, while the noise of DP-SGD (arXiv 1607.00133) is scaled to C.

    ## What it cannot see

    Shapes at run time, and copies made through other names, by indexing or in a library. Gradients that
    are coupled otherwise, such as by a loss averaged over the tokens of a batch.
    """
    sources = subject.checkout.python
    matches = [match for source in sources for match in _matches(source)]
    per_record = bool(subject.checkout.engines) or any(_keeps(source) for source in sources)
    yield from answers(FLAW, subject.checkout, matches, lacking="" if per_record else NO_ENGINE)


def _keeps(source: Source) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == "grad_sample" for node in source.nodes)


def _matches(source: Source) -> Iterator[Match]:
    for call in source.calls:
        if tail(call) in COPIES and isinstance(call.func, ast.Attribute) and _of_grad_sample(call):
            kept = any(isinstance(outer, ast.Assign) and _keeps_as(outer, call) for outer in around(source, call))
            yield Match(source, call.lineno, "expanded to the batch" + (" and kept" if kept else ""), read=kept)


def _keeps_as(assign: ast.Assign, call: ast.Call) -> bool:
    """Is the copy, in its new shape, what becomes of a parameter's grad_sample?"""
    return call in receiver(assign.value) and any(tail(target) == "grad_sample" for target in assign.targets)


def _of_grad_sample(call: ast.Call) -> bool:
    """Is what is copied the attribute itself, be it the receiver or, in torch.tile(…), the first argument?"""
    assert isinstance(call.func, ast.Attribute)
    copied = call.args[0] if tail(call.func.value) in ("torch", "th") and call.args else call.func.value
    while isinstance(copied, ast.Call) and isinstance(copied.func, ast.Attribute) and copied.func.attr in SAME:
        copied = copied.func.value
    return isinstance(copied, ast.Attribute) and copied.attr == "grad_sample"
