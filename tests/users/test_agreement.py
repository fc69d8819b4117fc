"""What our readers refuse the database never takes silently: odd ends of jsonl, odd streams of gzip and zstd."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from audit.cells import Columns, cells
from audit.shards import RecordsError, find_shards
from audit.users.people import units_in

A, B = b'{"user": "a"}\n' * 5, b'{"user": "b"}\n' * 7
ENDS = (
    b'{"user": "b', b'{"user": "b"', b'{"user": "b"}', b"{", b'"', b"\0", b"   ", b'{"user": "b"}}', b"[",
    b'{"user": "b"} {"user": "c"}', b'{"user": "b"},', b'\n\n{"user": "b"}\n\n', b'{"user": "b", "user": "c"}',
    b'{"User": "b"}', b"{'user': 'b'}", b'{"user": NaN}', b'{"user": "\\ud800"}', b'{"user": "\xff"}', b"null",
)  # fmt: skip


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


def answer(ask: Callable[[], int]) -> int | str:
    """A number of records, or the complaint."""
    try:
        return ask()
    except RecordsError as refused:
        return str(refused)


def both(path: Path) -> tuple[int | str, int | str]:
    """By our readers, and by whichever way the format has."""
    shards = find_shards(path)

    def counted() -> int:
        counts = units_in(shards, "user")
        return counts.records + counts.missing if counts is not None else -1

    return answer(lambda: sum(1 for _ in cells(shards, Columns(unit="user")))), answer(counted)


@pytest.mark.parametrize("end", ENDS, ids=repr)
@pytest.mark.parametrize("name", ["d.jsonl", "d.jsonl.gz"])
def test_an_odd_last_line_is_judged_alike(tmp_path: Path, name: str, end: bytes) -> None:
    (tmp_path / name).write_bytes(gzip.compress(A + end) if name.endswith("gz") else A + end)
    ours, theirs = both(tmp_path / name)
    assert ours == theirs


STREAMS = {
    "two members": ("d.jsonl.gz", gzip.compress(A) + gzip.compress(B)),
    "an empty member between": ("d.jsonl.gz", gzip.compress(A) + gzip.compress(b"") + gzip.compress(B)),
    "garbage behind": ("d.jsonl.gz", gzip.compress(A) + b"garbage"),
    "zeros behind": ("d.jsonl.gz", gzip.compress(A) + b"\0" * 20),
    "a wrong checksum": ("d.jsonl.gz", gzip.compress(A)[:-8] + b"\1\2\3\4" + gzip.compress(A)[-4:]),
    "two frames": ("d.jsonl.zst", zstd(A) + zstd(B)),
    "a cut frame": ("d.jsonl.zst", zstd(A * 9000)[:-20]),
    "garbage behind a frame": ("d.jsonl.zst", zstd(A) + b"garbage!"),
    "two members of csv": ("d.csv.gz", gzip.compress(b"user\na\n") + gzip.compress(b"b\n")),
}


@pytest.mark.parametrize("what", STREAMS)
def test_an_odd_stream_is_judged_alike(tmp_path: Path, what: str) -> None:
    name, content = STREAMS[what]
    (tmp_path / name).write_bytes(content)
    ours, theirs = both(tmp_path / name)
    assert ours == theirs
    if what.startswith("two"):
        assert ours in (2, 12)
