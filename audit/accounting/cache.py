"""Prices kept on disk: one small JSON file each, safe to delete at any time, shared by any processes.

The key is the function, its inputs, and the versions that could change its value: the sources of this
package, dp_accounting, numpy and scipy. Only settings and prices are stored, never data.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from audit.accounting.bracket import Bracket, Route
from audit.accounting.threads import one_thread

T = TypeVar("T")
_LIBRARIES = ("dp-accounting", "numpy", "scipy")


def cached(directory: Path | None, function: str, inputs: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
    """The JSON value of `compute()`, from `directory` where it is there already; None: no cache.

    It is computed in one thread, so that it is the same whoever asks first.
    A file that cannot be read is ignored and replaced; a directory that cannot be written is no error.
    """
    if directory is None:
        return _computed(compute)
    path = Path(directory) / f"{_key(function, inputs)}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        return json.loads(path.read_text(encoding="utf-8"))["value"]
    value = _computed(compute)
    with suppress(OSError):
        _write(path, {"function": function, "inputs": dict(inputs), "value": value})
    return value


def cached_bracket(
    directory: Path | None, function: str, inputs: Mapping[str, Any], compute: Callable[[], Bracket]
) -> Bracket:
    """`cached` for a Bracket; an entry that is no legal bracket is recomputed."""
    if directory is None:
        return _computed(compute)
    fresh: list[Bracket] = []

    def as_json() -> Any:
        fresh.append(compute())
        return asdict(fresh[0])

    stored = cached(directory, function, inputs, as_json)
    if fresh:
        return fresh[0]
    try:
        return _bracket(stored)
    except (ValueError, KeyError, TypeError):
        (Path(directory) / f"{_key(function, inputs)}.json").unlink(missing_ok=True)
        return cached_bracket(directory, function, inputs, compute)


def _computed(compute: Callable[[], T]) -> T:
    with one_thread():
        return compute()


def _bracket(stored: Any) -> Bracket:
    routes = tuple(Route(**route) for route in stored["routes"])
    return Bracket(**{**stored, "assumptions": tuple(stored["assumptions"]), "routes": routes})


def _key(function: str, inputs: Mapping[str, Any]) -> str:
    facts = {"function": function, "inputs": dict(inputs), "versions": _versions()}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@cache
def _versions() -> dict[str, str]:
    sources = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sources.update(path.name.encode() + b"\0" + path.read_bytes())
    return {"audit.accounting": sources.hexdigest()} | {name: version(name) for name in _LIBRARIES}


def _write(path: Path, entry: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(entry, file, sort_keys=True)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
