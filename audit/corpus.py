"""A corpus as shards that are read on their own: files of records, web archives, datasets on the Hub."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit import warc
from audit.cells import Columns, cells
from audit.formats import column_names
from audit.overlap.texts import Texts, from_arrow, from_strings
from audit.shards import RecordsError, Shard, find_shards

BATCH_CHARACTERS = 1 << 22
BATCH_ROWS = 512
_NAME = re.compile(r"[^\W\d][\w .:/()-]{0,39}")

Batch = tuple[Texts, Sequence[str | None]]


@dataclass(frozen=True)
class FileShard:
    """One file of records, with the columns that hold the text and, if any, an id."""

    shard: Shard
    text: str
    ident: str | None

    @property
    def name(self) -> str:
        return self.shard.name

    def digest(self) -> str:
        return f"{self.shard.sha256()} {self.text!r} {self.ident!r}"

    def batches(self) -> Iterator[Batch]:
        if self.shard.format == "parquet" and self.shard.compression is None:
            yield from self._arrow_batches()
        else:
            yield from _batches(self.rows())

    def rows(self) -> Iterator[tuple[str, str | None]]:
        """Text and id of each record, in file order."""
        for row in cells([self.shard], Columns(text=self.text, unit=self.ident)):
            yield row[0] or "", row[1] if self.ident else None

    def _arrow_batches(self) -> Iterator[Batch]:
        """Parquet's own buffers, without a Python string for each text."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = [self.text] if self.ident is None else [self.text, self.ident]
        try:
            with pq.ParquetFile(self.shard.path) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                    yield from_arrow(_strings(self, batch.column(self.text))), _idents(self, batch)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            for _ in self.rows():  # which names file and place
                pass
            self.shard.refuse(None, "cannot be read as parquet; write it again")


def _strings(shard: FileShard, column: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        if not pa.types.is_string_view(column.type):
            shard.shard.refuse(None, f"mixed types: {shard.text!r} is {column.type}; expected a string")
        column = column.cast(pa.large_string())
    return column


def _idents(shard: FileShard, batch: Any) -> list[str | None]:
    if shard.ident is None:
        return [None] * batch.num_rows
    return [None if value is None else str(value) for value in batch.column(shard.ident).to_pylist()]


@dataclass(frozen=True)
class WarcShard:
    """One web archive; `ident` is the name of a header, e.g. WARC-Target-URI."""

    path: Path
    name: str
    ident: str | None

    def digest(self) -> str:
        with self.path.open("rb") as file:
            return f"{hashlib.file_digest(file, 'sha256').hexdigest()} {self.ident!r}"

    def batches(self) -> Iterator[Batch]:
        yield from _batches(self.rows())

    def rows(self) -> Iterator[tuple[str, str | None]]:
        """Text and id of each record, in file order."""
        ident = (self.ident or "").lower()
        return ((text, headers.get(ident)) for headers, text in warc.warc_texts(self.path))


def _batches(rows: Iterator[tuple[str, str | None]]) -> Iterator[Batch]:
    texts: list[str] = []
    idents: list[str | None] = []
    length = 0
    for text, ident in rows:
        texts.append(text)
        idents.append(ident)
        length += len(text) + 1
        if length >= BATCH_CHARACTERS:
            yield from_strings(texts), idents
            texts, idents, length = [], [], 0
    if texts:
        yield from_strings(texts), idents


def corpus_shards(path: Path, text: str, ident: str | None) -> list[FileShard | WarcShard]:
    """The shards at `path`: a file, a folder, a glob, `hf:owner/name[:config[:split]]`, or web archives.

    Raises:
        RecordsError: nothing there, nothing known, or no such column.
    """
    archives = _archives(path)
    if archives:
        return [WarcShard(file, file.name, ident) for file in archives]
    shards = find_shards(path)
    for shard in shards:
        require_columns(shard, {"--corpus-text": text, "--corpus-id": ident})
    return [FileShard(shard, text, ident) for shard in shards]


def require_columns(shard: Shard, columns: dict[str, str | None]) -> None:
    """Refuse a shard that lacks a column; one that cannot be read is left to the search, which names it."""
    try:
        found = column_names(shard)
    except RecordsError:
        return
    for option, column in columns.items():
        if found and column is not None and column not in found:
            listed = [name for name in found if _NAME.fullmatch(name)][:20]
            there = f"; found {', '.join(listed)}" if len(listed) == min(20, len(found)) else ""
            shard.refuse(None, f"no column {column!r}{there}; name one with {option}")


def _archives(path: Path) -> list[Path]:
    """Web archives at `path`; none where other files are meant."""
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.name.endswith(warc.ENDINGS) and file.name[0] not in "._")
    elif path.name.endswith(warc.ENDINGS):
        found = [path] if path.exists() else sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        if not found:
            raise RecordsError(f"{path}: no such file; check the path")
    else:
        return []
    if len({file.name for file in found}) < len(found):
        raise RecordsError(f"{path}: two archives of the same name; give the folders one by one")
    return found
