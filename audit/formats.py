"""Rows of one file of records, streamed, in each format; every complaint names the file and the line."""

from __future__ import annotations

import csv
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from typing import IO, Any

from audit import hub
from audit.shards import HUB, Shard, opened

MAX_LINE = 64 << 20  # bytes in one line; a longer one is a damaged file or not one record a line
MAX_JSON_ARRAY = 256 << 20  # a JSON array cannot be streamed, so it is read whole up to this size
BLOCK = 1 << 20  # bytes decoded at once
BATCH = 4096

KINDS: dict[type, str] = {
    type(None): "null",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
    bytes: "bytes",
}

Row = tuple[str, tuple[Any, ...]]  # where it stands, e.g. "line 7", and the values of the columns asked for


class Absent:
    """A JSON object lacks the key. Not the same as null."""


ABSENT = Absent()


@dataclass(frozen=True)
class Format:
    """How to learn a file's columns and how to read some of them."""

    columns: Callable[[Shard], list[str]]
    rows: Callable[[Shard, Sequence[str]], Iterator[Row]]


def column_names(shard: Shard) -> list[str]:
    """Column names from the header, the schema or the first objects; a file without records has none.

    Raises:
        RecordsError: the file cannot be read, or names a column twice.
    """
    names = READERS[shard.format].columns(shard)
    twice = [names.index(name) + 1 for name, number in Counter(names).items() if number > 1]
    if twice:
        shard.refuse("header", f"column {twice[0]} has the same name as a later one; rename one of them")
    return names


def rows(shard: Shard, columns: Sequence[str]) -> Iterator[Row]:
    """Each record's values of `columns`, in file order.

    Raises:
        RecordsError: at the first line that is not well formed.
    """
    return READERS[shard.format].rows(shard, columns)


def json_lines(shard: Shard) -> Iterator[str]:
    """Each record of a json, jsonl or `hf:` shard as a line of JSON, as it stands where it is one; `rows`' order."""
    if shard.format == HUB:
        yield from (json.dumps(record, ensure_ascii=False, default=str) for record in hub.records(shard))
    elif shard.format == "json" and _starts_as_array(shard):
        yield from (json.dumps(value, ensure_ascii=False) for _, value in _array_elements(shard))
    else:
        yield from (line.rstrip("\r\n") for _, line in _lines(shard) if not line.isspace())


# ---------------------------------------------------------------- lines


def _lines(shard: Shard) -> Iterator[tuple[int, str]]:
    """Number and text of each line, its newline kept; decoded many lines at a time."""
    with opened(shard) as stream:
        number = offset = 0
        while block := stream.read(BLOCK):
            block += _rest_of_line(shard, stream, number + 1 + block.count(b"\n"), block)
            for line in _decoded(shard, block, number + 1, offset).split("\n")[:-1]:
                number += 1
                yield number, line + "\n"
            offset += len(block)
            if not block.endswith(b"\n"):  # the last line of the file, which need not end in one
                last = block[block.rfind(b"\n") + 1 :].decode()
                yield number + 1, last if offset > len(block) or b"\n" in block else last.removeprefix("\ufeff")


def _rest_of_line(shard: Shard, stream: IO[bytes], number: int, block: bytes) -> bytes:
    """What is left of the line that the block ends in; a line over the limit is refused."""
    begun = len(block) - (block.rfind(b"\n") + 1)
    rest = stream.readline(MAX_LINE + 1 - begun) if begun else b""
    if begun + len(rest) > MAX_LINE:
        shard.refuse(f"line {number}", f"over {MAX_LINE >> 20} MiB long; expected one record a line")
    return rest


def _decoded(shard: Shard, data: bytes, line: int = 1, offset: int = 0) -> str:
    """Text of `data`, which starts at this line and byte offset of the file; a byte order mark is dropped."""
    try:
        text, wrong, complaint = data.decode(), data.find(b"\0"), "a NUL byte; is it UTF-16, or damaged?"
    except UnicodeDecodeError as exc:
        text, wrong, complaint = "", exc.start, "convert it, e.g. with iconv -f LATIN1 -t UTF-8"
    if wrong >= 0:
        line += data.count(b"\n", 0, wrong)
        shard.refuse(f"line {line}, byte {offset + wrong + 1}", f"not text in UTF-8: {complaint}")
    return text if offset else text.removeprefix("\ufeff")


