"""How each format comes to the database: one way a format, and the strict streaming readers where it will not do.

| format | way |
|---|---|
| parquet whose columns are strings or whole numbers | the database's own reader |
| jsonl, .gz and .zst too | the database's own reader, which is strict; anything odd is read again by ours |
| csv, tsv | the csv module, many records at a time: the database drops the last records of a file whose last quote is never closed |
| json, arrow, compressed parquet, ids of other types, `hf:` names, any `--limit` | our streaming readers |

What the readers refuse is refused whichever way came first, with the place: the database's own messages, which
quote cells, are never shown.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from audit.cells import Cells, Columns, cells
from audit.formats import csv_batches, rows
from audit.shards import RecordsError, Shard
from audit.users.database import CountingError, Database

BATCH = 1 << 15
LARGEST_OBJECT = 16 << 20
WHOLE_NUMBERS = {f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")}
Batch = Sequence[Sequence[str | None]]  # values of each named column
ROLES = ("text", "unit", "name", "email")


class Source:
    """The records of some files as SQL; `rows_into` runs a statement in which {source} stands for them.

    {source} has the columns text ('' where there is none), unit, name and email (NULL where there is none),
    each a string.
    """

    def __init__(self, shards: Sequence[Shard], columns: Columns, limit: int | None = None) -> None:
        self.shards, self.columns, self.limit = tuple(shards), columns, limit
        self._native: str | None = None
        self._looked = False

    def run(self, db: Database, statement: str) -> list[tuple[object, ...]]:
        """Rows of `statement` over the records.

        Raises:
            RecordsError: one line; the first record that is refused, or no room to count.
        """
        try:
            if not self._looked:
                self._native, self._looked = self._native_sql(db), True
            if self._native is not None:
                return db.run(statement.format(source=f"({self._native})"))
        except CountingError as error:
            if error.full:
                raise _no_room(self.shards[0]) from None
            self._native = None  # our readers say what is wrong, or read what the database will not
        return self._streamed(db, statement)

    def _native_sql(self, db: Database) -> str | None:
        """SQL that reads the files directly, or None where that would not be exact."""
        paths = [str(shard.path) for shard in self.shards]
        formats = {shard.format for shard in self.shards}
        if self.limit is not None or len(formats) > 1 or any(set(path) & set("*?[") for path in paths):
            return None
        listed = "[" + ", ".join(_quoted(path) for path in paths) + "]"
        if formats == {"parquet"} and not any(shard.compression for shard in self.shards):
            return _parquet_sql(db, paths, listed, self.columns)
        return _jsonl_sql(self.shards, listed, self.columns) if formats == {"jsonl"} else None

    def _streamed(self, db: Database, statement: str) -> list[tuple[object, ...]]:
        refused: list[Exception] = []
        with _fed(db, self._batches(), list(self.columns.named), refused):
            try:
                return db.run(statement.format(source=f"({_projected(self.columns, {})} FROM feed)"))
            except CountingError as error:
                if refused:
                    raise refused[0] from None
                if error.full:
                    raise _no_room(self.shards[0]) from None
                raise RecordsError(f"{self.shards[0].path}: could not be counted ({error})") from None

    def _batches(self) -> Iterator[Batch]:
        """Values of each named column, many records at a time."""
        wanted = list(self.columns.named.values())
        if self.limit is None and all(shard.format in ("csv", "tsv") for shard in self.shards):
            for shard in self.shards:
                yield from csv_batches(shard, wanted)
            return
        records: Iterator[Cells] = islice(cells(self.shards, self.columns), self.limit)
        while batch := tuple(islice(records, BATCH)):
            yield list(zip(*batch, strict=True)) if wanted else [[None] * len(batch)]


def _projected(columns: Columns, expressions: dict[str, str]) -> str:
    """SELECT of the four roles; `expressions` say how a role is read where it is not simply the column."""
    named = columns.named
    parts = []
    for role in ROLES:
        read = expressions.get(role, f'"{role}"') if role in named else "NULL::VARCHAR"
        parts.append(f"coalesce({read}, '') AS text" if role == "text" else f"nullif({read}, '') AS {role}")
    return f"SELECT {', '.join(parts)}"


def _parquet_sql(db: Database, paths: list[str], listed: str, columns: Columns) -> str | None:
    for path in paths:
        described = db.run(f"DESCRIBE FROM read_parquet({_quoted(path)}, hive_partitioning = false)")
        types = {str(name): str(kind) for name, kind, *_ in described}
        if len({name.lower() for name in types}) < len(types):
            return None  # the database tells no upper from lower case in names
        kinds = {role: types.get(column) for role, column in columns.named.items()}
        if any(kind != "VARCHAR" for kind in kinds.values()):
            allowed = {"VARCHAR", *(WHOLE_NUMBERS if len(paths) == 1 else ())}
            if kinds.pop("text", "VARCHAR") != "VARCHAR" or not set(kinds.values()) <= allowed:
                return None
    read = {role: f"{_name(column)}::VARCHAR" for role, column in columns.named.items()}
    return f"{_projected(columns, read)} FROM read_parquet({listed}, hive_partitioning = false, union_by_name = true)"


def _jsonl_sql(shards: Sequence[Shard], listed: str, columns: Columns) -> str | None:
    """Every value must be of the kind of the first, else the statement fails and our reader takes over."""
    named = columns.named
    if not named or len({name.lower() for name in named.values()}) < len(named):
        return None
    _, first = next(rows(shards[0], list(named.values())), ("", (None,) * len(named)))
    read = {
        role: _json_value(column, value, absent_is_odd=role == "text")
        for (role, column), value in zip(named.items(), first, strict=True)
    }
    fields = ", ".join(f"{_name(column)} JSON" for column in named.values())
    columns_ = "{'line': " + _quoted(f"STRUCT({fields})") + "}"  # not `records`, where a line `null` is a record
    options = f"format = 'newline_delimited', auto_detect = false, maximum_object_size = {LARGEST_OBJECT}"
    return f"{_projected(columns, read)} FROM read_json({listed}, {options}, records = false, columns = {columns_})"


def _json_value(column: str, first: Any, *, absent_is_odd: bool) -> str:
    value = f"line.{_name(column)}"
    odd = f"error('odd' || left(coalesce(json_type({value}), ''), 0))"
    kinds = "'UBIGINT', 'BIGINT'" if type(first) is int else "'VARCHAR'"
    absent = odd if absent_is_odd else "NULL"  # the database does not tell a null text from a key left out
    kept = f"WHEN json_type({value}) IN ({kinds}) THEN {value} ->> '$' ELSE {odd}"
    return f"CASE WHEN line IS NULL THEN {odd} WHEN {value} IS NULL THEN {absent} {kept} END"


@contextmanager
def _fed(
    db: Database, batches: Iterator[Batch], roles: list[str], refused: list[Exception]
) -> Iterator[None]:
    """The batches as relation `feed`; what their reader raises is put into `refused`."""
    import pyarrow as pa

    names = roles or ["unit"]
    schema = pa.schema([(role, pa.string()) for role in names])

    def arrow() -> Iterator[object]:
        try:
            for batch in batches:
                arrays = [pa.array(_encodable(values), pa.string()) for values in batch]
                db.records_read += len(batch[0])
                yield pa.record_batch(arrays, schema=schema)
        except Exception as error:
            refused.append(error)
            raise

    db.records_read = 0
    db.register("feed", pa.RecordBatchReader.from_batches(schema, arrow()))
    try:
        yield
    finally:
        db.unregister("feed")


def _encodable(values: Sequence[str | None]) -> Sequence[str | None]:
    """JSON may spell half of a surrogate pair, which UTF-8 cannot hold: such a string is told apart by an escape."""
    try:
        "".join(filter(None, values)).encode()
    except UnicodeEncodeError:
        return [None if v is None else v.encode("utf-8", "backslashreplace").decode() for v in values]
    return values


def _no_room(shard: Shard) -> RecordsError:
    return RecordsError(f"{shard.path}: no room to count: the temporary folder is full; set TMPDIR to a larger disk")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
