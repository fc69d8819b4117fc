"""A checkout of released code, read: its sources, what could not be read, and where private training happens."""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

from audit.code.commit import head
from audit.code.files import File, Note, read_files
from audit.code.imports import Graph, beside, import_graph
from audit.code.source import Source, source_of
from audit.code.syntax import is_update, tail

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
WRAPPER = "GradSampleModule"
MAX_ENGINES = 100  # files with an engine that are looked at


@dataclass(frozen=True, eq=False)
class Checkout:
    """What was read of a folder with released code. Paths are relative to it."""

    sources: tuple[Source, ...] = ()
    notes: tuple[Note, ...] = ()
    commit: str | None = None
    sha256: str = ""  # of the paths and bytes of everything read

    @cached_property
    def python(self) -> tuple[Source, ...]:
        """Python files and notebooks."""
        return tuple(source for source in self.sources if source.tree is not None)

    @cached_property
    def imports(self) -> Graph:
        return import_graph(self.sources)

    @cached_property
    def engines(self) -> tuple[Source, ...]:
        """Files that train with a privacy engine; the first hundred, where there are more."""
        return tuple(islice((source for source in self.python if _uses_engine(source)), MAX_ENGINES))

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
    """Does it use one to train? A wrapped model alone may be one that only generates."""
    loaded = (n for n in source.nodes if isinstance(n, ast.Name | ast.Attribute) and isinstance(n.ctx, ast.Load))
    used = ENGINES.intersection(tail(node) for node in loaded)
    return bool(used - {WRAPPER}) or (bool(used) and any(is_update(node) for node in source.nodes))


def read_checkout(root: Path, *, tests: bool = False) -> Checkout:
    """Everything that is read of a checkout; `tests` reads test code too. Never raises for what is in it."""
    files, notes = read_files(root, tests=tests)
    read = [source_of(file) for file in files]
    sources = tuple(source for source, _ in read if source is not None)
    notes += [note for _, some in read for note in some]
    more = [source for source in sources if source.tree is not None and _uses_engine(source)][MAX_ENGINES:]
    notes += [Note(source.path, f"one of more than {MAX_ENGINES} with a privacy engine") for source in more[:1]]
    ordered = tuple(sorted(notes, key=lambda note: (note.path, note.why)))
    return Checkout(sources, ordered, head(root), _digest(files))


def _digest(files: Sequence[File]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(os.fsencode(file.path) + b"\0" + hashlib.sha256(file.data).digest())
    return digest.hexdigest()