# ---------------------------------------------------------------- csv, tsv


def _csv_records(shard: Shard) -> Iterator[tuple[int, list[str]]]:
    """Line on which each record starts, and its fields; blank lines are passed over."""
    csv.field_size_limit(MAX_LINE)
    delimiter = "\t" if shard.format == "tsv" else ","
    reader = csv.reader((text for _, text in _lines(shard)), delimiter=delimiter, strict=True)
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error:
            complaint = (
                f"not well-formed {shard.format}: a stray or unclosed quote, or a bare carriage return"
            )
        else:
            if fields is None:
                return
            if fields:
                yield start, fields
            continue
        shard.refuse(f"line {start}", complaint)


def csv_batches(shard: Shard, columns: Sequence[str]) -> Iterator[list[list[str]]]:
    """The values of `columns`, a list for each, many records at a time: `rows` without places, several times faster.

    Raises:
        RecordsError: as `rows`, which is asked for the place.
    """
    csv.field_size_limit(MAX_LINE)
    delimiter = "\t" if shard.format == "tsv" else ","
    reader = csv.reader((text for _, text in _lines(shard)), delimiter=delimiter, strict=True)
    try:
        header = next(filter(None, reader), [])
        wanted = [itemgetter(header.index(column)) for column in columns]
        while batch := list(islice(reader, BATCH)):
            if any(len(fields) != len(header) for fields in batch):
                batch = [fields for fields in batch if fields]
                if any(len(fields) != len(header) for fields in batch):
                    break
            yield [list(map(pick, batch)) for pick in wanted]
        else:
            return
    except csv.Error:
        pass
    for _ in _csv_rows(shard, columns):
        pass
    shard.refuse(None, "changed while it was read; read it again")


def _csv_columns(shard: Shard) -> list[str]:
    return next((fields for _, fields in _csv_records(shard)), [])


def _csv_rows(shard: Shard, columns: Sequence[str]) -> Iterator[Row]:
    records = _csv_records(shard)
    _, header = next(records, (0, []))
    wanted = [header.index(column) for column in columns]
    for line, fields in records:
        if len(fields) != len(header):
            shard.refuse(
                f"line {line}", f"expected {len(header)} fields as in the header, found {len(fields)}"
            )
        yield f"line {line}", tuple(fields[i] for i in wanted)


# ---------------------------------------------------------------- jsonl, json


def _objects(shard: Shard) -> Iterator[tuple[str, dict[str, Any]]]:
    """One object a line, or the elements of an array (format json only), each with its place."""
    if shard.format == "json" and _starts_as_array(shard):
        yield from _array_elements(shard)
        return
    for number, line in _lines(shard):
        if not line.isspace():
            yield f"line {number}", _object(shard, f"line {number}", _parsed(shard, f"line {number}", line))


def _starts_as_array(shard: Shard) -> bool:
    with opened(shard) as stream:
        return stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")


def _array_elements(shard: Shard) -> Iterator[tuple[str, dict[str, Any]]]:
    with opened(shard) as stream:
        data = stream.read(MAX_JSON_ARRAY + 1)
    if len(data) > MAX_JSON_ARRAY:
        limit = f"{MAX_JSON_ARRAY >> 20} MiB"
        shard.refuse(None, f"a JSON array is read whole, and this one is over {limit}; convert it to jsonl")
    for number, element in enumerate(_parsed(shard, None, _decoded(shard, data)), 1):
        yield f"record {number}", _object(shard, f"record {number}", element)


