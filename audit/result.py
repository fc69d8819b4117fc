"""AuditResult to and from result.json: the one place that knows the format."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from audit.files import write_atomically
from audit.types import RESULT_VERSION, AuditResult

EXPECTED = "expected a result.json written by `audit run`"
NAME_IT = "name the result.json in the folder of an audit"


class ResultError(ValueError):
    """A result.json that cannot be read; one line: file, place, what was expected, what to do."""


def to_json(result: AuditResult) -> str:
    """The result as text: sorted keys, two-space indent, ∞ as "inf", a final newline. Same result, same bytes."""
    body = result.model_dump(mode="json")
    return json.dumps(body, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write(result: AuditResult, path: Path) -> None:
    write_atomically(path, to_json(result))


def read(path: Path) -> AuditResult:
    """The result stored in `path`.

    Raises:
        ResultError: not JSON, another version of the format, or not a result at all.
    """
    body = _body(path)
    if not isinstance(body, dict) or not {"version", "paper", "outcomes"} <= set(body):
        raise ResultError(f"{path}: {EXPECTED}, found other JSON; {NAME_IT}")
    if body["version"] != RESULT_VERSION:
        raise ResultError(f"{path}: expected version {RESULT_VERSION} of the result format; run the audit again")
    try:
        return AuditResult.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ResultError(f"{path}: {place}: {first['msg']}; run the audit again") from None


def _body(path: Path) -> Any:
    """The JSON in `path`, in the words of somebody who named the wrong file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except IsADirectoryError:
        inside = path / "result.json"
        there = f"name {inside}" if inside.is_file() else f"it holds no result.json; {NAME_IT}"
        raise ResultError(f"{path}: {EXPECTED}, found a folder; {there}") from None
    except OSError as error:
        raise ResultError(f"{path}: {EXPECTED}, but it cannot be read: {error.strerror}; {NAME_IT}") from None
    except ValueError:
        raise ResultError(f"{path}: {EXPECTED}, found a file that is not JSON in UTF-8; {NAME_IT}") from None


def find(folders: Sequence[Path]) -> list[Path]:
    """Every result.json in or below the folders, each once, in the order of the folders and then of the paths.

    Raises:
        ResultError: a folder that is none, or holds no result.
    """
    found: list[Path] = []
    for folder in folders:
        here = sorted(folder.rglob("result.json")) if folder.is_dir() else []
        if not here:
            raise ResultError(f"{folder}: expected a folder with a result.json written by `audit run`, found none")
        found += here
    return list({path.resolve(): path for path in found}.values())


def folder(path: Path, page: Path) -> str:
    """The folder of the result `path` as seen from `page`; its own name where the page lies in it too."""
    seen = Path(os.path.relpath(path.parent, page.parent)).as_posix()
    return path.parent.resolve().name if seen == "." else seen


def link(report: Path, page: Path) -> str | None:
    """The address of `report` for a link on `page`, None where there is no such file."""
    if not report.is_file():
        return None
    return quote(Path(os.path.relpath(report, page.parent)).as_posix())
