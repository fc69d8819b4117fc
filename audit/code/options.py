"""Where a program's options get their values: defaults, assignments, settings files, command lines."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from audit.code.checkout import Checkout
from audit.code.shell import Command
from audit.code.source import Source
from audit.code.syntax import assigned, calls_to, keyword, strings, tail

Named = tuple[str, ast.expr | None]  # an option and what it is given
HOLDERS = ("Arguments", "Args", "Config", "Namespace", "Parameters", "dict")  # calls whose keywords are options


@dataclass(frozen=True)
class Value:
    """A literal value of an option. `tied`: the place is known to belong to the program, not only to lie near it."""

    source: Source
    line: int
    text: str
    tied: bool = True


def option_values(checkout: Checkout, programs: Sequence[Source], name: str) -> Iterator[Value]:
    """Every literal that an option of these files is given, as text; None is no value."""
    for source in programs:
        yield from _index(checkout)[source].get(name, ())
    yield from _in_settings(checkout, programs, name)
    for source, command in launches(checkout, programs):
        given = command.flag(name)
        if given is not None:
            yield Value(source, flag_line(source, command, name), given)


def launches(checkout: Checkout, programs: Sequence[Source]) -> Iterator[tuple[Source, Command]]:
    """Command lines that run one of these files; where several share a name, the one nearest to the command."""
    for source in checkout.sources:
        for command in source.commands:
            if command.script is not None and _script(checkout, source, command.script) in programs:
                yield source, command


def flag_line(source: Source, command: Command, name: str) -> int:
    """The line on which a command that goes over several lines has `--name`."""
    spelled = re.compile(rf"--{re.escape(name).replace('_', '[_-]')}\b")
    end = command.line - 1
    while end < len(source.lines) - 1 and source.lines[end].rstrip().endswith("\\"):
        if spelled.search(source.lines[end]):
            break
        end += 1
    return end + 1 if spelled.search(source.lines[end]) else command.line


def _script(checkout: Checkout, caller: Source, written: str) -> Source | None:
    name = written.rsplit("/", 1)[-1]
    fitting = [s for s in checkout.python if s.path.rsplit("/", 1)[-1] == name]
    near = [s for s in fitting if _folder(s) == _folder(caller)]
    ending = [s for s in fitting if s.path.endswith("/" + written.lstrip("./")) or s.path == written.lstrip("./")]
    chosen = near or (fitting if len(fitting) == 1 else ending)
    return chosen[0] if len(chosen) == 1 else None


def _folder(source: Source) -> str:
    return source.path.rpartition("/")[0]


@lru_cache(maxsize=1)
def _index(checkout: Checkout) -> dict[Source, dict[str, list[Value]]]:
    """All literals of all options, found in one pass, for several checks ask of several programs."""
    found: dict[Source, dict[str, list[Value]]] = {}
    for source in checkout.python:
        found[source] = defaultdict(list)
        for name, node in (*_flags(source), *_assignments(source), *_keywords(source), *_entries(source)):
            if isinstance(node, ast.Constant) and node.value is not None:
                found[source][name].append(Value(source, node.lineno, str(node.value)))
    return found


def _flags(source: Source) -> Iterator[Named]:
    for call in calls_to(source, {"add_argument"}):
        for argument in call.args:
            yield from ((_plain(text), keyword(call, "default")) for text in strings(argument))


def _assignments(source: Source) -> Iterator[Named]:
    """Also the fields of a dataclass, `seed: int = 1` and `seed: int = field(default=1)`."""
    for target, value, _ in assigned(source):
        default = keyword(value, "default") if isinstance(value, ast.Call) and tail(value) == "field" else value
        yield target.rsplit(".", 1)[-1].lower(), default


def _keywords(source: Source) -> Iterator[Named]:
    for call in source.calls:
        if tail(call).endswith(HOLDERS):
            yield from ((k.arg, k.value) for k in call.keywords if k.arg is not None)


def _entries(source: Source) -> Iterator[Named]:
    for node in source.nodes:
        if isinstance(node, ast.Dict):
            for key, item in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, item


def _plain(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def _in_settings(checkout: Checkout, programs: Sequence[Source], name: str) -> Iterator[Value]:
    """Settings in files that a program names, and, less surely, in those that lie in a program's top folder."""
    named = {text.rsplit("/", 1)[-1] for source in programs for text in source.file_names}
    tops = {source.path.split("/")[0] if "/" in source.path else "" for source in programs}
    for source in checkout.sources:
        if source.settings and ("" in tops or source.path.split("/")[0] in tops or "/" not in source.path):
            tied = source.path.rsplit("/", 1)[-1] in named
            yield from (Value(source, s.line, s.value, tied) for s in source.settings if s.key == name)