def _parsed(shard: Shard, place: str | None, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        complaint = "not well-formed JSON; expected one object a line" + (
            "" if place else ", or an array of them"
        )
    shard.refuse(place, complaint)


def _object(shard: Shard, place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        shard.refuse(place, f"expected a JSON object with columns as keys, found {kind_of(value)}")
    return value


def _json_columns(shard: Shard) -> list[str]:
    """Keys of the first objects, in the order met: a key may be left out where it would be null."""
    return list(dict.fromkeys(key for _, value in islice(_objects(shard), 1000) for key in value))


def _json_rows(shard: Shard, columns: Sequence[str]) -> Iterator[Row]:
    for place, value in _objects(shard):
        yield place, tuple(value.get(column, ABSENT) for column in columns)


def kind_of(value: Any) -> str:
    """What a value is, in words and without its content."""
    return KINDS.get(type(value), "something else")


# ---------------------------------------------------------------- parquet, arrow


@contextmanager
def _seekable(shard: Shard) -> Iterator[IO[bytes]]:
    """Parquet is read from its end: a compressed one is first unpacked into a nameless temporary file."""
    import pyarrow as pa

    with opened(shard) as stream, tempfile.TemporaryFile() as unpacked:
        while shard.compression and (chunk := stream.read(1 << 20)):
            unpacked.write(chunk)
        try:
            yield unpacked if shard.compression else stream
        except UnicodeDecodeError:
            complaint = "a text in it is not UTF-8; write it again from decoded strings"
        except (pa.ArrowException, OSError) as exc:
            if isinstance(exc, OSError) and exc.errno is not None:
                raise
            complaint = f"not a whole {shard.format} file (truncated or damaged); fetch or write it again"
        else:
            return
    shard.refuse(None, complaint)


def _parquet_columns(shard: Shard) -> list[str]:
    import pyarrow.parquet as pq

    with _seekable(shard) as file:
        return list(pq.ParquetFile(file).schema_arrow.names)


def _parquet_rows(shard: Shard, columns: Sequence[str]) -> Iterator[Row]:
    import pyarrow.parquet as pq

    with _seekable(shard) as file:
        yield from _numbered(
            pq.ParquetFile(file).iter_batches(batch_size=BATCH, columns=list(columns)), columns
        )


def _arrow_batches(file: IO[bytes]) -> tuple[list[str], Iterator[Any]]:
    """`datasets` writes the stream form; the file form starts with a magic word."""
    import pyarrow as pa

    is_file_form = file.read(6) == b"ARROW1"
    file.seek(0)
    if not is_file_form:
        stream = pa.ipc.open_stream(file)
        return list(stream.schema.names), stream
    reader = pa.ipc.open_file(file)
    return list(reader.schema.names), (reader.get_batch(i) for i in range(reader.num_record_batches))


def _arrow_columns(shard: Shard) -> list[str]:
    with _seekable(shard) as file:
        return _arrow_batches(file)[0]


def _arrow_rows(shard: Shard, columns: Sequence[str]) -> Iterator[Row]:
    with _seekable(shard) as file:
        yield from _numbered(_arrow_batches(file)[1], columns)


def _numbered(batches: Iterator[Any], columns: Sequence[str]) -> Iterator[Row]:
    number = 0
    for batch in batches:
        lists = [batch.column(column).to_pylist() for column in columns]
        for values in zip(*lists, strict=True) if lists else ((),) * batch.num_rows:
            number += 1
            yield f"row {number}", values


# ---------------------------------------------------------------- the Hub


def _hub_rows(shard: Shard, columns: Sequence[str]) -> Iterator[Row]:
    for number, record in enumerate(hub.records(shard), 1):
        yield f"record {number}", tuple(record.get(column, ABSENT) for column in columns)


_CSV = Format(_csv_columns, _csv_rows)
_JSON = Format(_json_columns, _json_rows)
READERS = {
    "csv": _CSV,
    "tsv": _CSV,
    "jsonl": _JSON,
    "json": _JSON,
    "parquet": Format(_parquet_columns, _parquet_rows),
    "arrow": Format(_arrow_columns, _arrow_rows),
    HUB: Format(hub.columns, _hub_rows),
}
