"""Some records of a dataset copied to one file of the same format; which ones is decided as they pass."""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from audit.formats import column_names, json_lines, rows
from audit.shards import COMPRESSIONS, HUB, Shard

Keep = Iterator[bool]  # for each record in turn
BATCH = 4096


def output_format(shards: Sequence[Shard], out: Path) -> tuple[str, str | None]:
    """Format and compression that `out` is named for; refused where it is not that of the shards."""
    endings = [ending.lower().lstrip(".") for ending in out.suffixes]
    compression = endings.pop() if endings and endings[-1] in COMPRESSIONS else None
    named = endings[-1] if endings else ""
    wanted = "jsonl" if shards[0].format in ("json", HUB) else shards[0].format
    if wanted not in COPIERS:
        shards[0].refuse(None, f"{wanted} files cannot be copied in part; convert the data to parquet or jsonl")
    if named != wanted or (wanted == "parquet" and compression):
        shards[0].refuse(None, f"expected an --out that ends in .{wanted}, as the data does, not {out.name!r}")
    return wanted, compression


def copy(shards: Sequence[Shard], keep: Keep, out: Path, file: BinaryIO) -> None:
    """Write the records for which `keep` says so to `file`, in the format that `out` is named for.

    Raises:
        RecordsError: a record that is not well formed, or files whose columns differ.
    """
    named, compression = output_format(shards, out)
    with _compressing(file, compression) as stream:
        COPIERS[named](shards, keep, stream)


@contextmanager
def _compressing(file: BinaryIO, compression: str | None) -> Iterator[Any]:
    if compression == "gz":
        with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as stream:
            yield stream
    elif compression == "zst":
        import pyarrow as pa

        twin = os.fdopen(os.dup(file.fileno()), "wb")  # the stream closes what it writes to; `file` stays open
        with twin, pa.CompressedOutputStream(twin, "zstd") as stream:
            yield stream
    else:
        yield file


def _copy_lines(shards: Sequence[Shard], keep: Keep, stream: Any) -> None:
    for line in chain.from_iterable(map(json_lines, shards)):
        if next(keep):
            stream.write(f"{line}\n".encode("utf-8", "surrogatepass"))


def _copy_csv(shards: Sequence[Shard], keep: Keep, stream: Any) -> None:
    columns = column_names(shards[0])
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t" if shards[0].format == "tsv" else ",", lineterminator="\n")
    writer.writerow(columns)
    for shard in shards:
        _require_same(shard, column_names(shard), columns)
        for _, values in rows(shard, columns):
            if next(keep):
                writer.writerow(values)
                stream.write(text.getvalue().encode())
                text.seek(0)
                text.truncate()
    stream.write(text.getvalue().encode())


def _copy_parquet(shards: Sequence[Shard], keep: Keep, stream: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pq.read_schema(shards[0].path)
    with pq.ParquetWriter(stream, schema) as writer:
        for shard in shards:
            with pq.ParquetFile(shard.path) as file:
                _require_same(shard, file.schema_arrow.remove_metadata(), schema.remove_metadata())
                for batch in file.iter_batches(batch_size=BATCH):
                    kept = pa.array([next(keep) for _ in range(batch.num_rows)], pa.bool_())
                    writer.write_batch(batch.filter(kept))


def _require_same(shard: Shard, found: Any, first: Any) -> None:
    if found != first:
        shard.refuse(None, "its columns differ from those of the first file; give files of the same columns")


COPIERS = {"jsonl": _copy_lines, "csv": _copy_csv, "tsv": _copy_csv, "parquet": _copy_parquet}
