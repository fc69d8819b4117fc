"""Which files of a checkout are read: regular files below it, by ending, within limits. Links are never followed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_ENTRIES = 100_000  # directory entries looked at
MAX_FILES = 4_000
MAX_DEPTH = 24
MAX_TOTAL = 8 << 20  # bytes read of a checkout
MAX_BYTES = {"python": 400 << 10, "notebook": 8 << 20, "shell": 200 << 10, "text": 200 << 10, "settings": 64 << 10}
KINDS = {
    ".py": "python",
    ".ipynb": "notebook",
    ".sh": "shell",
    ".bash": "shell",
    ".sbatch": "shell",
    ".slurm": "shell",
    ".md": "text",
    ".json": "settings",
    ".yaml": "settings",
    ".yml": "settings",
}
ORDER = tuple(MAX_BYTES)  # which kinds are read first where there is more than the limits allow
PROGRAMS = ("python", "notebook", "shell")  # what is worth a note when it is left out
UNREAD_FOLDERS = {"node_modules", "__pycache__", "venv", "env", "build", "dist"}
TEST_FOLDERS = {"test", "tests"}
TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py|conftest\.py")


@dataclass(frozen=True)
class Note:
    """A file, or a part of one, that was not read, and why."""

    path: str
    why: str


@dataclass(frozen=True)
class File:
    path: str  # relative to the checkout, with slashes
    kind: str
    data: bytes


def is_test(path: str) -> bool:
    """Is it test code by its name? Tests exercise parts; they are not the training behind a claim."""
    *folders, name = path.split("/")
    return bool(TEST_FOLDERS.intersection(folders)) or TEST_FILE.fullmatch(name) is not None


def read_files(root: Path, *, tests: bool = False) -> tuple[list[File], list[Note]]:
    """Files of a checkout that are worth reading, in alphabetical order, and notes on those left out.

    Hidden folders, virtual environments, build folders and (unless `tests`) test code are passed over silently.
    """
    notes: list[Note] = []
    found = [path for path in _walk(root, notes) if tests or not is_test(path)]
    found.sort(key=lambda path: (ORDER.index(_kind(path)), path))
    late = [path for path in found[MAX_FILES:] if _kind(path) in PROGRAMS]
    if late:
        notes.append(Note(late[0], f"and later ones: more than {MAX_FILES:,} files"))
    files: list[File] = []
    left = MAX_TOTAL
    for path in found[:MAX_FILES]:
        read = _read(root, path, left)
        if isinstance(read, Note):
            notes += [read] if _kind(path) in PROGRAMS else []
        else:
            files.append(File(path, _kind(path), read))
            left -= len(read)
    return sorted(files, key=lambda file: file.path), sorted(notes, key=lambda note: note.path)


def _kind(path: str) -> str:
    return KINDS[os.path.splitext(path)[1].lower()]


def _walk(root: Path, notes: list[Note]) -> Iterator[str]:
    """Relative paths of files with a known ending, folder by folder."""
    todo, seen = [("", 0)], 0
    while todo:
        folder, depth = todo.pop()
        try:
            with os.scandir(root / folder) as entries:
                names = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            notes.append(Note(folder or ".", "the folder cannot be opened"))
            continue
        seen += len(names)
        if seen > MAX_ENTRIES:
            notes.append(Note(folder or ".", f"and later folders: more than {MAX_ENTRIES:,} entries"))
            return
        for entry in names:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in UNREAD_FOLDERS:
                    if depth < MAX_DEPTH:
                        todo.append((path, depth + 1))
                    else:
                        notes.append(Note(path, f"more than {MAX_DEPTH} folders deep"))
            elif os.path.splitext(entry.name)[1].lower() in KINDS:
                if entry.is_file(follow_symlinks=False):
                    yield path
                elif entry.is_symlink() and _kind(path) in PROGRAMS:
                    notes.append(Note(path, "a link; links are not followed"))


def _read(root: Path, path: str, left: int) -> bytes | Note:
    """The bytes of a regular file of allowed size, or a note."""
    limit = MAX_BYTES[_kind(path)]
    data = regular(root / path, limit)
    if data is None:
        return Note(path, f"cannot be opened, or has more than {limit:,} bytes")
    if len(data) > left:
        return Note(path, f"more than {MAX_TOTAL:,} bytes in all")
    return data


def regular(path: Path, limit: int) -> bytes | None:
    """The bytes of `path`, or None for what is no regular file of at most `limit` bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError):
        return None
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            return None
        data = opened.read(limit + 1)
        return data if len(data) <= limit else None
