"""One file of released code, ready to be asked about: its lines, and its syntax tree, commands or settings."""

from __future__ import annotations

import ast
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from audit.code import python, shell
from audit.code.files import File, Note
from audit.code.shell import Command, Setting

QUOTED = 160  # characters of a line that are shown


def shown(text: str, limit: int = QUOTED) -> str:
    """`text` on one line, control and invisible characters escaped, cut to `limit` characters."""
    cut = text.strip()[: limit + 1]
    escaped = "".join(f"\\u{ord(c):04x}" if unicodedata.category(c)[0] in "CZ" and c != " " else c for c in cut)
    return escaped if len(escaped) <= limit else escaped[: limit - 1] + "…"


@dataclass(frozen=True, eq=False)
class Source:
    """A file that could be read. `tree` is None for what is not Python; `cells` places the lines of a notebook."""

    path: str
    lines: tuple[str, ...]
    tree: ast.Module | None = None
    commands: tuple[Command, ...] = ()
    settings: tuple[Setting, ...] = ()
    cells: tuple[tuple[int, int], ...] = ()

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of the tree, in the order in which they stand in the file."""
        found = list(ast.walk(self.tree)) if self.tree else []
        return tuple(sorted(found, key=lambda n: (getattr(n, "lineno", 0), getattr(n, "col_offset", 0))))

    @cached_property
    def calls(self) -> tuple[ast.Call, ...]:
        return tuple(node for node in self.nodes if isinstance(node, ast.Call))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    @cached_property
    def file_names(self) -> frozenset[str]:
        """String constants that may name a settings file."""
        texts = (n.value for n in self.nodes if isinstance(n, ast.Constant) and isinstance(n.value, str))
        return frozenset(text for text in texts if text.endswith((".json", ".yaml", ".yml")))

    def place(self, line: int) -> str:
        """Where a line stands: `path:line`, and for a notebook the cell and the line in it."""
        path = shown(self.path, 400)
        if self.cells:
            cell, inside = self.cells[line - 1]
            return f"{path}, cell {cell}, line {inside}"
        return f"{path}:{line}"

    def quoted(self, line: int) -> str:
        """The line as it may be shown."""
        return shown(self.lines[line - 1]) if 0 < line <= len(self.lines) else ""


def source_of(file: File) -> tuple[Source | None, list[Note]]:
    """A file as a source, with notes on what of it could not be read."""
    if file.kind == "notebook":
        return _notebook(file)
    lines = tuple(python.text_of(file.data).split("\n"))
    if file.kind == "python":
        tree = python.parse("\n".join(lines))
        if isinstance(tree, str):
            return None, [Note(file.path, tree)]
        return Source(file.path, lines, tree), []
    if file.kind == "settings":
        return Source(file.path, lines, settings=shell.settings(lines)), []
    read = shell.commands if file.kind == "shell" else shell.in_markdown
    return Source(file.path, lines, commands=read(lines)), []


def _notebook(file: File) -> tuple[Source | None, list[Note]]:
    cells = python.cells(file.data)
    if isinstance(cells, str):
        return None, [Note(file.path, cells)]
    tree = python.parse("\n".join(cells.lines))
    notes = [Note(file.path, f"cell {number} is no Python that can be parsed") for number in cells.bad]
    if isinstance(tree, str):
        return None, [*notes, Note(file.path, tree)]
    lines, places = tuple(cells.lines), tuple(cells.places)
    return Source(file.path, lines, tree, tuple(cells.commands), cells=places), notes
