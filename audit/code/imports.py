"""Which files of a checkout belong together: those that a file reaches by imports, and those that reach it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from audit.code.source import Source

Graph = Mapping[str, frozenset[str]]  # path -> paths of the files it imports


def import_graph(sources: Sequence[Source]) -> Graph:
    """Imports among the files of a checkout. A name that fits several files equally well links none."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        if source.tree is not None and source.path.endswith(".py"):
            by_name[_module(source.path)[-1]].append(source.path)
    return {
        source.path: frozenset(
            path for wanted in _wanted(source) if (path := _resolve(source.path, wanted, by_name)) is not None
        )
        for source in sources
        if source.tree is not None
    }


def reached(graph: Graph, start: str) -> frozenset[str]:
    """`start` and every file that it imports, directly or not."""
    seen, todo = {start}, [start]
    while todo:
        for path in graph.get(todo.pop(), frozenset()) - seen:
            seen.add(path)
            todo.append(path)
    return frozenset(seen)


def beside(graph: Graph, start: str) -> frozenset[str]:
    """`start`, what it imports, and what imports it."""
    backward: dict[str, set[str]] = defaultdict(set)
    for path, imported in graph.items():
        for other in imported:
            backward[other].add(path)
    return reached(graph, start) | reached({p: frozenset(some) for p, some in backward.items()}, start)


def _module(path: str) -> list[str]:
    parts = path.removesuffix(".py").split("/")
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts


def _wanted(source: Source) -> Iterator[tuple[list[str], bool]]:
    """Module names as lists of parts, and whether they are anchored at the checkout's root (relative imports)."""
    folder = source.path.split("/")[:-1]
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name.split("."), False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            up = folder[: len(folder) - node.level + 1] if node.level else []
            named = [[*up, *parts, alias.name] for alias in node.names]
            yield from ((name, node.level > 0) for name in ([*up, *parts], *named) if name)


def _resolve(importer: str, wanted: tuple[list[str], bool], by_name: Mapping[str, list[str]]) -> str | None:
    """The file that an import names: the one that shares the longest path with the importer."""
    parts, anchored = wanted
    fitting = [p for p in by_name.get(parts[-1], ()) if _fits(_module(p), parts, anchored) and p != importer]
    if not fitting:
        return None
    ranked = sorted(fitting, key=lambda path: _shared(path, importer), reverse=True)
    tie = len(ranked) > 1 and _shared(ranked[0], importer) == _shared(ranked[1], importer)
    return None if tie else ranked[0]


def _fits(module: list[str], parts: list[str], anchored: bool) -> bool:
    return module == parts if anchored else module[-len(parts) :] == parts


def _shared(one: str, other: str) -> int:
    pairs = zip(one.split("/")[:-1], other.split("/")[:-1], strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(one.count("/"), other.count("/")))
