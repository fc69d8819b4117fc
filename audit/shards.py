"""Which files hold the records of a dataset, and their bytes: found, opened, decompressed, hashed."""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import json
import os
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import IO, Any, NoReturn

FORMATS = ("csv", "tsv", "jsonl", "json", "parquet", "arrow")
COMPRESSIONS = ("gz", "zst")
HUB = "hf"  # a dataset on the Hugging Face Hub, named hf:owner/name[:config][:split]
KNOWN_ENDINGS = "csv, tsv, jsonl, json or parquet, each also .gz or .zst, or a saved `datasets` folder"


class RecordsError(ValueError):
    """A data file that cannot be read; one line: file, place, what was expected, what to do.

    Never holds the content of a cell. Unprintable characters, as a file's name may have, are replaced.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else "\ufffd" for c in message))


@dataclass(frozen=True)
class Shard:
    """One file of records. `name` is its path inside the dataset's folder, or its own name."""

    path: Path
    name: str
    format: str
    compression: str | None

    def refuse(self, place: str | None, complaint: str) -> NoReturn:
        raise RecordsError(f"{self.path}{', ' + place if place else ''}: {complaint}")

    @property
    def ending(self) -> str:
        return f"{self.format}.{self.compression}" if self.compression else self.format

    def sha256(self) -> str:
        """SHA-256 of the file as it lies on disk, compressed or not."""
        if self.format == HUB:
            self.refuse(None, "no file to take a checksum of; download the dataset and give its folder")
        with _readable(self.path), self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def find_shards(path: Path) -> tuple[Shard, ...]:
    """The files of records at `path`: one file, a folder of them, a glob, or a folder written by `datasets`.

    "hf:owner/name[:config][:split]" is one shard, which `audit.hub` reads.

    Subfolders are not searched but by a glob ("data/**/*.parquet"), and names that start with "." or "_" are
    passed over.

    Raises:
        RecordsError: nothing there, an unknown ending, an empty file, files of several formats.
    """
    if str(path).startswith(f"{HUB}:"):
        return (Shard(path, str(path), HUB, None),)
    with _readable(path):
        if path.exists():
            shards = _in_folder(path) if path.is_dir() else (_as_shard(path, path.name),)
        elif glob.has_magic(str(path)):
            shards = _matching(path)
        else:
            raise RecordsError(f"{path}: no such file or folder; check the path")
    for shard in shards:
        if shard.path.stat().st_size == 0:
            shard.refuse(None, "the file is empty; expected records")
    return shards


def folder_sha256(files: Mapping[str, str]) -> str:
    """SHA-256 of a folder from name -> SHA-256 of its files: of their sorted "<sha256>  <name>\\n" lines."""
    lines = (f"{digest}  {name}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


@contextmanager
def opened(shard: Shard) -> Iterator[IO[bytes]]:
    """The decompressed bytes as a stream; a truncated or damaged file is refused by name."""
    with _readable(shard.path):
        try:
            with _decompressed(shard) as stream:
                yield stream
        except EOFError:
            shard.refuse(None, "truncated gzip: it ends before its end marker; fetch it again")
        except (gzip.BadGzipFile, zlib.error):
            shard.refuse(None, "not a gzip file, or a damaged one; fetch it again")
        except OSError as exc:
            if shard.compression != "zst" or exc.errno is not None:
                raise
            shard.refuse(None, "truncated or damaged zstd; fetch it again")


def _decompressed(shard: Shard) -> Any:
    if shard.compression == "gz":
        return gzip.open(shard.path, "rb")
    if shard.compression == "zst":
        import pyarrow as pa

        return io.BufferedReader(pa.input_stream(str(shard.path), compression="zstd"), 1 << 20)
    return shard.path.open("rb")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno is None:
            raise
        raise RecordsError(f"{path}: cannot be read: {os.strerror(exc.errno).lower()}") from None


def _as_shard(path: Path, name: str) -> Shard:
    if not path.is_file():
        raise RecordsError(f"{path}: not a regular file; expected {KNOWN_ENDINGS}")
    shard = _by_ending(path, name)
    if shard is None:
        raise RecordsError(f"{path}: unknown ending; expected {KNOWN_ENDINGS}")
    return shard


def _by_ending(path: Path, name: str) -> Shard | None:
    endings = [ending.lower().lstrip(".") for ending in path.suffixes]
    compression = endings.pop() if endings and endings[-1] in COMPRESSIONS else None
    if not endings or endings[-1] not in FORMATS:
        return None
    return Shard(path, name, endings[-1], compression)


def _in_folder(folder: Path) -> tuple[Shard, ...]:
    if (folder / "dataset_dict.json").is_file():
        splits = _listed(folder / "dataset_dict.json", "splits")
        return tuple(shard for split in splits for shard in _saved(folder / split, f"{split}/"))
    if (folder / "state.json").is_file():
        return tuple(_saved(folder, ""))
    names = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name[0] not in "._")
    found = [_by_ending(folder / name, name) for name in names if not _is_bookkeeping(folder, name)]
    return _one_kind(folder, [shard for shard in found if shard is not None])


