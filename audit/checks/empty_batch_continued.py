"""Does the training loop pass over batches that Poisson sampling left empty?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.source import Source
from audit.code.syntax import Loop, identifiers, is_constant, is_update, names, tail
from audit.reading import NO_ENGINE, Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "empty-batch-continued"
SIZES = {"len", "numel", "size", "nelement"}
FLAW = Flaw(
    Severity.MEDIUM,
    "The private training loop continues at an empty batch, without noise and without a step, where the accounting "
    "has a noised step.",
    "Not seen: how often a batch is empty; with batches of hundreds it never happens. The check "
    "empty-batch-skipped computes what it adds to δ where the sizes are on the card.",
    "Add noise and take the step for every batch, also for an empty one.",
)


@check(IDENT, "Does private training skip empty batches?", needs=(Need.CODE,))
def empty_batch_continued(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    In loops that update parameters beside a privacy engine: `continue` under a test whether the batch is
    empty (`len(batch) == 0`, `not batch`, `x.shape[0] == 0`, …). A test whether the batch is a list, which
    is what an empty batch of dictionaries becomes, is a pattern, and so is a loop over something that is
    named neither for a loader nor for batches.

    ## Why it matters

    Poisson sampling leaves a batch empty now and then. A step without noise can be told from a noised one,
    and tells whoever knows all other records that the last one was not drawn, or was. The accounting of
    arXiv 1607.00133 has noise in every step. A memory manager that splits batches may also lose count.

    ## What it cannot see

    How likely an empty batch is. Steps that a library skips, and batches below a size limit.
    """
    checkout = subject.checkout
    loops = [(s, node) for s in checkout.private for node in s.nodes if isinstance(node, ast.For) and _trains(node)]
    matches = [match for source, loop in loops for match in _matches(source, loop)]
    lacking = "" if loops else "training loop beside a privacy engine" if checkout.engines else NO_ENGINE
    yield from answers(FLAW, checkout, matches, lacking=lacking)


def _trains(loop: ast.For) -> bool:
    return any(is_update(node) for node in ast.walk(loop))


def _matches(source: Source, loop: ast.For) -> Iterator[Match]:
    batch = names(loop.target)
    sure = any(re.search("load|batch", name, re.IGNORECASE) for name in identifiers(loop.iter) | batch)
    for node in loop.body:
        if isinstance(node, ast.Assign) and names(node.value) & batch:
            batch |= {name for target in node.targets for name in names(target)}
    for node in _body(loop):
        if isinstance(node, ast.If) and any(isinstance(inner, ast.Continue) for inner in node.body):
            for test in node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]:
                if names(test) & batch and (_is_empty(test) or _is_list(test)):
                    yield Match(source, node.lineno, "an empty batch is passed over", read=sure and _is_empty(test))


def _body(loop: ast.For) -> Iterator[ast.stmt]:
    """The statements of a loop's body, also in blocks, but not those of inner loops."""
    todo: list[ast.stmt] = list(loop.body)
    while todo:
        node = todo.pop(0)
        yield node
        if not isinstance(node, Loop | ast.FunctionDef | ast.ClassDef):
            todo += [inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)]


def _is_empty(test: ast.expr) -> bool:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return isinstance(test.operand, ast.Name) or _is_size(test.operand)
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and _is_size(test.left)):
        return False
    other = test.comparators[0]
    none = isinstance(test.ops[0], ast.Eq | ast.LtE) and is_constant(other, 0)
    return none or (isinstance(test.ops[0], ast.Lt) and is_constant(other, 1))


def _is_size(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return tail(node.value) in {"shape", "size"} and is_constant(node.slice, 0)
    return isinstance(node, ast.Call) and tail(node) in SIZES


def _is_list(test: ast.expr) -> bool:
    """isinstance(batch, list), type(batch) == list, type(batch) is list."""
    if isinstance(test, ast.Call) and tail(test) == "isinstance" and len(test.args) == 2:
        return tail(test.args[1]) == "list"
    if not (isinstance(test, ast.Compare) and tail(test.left) == "type"):
        return False
    return isinstance(test.ops[0], ast.Eq | ast.Is) and tail(test.comparators[0]) == "list"
