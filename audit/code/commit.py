"""The commit that a checkout's HEAD names, read from its files; git is not run."""

from __future__ import annotations

import re
from pathlib import Path

from audit.code.files import regular

_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REF = re.compile(r"ref: (refs/[\w./-]+)")


def head(root: Path) -> str | None:
    """The full hash, or None where the folder is no checkout or names none."""
    git = root / ".git"
    if git.is_symlink() or not git.is_dir():
        return None
    text = _line(git / "HEAD")
    named = _REF.fullmatch(text)
    if named is None or ".." in named[1]:
        return text if _HASH.fullmatch(text) else None
    loose = _line(git / named[1])
    return loose if _HASH.fullmatch(loose) else _packed(git, named[1])


def _line(path: Path) -> str:
    return (regular(path, 1024) or b"").decode("utf-8", "replace").strip()


def _packed(git: Path, ref: str) -> str | None:
    for line in (regular(git / "packed-refs", 4 << 20) or b"").decode("utf-8", "replace").splitlines():
        value, _, name = line.partition(" ")
        if name.strip() == ref and _HASH.fullmatch(value):
            return value
    return None
