"""Shards of a corpus: web archives, Arrow buffers, and what is said of those that cannot be read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.corpus import corpus_shards
from audit.shards import RecordsError
from audit.warc import html_text, warc_texts

HEAD = "<html><head><title>A title</title><style>p {color: red}</style></head>"
PAGE = f"{HEAD}<body><p>Tea &amp; cake</p><script>x()</script>"


def record(kind: str, body: bytes, **headers: str) -> bytes:
    lines = [f"WARC-Type: {kind}", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    return "\r\n".join(["WARC/1.0", *lines, f"Content-Length: {len(body)}", "", ""]).encode() + body + b"\r\n\r\n"


def response(body: bytes, *headers: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode() + body


def texts(path: Path) -> list[str]:
    return [text for _, text in warc_texts(path)]


@pytest.mark.parametrize("ending", ["wet", "wet.gz", "warc", "warc.gz"])
def test_texts_of_an_extract_are_read_record_by_record(ending: str, tmp_path: Path) -> None:
    pieces = [
        record("warcinfo", b"software: x"),
        record("conversion", "Tee und Kuchen, überall".encode(), WARC_Target_URI="http://a.example/"),
        record("conversion", b"line one\r\n\r\nWARC/1.0\r\nline two", WARC_Target_URI="http://b.example/"),
    ]
    path = tmp_path / f"x.{ending}"
    path.write_bytes(b"".join(map(gzip.compress, pieces)) if ending.endswith("gz") else b"".join(pieces))
    assert texts(path) == ["", "Tee und Kuchen, überall", "line one\r\n\r\nWARC/1.0\r\nline two"]
    (shard,) = corpus_shards(path, "text", "WARC-Target-URI")
    ((batch, idents),) = shard.batches()
    assert idents == [None, "http://a.example/", "http://b.example/"]
    assert len(batch) == 3


def test_pages_are_read_as_a_person_sees_them(tmp_path: Path) -> None:
    html, plain = "Content-Type: text/html; charset=utf-8", "Content-Type: text/plain; charset=latin-1"
    chunked = b"5\r\n<p>Te\r\n8;x=1\r\na</p><p>\r\n0\r\n\r\n"
    bodies = [
        response(PAGE.encode(), html),
        response(gzip.compress(PAGE.encode()), html, "Content-Encoding: gzip"),
        response(chunked, html, "Transfer-Encoding: chunked"),
        response("Käse".encode("latin-1"), plain),
        response(b"\x89PNG", "Content-Type: image/png"),
        response(b"not packed", html, "Content-Encoding: gzip"),
        response(b"<p>x</p>", "Content-Type: text/html; charset=no-such"),
    ]
    path = tmp_path / "x.warc"
    path.write_bytes(b"".join(record("response", body) for body in bodies) + record("request", b"GET /"))
    found = [" ".join(text.split()) for text in texts(path)]
    assert found == ["A title Tea & cake", "A title Tea & cake", "Tea", "Käse", "", "", "", ""]


@given(st.text(max_size=200))
def test_any_markup_gives_some_text(page: str) -> None:
    assert isinstance(html_text(page), str)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (record("conversion", b"tea") + b"oops", "record 2: expected a line WARC/1.0"),
        (record("conversion", b"tea")[:-6], "record 1: ends after 1 of 3 bytes"),
        (b"WARC/1.0\r\nWARC-Type: conversion\r\n", "record 1: ends inside its headers"),
        (b"WARC/1.0\r\nContent-Length: many\r\n\r\n", "record 1: expected Content-Length"),
        (b"WARC/1.0\r\nContent-Length: 99999999999\r\n\r\n", "record 1: expected Content-Length, at most"),
    ],
)
def test_a_damaged_archive_is_named_with_its_record(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.warc"
    path.write_bytes(data)
    with pytest.raises(RecordsError, match=said) as refused:
        texts(path)
    assert str(path) in str(refused.value)


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.wet.gz"
    path.write_bytes(gzip.compress(record("conversion", bytes(range(97, 123)) * 100))[:-20])
    with pytest.raises(RecordsError, match=r"record 1: truncated or damaged gzip"):
        texts(path)


def test_archives_are_found_in_a_folder_and_by_a_glob(tmp_path: Path) -> None:
    for name in ("b.wet", "a.wet"):
        (tmp_path / name).write_bytes(record("conversion", name.encode()))
    for path in (tmp_path, tmp_path / "*.wet"):
        assert [shard.name for shard in corpus_shards(path, "text", None)] == ["a.wet", "b.wet"]
    with pytest.raises(RecordsError, match="no such file"):
        corpus_shards(tmp_path / "c.wet", "text", None)


def test_a_shard_is_known_by_what_it_holds_and_by_its_columns(tmp_path: Path) -> None:
    for name, line in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / f"{name}.jsonl").write_text(f'{{"text": "{line}", "more": "{line}"}}\n')
    same, other = corpus_shards(tmp_path, "text", None), corpus_shards(tmp_path, "more", None)
    digests = [shard.digest() for shard in (*same, *other)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4
