"""Which files of a checkout belong together: those that a file reaches by imports, and those that reach it."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from audit.code.source import Source

MOST_FITTING = 200  # files of one name among which the nearest is looked for
Graph = Mapping[str, frozenset[str]]  # path -> paths of the files it imports


def import_graph(sources: Sequence[Source]) -> Graph:
    """Imports among the files of a checkout. A name that fits several files equally well links none."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for source in sources:
        if source.tree is not None and source.path.endswith(".py"):
            parts = _module(source.path)
            for start in range(len(parts)):
                by_name[".".join(parts[start:])].append(source.path)
    return {
        source.path: frozenset(
            path for wanted in set(_wanted(source)) if (path := _resolve(source.path, wanted, by_name)) is not None
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


def _wanted(source: Source) -> Iterator[tuple[str, bool]]:
    """Dotted module names, and whether they are anchored at the checkout's root (relative imports)."""
    folder = source.path.split("/")[:-1]
    for node in source.nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            up = folder[: len(folder) - node.level + 1] if node.level else []
            named = [[*up, *parts, alias.name] for alias in node.names]
            yield from ((".".join(name), node.level > 0) for name in ([*up, *parts], *named) if name)


def _resolve(importer: str, wanted: tuple[str, bool], by_name: Mapping[str, list[str]]) -> str | None:
    """The file that an import names: the one that shares the longest path with the importer."""
    name, anchored = wanted
    fitting = [path for path in by_name.get(name, ()) if path != importer]
    if anchored:
        return next((path for path in fitting if ".".join(_module(path)) == name), None)
    if not 0 < len(fitting) <= MOST_FITTING:
        return None
    ranked = sorted(fitting, key=lambda path: _shared(path, importer), reverse=True)
    tie = len(ranked) > 1 and _shared(ranked[0], importer) == _shared(ranked[1], importer)
    return None if tie else ranked[0]


def _shared(one: str, other: str) -> int:
    pairs = zip(one.split("/")[:-1], other.split("/")[:-1], strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(one.count("/"), other.count("/")))
