"""The loop that a `module:factory` names. Importing runs that module's code: only what somebody typed comes here."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import fields
from pathlib import Path, PurePath

from audit.probes.step import Loop
from audit.types import NeighboringRelation, Sampler

FEWEST = 16
_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class ProbeError(ValueError):
    """A loop that cannot be probed; one line with what was expected."""


def load(name: str, *, folder: Path | None = None) -> Loop:
    """The `Loop` that the factory `name` returns.

    Args:
        name: "module:factory", as Python would import it.
        folder: looked in before the installed packages, e.g. the current one.

    Raises:
        ProbeError: not such a name, not importable, or what the factory returns is not a whole `Loop`.
    """
    if not _NAME.fullmatch(name):
        raise ProbeError(f"{name}: expected module:factory, e.g. my_loop:factory{_instead(name)}")
    module, _, factory = name.partition(":")
    if module.endswith(".py"):
        raise ProbeError(f"{name}: expected a module, got a file{_instead(name)}")
    if folder is not None and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    try:
        loop = getattr(importlib.import_module(module), factory)()
    except ModuleNotFoundError as error:
        places = "among the installed packages" if folder is None else f"in {folder} or among the installed packages"
        raise ProbeError(f"{name}: cannot be imported: there is no module {error.name} {places}") from None
    except (ImportError, AttributeError) as error:
        raise ProbeError(f"{name}: cannot be imported ({type(error).__name__}: {error}); is it on the path?") from None
    except Exception as error:  # whatever a stranger's module raises
        raise ProbeError(f"{name}: raised {type(error).__name__} while it was made: {error}") from None
    return checked(loop, name)


def _instead(name: str) -> str:
    """How to name the loop in a file, where a file is what was named."""
    path, _, factory = name.partition(":")
    file = PurePath(path)
    if file.suffix != ".py" or not file.stem.isidentifier():
        return ""
    where = "" if file.parent == PurePath() else f" in the folder {file.parent}"
    return f"; run `audit probe {file.stem}:{factory or 'factory'}`{where}"


def checked(loop: object, name: str = "loop") -> Loop:
    """`loop` as a `Loop`, whatever class offers its fields, else a ProbeError that says what is missing."""
    names = [field.name for field in fields(Loop)]
    missing = [field for field in names if not hasattr(loop, field)]
    if missing:
        raise ProbeError(f"{name}: expected a Loop (docs/probes.md), got {type(loop).__name__} without {missing[0]}")
    loop = Loop(**{field: getattr(loop, field) for field in names})
    if len(loop.records) < FEWEST:
        raise ProbeError(f"{name}: records: expected at least {FEWEST} to probe with, got {len(loop.records)}")
    for field in ("clip_norm", "noise_multiplier", "batch_size"):
        if not getattr(loop, field) > 0:
            raise ProbeError(f"{name}: {field}: expected a number above 0, got {getattr(loop, field)!r}")
    for field, kind in (("sampler", Sampler), ("neighboring_relation", NeighboringRelation)):
        if getattr(loop, field) not in [item.value for item in kind]:
            known = ", ".join(item.value for item in kind)
            raise ProbeError(f"{name}: {field}: expected one of {known}; got {getattr(loop, field)!r}")
    return loop
