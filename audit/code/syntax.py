"""Questions to syntax trees that several checks ask. None of them recurses, however deep a tree is."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator

from audit.code.source import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef
Loop = ast.For | ast.AsyncFor | ast.While
UPDATES = {"step", "backward", "training_step", "train_step"}


def dotted(node: ast.AST) -> str:
    """`a.b.c` for names and attributes; what is neither is left out, as in `().c` for `f().c`."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    parts.append(node.id if isinstance(node, ast.Name) else "()")
    return ".".join(reversed(parts))


def tail(node: ast.AST) -> str:
    """The last name of a name, an attribute, or of what a call calls; "" for anything else."""
    node = node.func if isinstance(node, ast.Call) else node
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def calls_to(source: Source, names: Collection[str]) -> Iterator[ast.Call]:
    """Calls of anything whose last name is one of `names`."""
    return (call for call in source.calls if tail(call) in names)


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == name), None)


def is_constant(node: ast.AST | None, value: object) -> bool:
    """Is it this very constant? 0 is not False."""
    return isinstance(node, ast.Constant) and type(node.value) is type(value) and bool(node.value == value)


def identifiers(node: ast.AST) -> set[str]:
    """Every name and attribute below a node."""
    return {tail(n) for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute)}


def names(node: ast.AST) -> set[str]:
    """Every plain name below a node."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def strings(node: ast.AST) -> Iterator[str]:
    """Every string constant below a node, also the fixed parts of f-strings."""
    return (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def words(name: str) -> set[str]:
    """The words of an identifier or a path: `valLoader_2` -> val, loader, 2."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)}


def around(source: Source, node: ast.AST) -> Iterator[ast.AST]:
    """What a node stands in, from the inside out."""
    while node in source.parents:
        node = source.parents[node]
        yield node


def function_around(source: Source, node: ast.AST) -> Function | None:
    return next((n for n in around(source, node) if isinstance(n, Function)), None)


def class_around(source: Source, node: ast.AST) -> ast.ClassDef | None:
    return next((n for n in around(source, node) if isinstance(n, ast.ClassDef)), None)


def loop_around(source: Source, node: ast.AST) -> Loop | None:
    """The innermost loop that a node stands in, within its own function."""
    for outer in around(source, node):
        if isinstance(outer, Loop):
            return outer
        if isinstance(outer, Function | ast.Lambda):
            return None
    return None


def is_update(node: ast.AST) -> bool:
    """Is it a call that computes gradients or moves parameters?"""
    return isinstance(node, ast.Call) and tail(node) in UPDATES and isinstance(node.func, ast.Attribute)


def assigned(source: Source) -> Iterator[tuple[str, ast.expr, int]]:
    """(dotted target, value, line) of every plain or annotated assignment, in the order of the file."""
    for node in source.nodes:
        if isinstance(node, ast.Assign):
            yield from ((dotted(target), node.value, node.lineno) for target in node.targets)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            yield dotted(node.target), node.value, node.lineno


def value_before(source: Source, name: str, line: int) -> ast.expr | None:
    """What was last assigned to a dotted name above a line."""
    found = [value for target, value, at in assigned(source) if target == name and at < line]
    return found[-1] if found else None


def receiver(node: ast.AST) -> Iterator[ast.AST]:
    """A call or attribute chain from the outside in: `df.sample(3).to_json(p)` -> itself, df.sample(3), df."""
    while True:
        yield node
        if isinstance(node, ast.Call):
            node = node.func
        if isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Await):
            node = node.value
        elif isinstance(node, ast.Name) or not isinstance(node, ast.Call):
            return
