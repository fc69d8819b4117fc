"""A checkout of released code, read: its sources, what could not be read, and where private training happens."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from audit.code.commit import head
from audit.code.files import Note, read_files
from audit.code.imports import Graph, beside, import_graph
from audit.code.source import Source, source_of
from audit.code.syntax import tail

# Names of libraries for training under differential privacy, as they are used, not as they are imported.
ENGINES = {
    "PrivacyEngine",
    "make_private",
    "make_private_with_epsilon",
    "GradSampleModule",
    "DPOptimizer",
    "DistributedDPOptimizer",
    "OpacusDPTrainer",
    "DPKerasSGDOptimizer",
    "DPKerasAdamOptimizer",
    "DPGradientDescentGaussianOptimizer",
    "DPAdamGaussianOptimizer",
}


@dataclass(frozen=True, eq=False)
class Checkout:
    """What was read of a folder with released code. Paths are relative to it."""

    sources: tuple[Source, ...] = ()
    notes: tuple[Note, ...] = ()
    commit: str | None = None

    @cached_property
    def python(self) -> tuple[Source, ...]:
        """Python files and notebooks."""
        return tuple(source for source in self.sources if source.tree is not None)

    @cached_property
    def imports(self) -> Graph:
        return import_graph(self.sources)

    @cached_property
    def engines(self) -> tuple[Source, ...]:
        """Files that use a privacy engine."""
        return tuple(source for source in self.python if _uses_engine(source))

    @cached_property
    def trainings(self) -> tuple[tuple[Source, ...], ...]:
        """For each file with a privacy engine: itself, what it imports and what imports it."""
        found = dict.fromkeys(beside(self.imports, engine.path) for engine in self.engines)
        return tuple(tuple(s for s in self.python if s.path in paths) for paths in found)

    @cached_property
    def private(self) -> tuple[Source, ...]:
        """Every file that stands beside a privacy engine."""
        paths = {source.path for training in self.trainings for source in training}
        return tuple(source for source in self.python if source.path in paths)


def _uses_engine(source: Source) -> bool:
    return any(
        tail(node) in ENGINES
        for node in source.nodes
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


def read_checkout(root: Path, *, tests: bool = False) -> Checkout:
    """Everything that is read of a checkout; `tests` reads test code too. Never raises for what is in it."""
    files, notes = read_files(root, tests=tests)
    read = [source_of(file) for file in files]
    sources = tuple(source for source, _ in read if source is not None)
    unread = [note for _, some in read for note in some]
    return Checkout(sources, tuple(sorted([*notes, *unread], key=lambda note: (note.path, note.why))), head(root))
