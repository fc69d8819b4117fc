"""Prices of earlier runs on disk. Values only, no data; the folder may be deleted at any time."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from audit.accounting.bracket import Bracket, Route

Answer = TypeVar("Answer", Bracket, float)
_SOURCES = Path(__file__).parent


def remembered(function: Callable[..., Answer], folder: Path | None, **inputs: object) -> Answer:
    """`function(**inputs)`, from `folder` if it was computed there before by the same code and libraries.

    None as folder computes anew. A file that cannot be read, or does not say what it should, is ignored.
    Processes may share the folder: files appear whole.
    """
    if folder is None:
        return function(**inputs)
    path = folder / f"{_key(function, inputs)}.json"
    stored = _read(path)
    if stored is not None:
        return stored  # type: ignore[return-value]
    answer = function(**inputs)
    _write(path, answer)
    return answer


def _key(function: Callable[..., object], inputs: dict[str, object]) -> str:
    named = {name: repr(value) for name, value in sorted(inputs.items())}
    what = json.dumps([function.__module__, function.__qualname__, named, _versions()], sort_keys=True)
    return hashlib.sha256(what.encode()).hexdigest()


@cache
def _versions() -> list[str]:
    """Libraries by version, and this package by the bytes of its sources: a change of either asks anew."""
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(_SOURCES.glob("*.py"))))
    return [sources.hexdigest(), *(version(name) for name in ("dp-accounting", "numpy", "scipy"))]


def _read(path: Path) -> Bracket | float | None:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(stored, float):
            return stored if math.isfinite(stored) else None
        routes = tuple(Route(**route) for route in stored.pop("routes"))
        return Bracket(**stored | {"assumptions": tuple(stored["assumptions"]), "routes": routes})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _write(path: Path, answer: Bracket | float) -> None:
    """Best effort: a folder that cannot be written to costs time, not the answer."""
    text = json.dumps(answer if isinstance(answer, float) else asdict(answer))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        return
