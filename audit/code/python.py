"""Python text to a syntax tree, also cell by cell from a notebook. Whatever the bytes are, nothing is executed."""

from __future__ import annotations

import ast
import json
import re
import warnings
from dataclasses import dataclass, field
from typing import Any

from audit.code.shell import Command, commands

_MAGIC = re.compile(r"(\s*)([%!?].*|[\w.]+\?{1,2}\s*)")
_ASSIGNED = re.compile(r"(\s*\w[\w.,]*\s*=\s*)[%!].*")
_SHELL_CELLS = ("%%bash", "%%sh", "%%script bash", "%%script sh")
_PLAIN_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun")


@dataclass
class Cells:
    """A notebook's code cells as one module; line n of it is line `places[n-1][1]` of cell `places[n-1][0]`."""

    lines: list[str] = field(default_factory=list)
    places: list[tuple[int, int]] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    bad: list[int] = field(default_factory=list)  # numbers of cells that are no Python


def text_of(data: bytes) -> str:
    """Decoded as UTF-8, else byte by byte; a coding line is not obeyed. Lines end in a newline alone."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(text: str) -> ast.Module | str:
    """The syntax tree, or in a few words why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except SyntaxError as error:
        return f"not this Python's syntax at line {error.lineno}"
    except (ValueError, RecursionError, MemoryError):
        return "no Python that can be parsed"


def cells(data: bytes) -> Cells | str:
    """The code cells of a notebook, or in a few words why there are none."""
    try:
        book = json.loads(text_of(data))
    except (ValueError, RecursionError):
        return "no notebook: not JSON"
    listed = book.get("cells") if isinstance(book, dict) else None
    if not isinstance(listed, list):
        return "no notebook of format 4: no list of cells"
    found = Cells()
    for number, cell in enumerate(listed, 1):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            _add(found, number, _source(cell.get("source")))
    return found


def _source(source: Any) -> list[str]:
    parts = source if isinstance(source, list) else [source]
    text = "".join(part for part in parts if isinstance(part, str))
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _add(found: Cells, number: int, lines: list[str]) -> None:
    """Append one cell: shell cells as commands, lines for IPython blanked, a cell that is no Python blanked whole."""
    before = len(found.lines)
    first = lines[0].strip()
    if first.startswith(_SHELL_CELLS):
        found.commands += _moved(commands(("", *lines[1:])), before)
        plain = [""] * len(lines)
    elif first.startswith("%%") and not first.startswith(_PLAIN_CELLS):
        plain = [""] * len(lines)
    else:
        shell = tuple(line.lstrip()[1:] if line.lstrip().startswith("!") else "" for line in lines)
        found.commands += _moved(commands(shell), before)
        plain = next((some for some in (lines, [_without_magic(line) for line in lines]) if _parses(some)), [])
        if not plain:
            found.bad.append(number)
            plain = [""] * len(lines)
    found.lines += plain
    found.places += [(number, line) for line in range(1, len(lines) + 1)]


def _moved(some: tuple[Command, ...], by: int) -> list[Command]:
    return [Command(command.words, command.line + by) for command in some]


def _parses(lines: list[str]) -> bool:
    return isinstance(parse("\n".join(lines)), ast.Module)


def _without_magic(line: str) -> str:
    assigned = _ASSIGNED.fullmatch(line[:2000])
    if assigned:
        return f"{assigned[1]}None"
    magic = _MAGIC.fullmatch(line[:2000])
    return f"{magic[1]}pass" if magic else line
