"""Labelled private records: a data set made by rule for smoke runs, or one's own from files.

    generated              made from a public seed, several records a person, canaries in the training part
    FILE or FOLDER         jsonl, csv or parquet (jsonl and csv also as .gz); a folder has one file a split: train, test
    hf:OWNER/NAME          through the library `datasets`; from its cache alone where HF_HUB_OFFLINE is set

A message about a bad file names file and row, never what the row says.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from reimpl.generated import generated

GENERATED, HUB = "generated", "hf:"
SUFFIXES = (".jsonl", ".jsonl.gz", ".csv", ".csv.gz", ".parquet")


class DataError(ValueError):
    """Data that cannot be used: one line that says where, what was expected and what to do."""


@dataclass(frozen=True)
class Record:
    """A text, the index of its label, and whose it is where that is known."""

    text: str
    label: int
    person: str | None = None


@dataclass(frozen=True)
class Columns:
    """Which column holds what. person None: the column `person` where there is one, else nobody owns two records."""

    text: str = "text"
    label: str = "label"
    person: str | None = None


def load(
    source: str, split: str, labels: Sequence[str], columns: Columns | None = None, *, count: int | None = None
) -> list[Record]:
    """The records of a split, in the order of the source. labels: their names, in the order of their indices.

    count says how many are generated; it does not cut what is read.
    """
    columns = columns or Columns()
    if source == GENERATED:
        return [Record(*row) for row in generated(split, len(labels), count)]
    rows = hub_rows(source.removeprefix(HUB), split) if source.startswith(HUB) else local_rows(Path(source), split)
    records = [record(where, row, labels, columns) for where, row in rows]
    if not records:
        raise DataError(f"{source}: no record in split {split!r}; expected at least one")
    return records


def record(where: str, row: Any, labels: Sequence[str], columns: Columns) -> Record:
    """One row as a record. DataError names the row and the column, not the text."""
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: expected an object with columns; got {type(row).__name__}")
    for name in filter(None, (columns.text, columns.label, columns.person)):
        if row.get(name) is None:
            raise DataError(f"{where}: no column {name!r}; expected {', '.join(sorted(map(str, row)))} to hold it")
    if not isinstance(row[columns.text], str):
        raise DataError(f"{where}: column {columns.text!r}: expected a text; got {type(row[columns.text]).__name__}")
    person = row.get(columns.person or "person")
    label = label_index(where, row[columns.label], labels)
    return Record(row[columns.text], label, None if person is None else str(person))


def label_index(where: str, value: Any, labels: Sequence[str]) -> int:
    """The index of a label given by its name (case ignored) or by its index."""
    names = [name.casefold() for name in labels]
    if isinstance(value, str) and value.casefold() in names:
        return names.index(value.casefold())
    number = value
    if isinstance(value, str) and value.strip().isdecimal():
        number = int(value)
    if isinstance(number, float) and math.isfinite(number) and number == int(number):
        number = int(number)
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(labels):
        return number
    raise DataError(f"{where}: label: expected one of {', '.join(labels)}, or its index from 0 to {len(labels) - 1}")


def local_rows(path: Path, split: str) -> Iterator[tuple[str, Any]]:
    """(place, row) of a file, or of the file of that split in a folder."""
    if path.is_dir():
        path = split_file(path, split)
    elif not path.is_file():
        raise DataError(f"{path}: no such file or folder; expected {GENERATED}, FILE, FOLDER or {HUB}OWNER/NAME")
    elif split != "train":
        raise DataError(f"{path}: one file holds the training part only; give a folder with a {split} file too")
    if path.name.endswith(".parquet"):
        yield from parquet_rows(path)
        return
    with opened(path) as file:
        rows = csv.DictReader(file) if ".csv" in path.suffixes else json_rows(path, file)
        try:
            for number, row in enumerate(rows, start=1):
                yield f"{path}: row {number}", row
        except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: not readable as UTF-8 {path.suffixes[0][1:]} ({type(error).__name__})") from None


def split_file(folder: Path, split: str) -> Path:
    found = [folder / f"{split}{suffix}" for suffix in SUFFIXES if (folder / f"{split}{suffix}").is_file()]
    if len(found) != 1:
        got = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{folder}: expected one file {split}{{{','.join(SUFFIXES)}}}; got {got}")
    return found[0]


def opened(path: Path) -> TextIO:
    if not path.name.endswith(SUFFIXES):
        raise DataError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}")
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def json_rows(path: Path, lines: Iterable[str]) -> Iterator[Any]:
    for number, line in enumerate(lines, start=1):
        try:
            yield json.loads(line)
        except ValueError:
            raise DataError(f"{path}: row {number}: expected one JSON object a line") from None


def parquet_rows(path: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable parquet file ({type(error).__name__})") from None
    yield from ((f"{path}: row {number}", row) for number, row in enumerate(rows, start=1))


def hub_rows(name: str, split: str) -> Iterator[tuple[str, Any]]:
    """Rows of a data set on the hub, or in the cache of `datasets`. Asked for by name, so it may be fetched."""
    from datasets import load_dataset

    try:
        rows = load_dataset(name, split=split)
    except Exception as error:  # the library raises many kinds for: no network, no such name, no such split
        raise DataError(
            f"{HUB}{name}: split {split!r} could not be loaded ({type(error).__name__}); where there is no network, "
            "save it as train.jsonl and test.jsonl and give the folder"
        ) from None
    yield from ((f"{HUB}{name}: row {number}", row) for number, row in enumerate(rows, start=1))