def _matching(pattern: Path) -> tuple[Shard, ...]:
    """The files that a glob matches, named by their path below its fixed part."""
    fixed = Path(*takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    matches = sorted(Path(match) for match in glob.glob(str(pattern), recursive=True))
    files = [match for match in matches if match.is_file() and match.name[0] not in "._"]
    found = [_by_ending(match, match.relative_to(fixed).as_posix()) for match in files]
    return _one_kind(pattern, [shard for shard in found if shard is not None])


def _is_bookkeeping(folder: Path, name: str) -> bool:
    """Beside arrow files, `datasets` keeps its own description and the results of earlier maps."""
    is_cache = (folder / "dataset_info.json").is_file()
    return is_cache and (name.endswith(".json") or name.startswith("cache-"))


def _one_kind(folder: Path, shards: list[Shard]) -> tuple[Shard, ...]:
    if not shards:
        is_glob = glob.has_magic(str(folder)) and not folder.is_dir()
        here = "no data file matches" if is_glob else "no data file in this folder (subfolders are not searched)"
        raise RecordsError(f"{folder}: {here}; expected {KNOWN_ENDINGS}")
    formats = sorted({shard.format for shard in shards})
    if len(formats) > 1:
        mixed = f"files of several formats ({', '.join(formats)})"
        raise RecordsError(f"{folder}: {mixed}, maybe the same data twice; give one of them")
    stems = Counter(shard.name.lower().removesuffix(f".{shard.compression}") for shard in shards)
    twice = [stem for stem, number in stems.items() if number > 1]
    if twice:
        raise RecordsError(f"{folder}: {twice[0]} is there compressed and not compressed; keep one of them")
    return tuple(shards)


def _saved(folder: Path, prefix: str) -> Iterator[Shard]:
    """Arrow files of a dataset saved by `datasets`, in the order of its state.json."""
    for name in _listed(folder / "state.json", "_data_files"):
        path = folder / name
        if not path.is_file():
            raise RecordsError(f"{path}: named in state.json but not there; save or copy the dataset again")
        yield Shard(path, prefix + name, "arrow", None)


def _listed(description: Path, key: str) -> list[str]:
    """Names of files or splits that a `datasets` description lists; only names inside its folder pass."""
    try:
        entries = json.loads(description.read_bytes())[key]
        names = [entry["filename"] if isinstance(entry, dict) else entry for entry in entries]
        sound = (
            isinstance(entries, list)
            and bool(names)
            and all(isinstance(n, str) and n == Path(n).name and n != ".." for n in names)
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        sound, names = False, []
    if not sound:
        raise RecordsError(
            f"{description}: expected {key!r} to list names inside this folder, as `datasets` writes it"
        )
    return names
