"""Are validation records drawn from the training file and left in it?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.source import Source
from audit.code.syntax import dotted, names, receiver, strings, tail, value_before, words
from audit.reading import Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "validation-drawn-from-train"
WRITES = {"to_json", "to_csv", "to_parquet", "to_pickle", "save_to_disk", "to_excel", "to_feather"}
MODULES = {"random", "pd", "pandas", "Dataset", "datasets"}
DRAWS = {"sample", "train_test_split", "select", "head", "tail", "choice", "choices", "take", "nlargest"}
VALIDATION = re.compile(r"(?<![a-z])(val|valid|validation|dev)(?![a-z])", re.IGNORECASE)
TRAIN = re.compile(r"(?<![a-z])train(ing)?(?![a-z])", re.IGNORECASE)
NAMES = {"val", "valid", "validation", "dev"}
FLAW = Flaw(
    Severity.LOW,
    "Validation records are drawn from the training file, and no training file without them is written. A score on "
    "them measures memory, and a choice by it is another look at private training data.",
    "Not seen: a step elsewhere that takes these records out of training.",
    "Draw the validation records first and take them out of the training file; choose and score again.",
)


@check(IDENT, "Are validation records drawn from the training file and left there?", needs=(Need.CODE,))
def validation_drawn_from_train(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    A file named for validation (val, valid, validation, dev) that is written from a part of what was read
    from a file named for training, in a program that writes no training file. In memory, as a pattern: a
    name for validation given a random or first part of a name for training that is used nowhere else in
    part.

    ## Why it matters

    Such a set does not see overfitting, so early stopping and model choice go by memory. Reading private
    records to choose is also an access outside the noisy training.

    ## What it cannot see

    A later step, in another program, that removes the records. Whether anything was chosen by the score.
    """
    sources = subject.checkout.python
    made = [(source, place) for source in sources for place in _made(source)]
    matches = [match for source in sources for match in (*_written(source), *_in_memory(source))]
    yield from answers(FLAW, subject.checkout, matches, lacking="" if made else "making of a validation set")


def _made(source: Source) -> Iterator[ast.AST]:
    """Writes of validation files, splits, and assignments to names for validation."""
    for node in source.nodes:
        splits = tail(node) in {"train_test_split", "random_split"}
        if isinstance(node, ast.Call) and (splits or _writes(node, VALIDATION)):
            yield node
    yield from (node for node in source.nodes if isinstance(node, ast.Assign) and _names_validation(node))


def _names_validation(node: ast.Assign) -> bool:
    return any(isinstance(t, ast.Name) and bool(words(t.id) & NAMES) for t in node.targets)


def _writes(call: ast.Call, kind: re.Pattern[str]) -> bool:
    named = [text for argument in call.args for text in strings(argument)]
    return tail(call) in WRITES and bool(named) and kind.search(named[-1]) is not None


def _writes_training(call: ast.Call) -> bool:
    """A write to a file named for training, or of something named so; also open("train.csv", "w")."""
    named = any("train" in words(tail(node)) for node in receiver(call) if isinstance(node, ast.Name))
    texts = [text for argument in [*call.args, *(k.value for k in call.keywords)] for text in strings(argument)]
    opened = tail(call) == "open" and any(re.fullmatch("[wax][bt+]*", text) for text in texts)
    return (tail(call) in WRITES and named) or _writes(call, TRAIN) or (opened and any(map(TRAIN.search, texts)))


def _written(source: Source) -> Iterator[Match]:
    if any(_writes_training(call) for call in source.calls):
        return
    for call in source.calls:
        if _writes(call, VALIDATION):
            chain = list(_origin(source, call))
            if any(_draws(n) for n in chain) and any(_reads_training(n) for n in chain):
                yield Match(source, call.lineno, "written from a part of the training file")


def _origin(source: Source, call: ast.Call) -> Iterator[ast.AST]:
    """What a call is made on, back through chains and through up to four names."""
    node: ast.AST = call
    for _ in range(5):
        last = node
        for last in receiver(node):
            yield last
            given = _given(last)
            if given is not None:
                last = given
                yield last
                break
        earlier = value_before(source, last.id, last.lineno) if isinstance(last, ast.Name) else None
        if earlier is None:
            return
        node = earlier


def _given(node: ast.AST) -> ast.expr | None:
    """The rows in random.sample(rows, k) and pd.DataFrame(rows)."""
    if not (isinstance(node, ast.Call) and node.args and tail(node) in {"sample", "choices", "DataFrame", "from_list"}):
        return None
    return node.args[0] if dotted(node.func).split(".")[0] in MODULES else None


def _draws(node: ast.AST) -> bool:
    """Does it take a part: a draw, a selection, a slice?"""
    sliced = isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice)
    return sliced or (isinstance(node, ast.Call) and tail(node) in DRAWS)


def _reads_training(node: ast.AST) -> bool:
    """A call that reads a file whose name says train: read_csv("train.csv"), load_dataset(…, split="train")."""
    if not isinstance(node, ast.Call) or not re.match("read|load|from_|open", tail(node)):
        return False
    named = [text for argument in [*node.args, *(k.value for k in node.keywords)] for text in strings(argument)]
    return bool(named) and TRAIN.search(named[-1]) is not None


def _in_memory(source: Source) -> Iterator[Match]:
    for node in source.nodes:
        if isinstance(node, ast.Assign) and _names_validation(node):
            drawn = _drawn_from(node.value)
            if drawn and "train" in words(drawn) and not _used_in_part(source, drawn, node):
                yield Match(source, node.lineno, f"a part of {drawn}", read=False)


def _drawn_from(value: ast.expr) -> str:
    """The name that a random or first part is taken of, or ""."""
    given = _given(value)
    if given is not None:
        return tail(given)
    chain = list(receiver(value))
    drawn = any(_draws(n) and tail(n) != "train_test_split" for n in chain)
    return chain[-1].id if drawn and isinstance(chain[-1], ast.Name) else ""


def _used_in_part(source: Source, name: str, apart: ast.Assign) -> bool:
    """Is another part of it taken, or is it assigned anew, anywhere else in the file?"""
    inside = set(ast.walk(apart))
    for node in source.nodes:
        if node in inside:
            continue
        if isinstance(node, ast.Subscript | ast.Attribute) and name in names(node.value) and _is_part(node):
            return True
        if isinstance(node, ast.Assign) and any(tail(t) == name for t in node.targets) and name in names(node.value):
            return True
    return False


def _is_part(node: ast.Subscript | ast.Attribute) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in DRAWS | {"drop", "filter", "skip", "iloc", "loc", "difference", "isin", "remove"}
    return isinstance(node.slice, ast.Slice | ast.UnaryOp | ast.Compare | ast.Call | ast.Name)
