"""Records read the same from every format, and a bad file is refused in one line that shows none of it."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import audit.formats
from audit.records import Records, RecordsError, identify, open_records
from audit.types import Manifest

SECRET = "Frau Müller paid 4711"
ROWS = [
    {"text": SECRET + ', "cash",\nin two lines', "user_id": "007"},
    {"text": "short ☕", "user_id": "b"},
    {"text": "again", "user_id": "007"},
]
ENDINGS = ["csv", "tsv", "jsonl", "json", "parquet"]


def encoded(rows: list[dict[str, Any]], ending: str) -> bytes:
    if ending in ("csv", "tsv"):
        out = io.StringIO()
        writer = csv.DictWriter(out, rows[0].keys(), delimiter="\t" if ending == "tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode()
    if ending == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if ending == "json":
        return json.dumps(rows, indent=1).encode()
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


def compressed(data: bytes, ending: str) -> bytes:
    if ending == "zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(data)
        return bytes(sink.getvalue())
    return gzip.compress(data) if ending == "gz" else data


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    endings = path.name.split(".")[1:]
    path.write_bytes(compressed(encoded(rows, endings[0]), endings[-1]))
    return path


def reviews(path: Path) -> Records:
    return open_records(f"{path},text=text,unit=user_id", "reviews")


def complaint(path: Path, read: bool = True) -> str:
    """What is said about a bad file; always one line, always names the file, never shows a cell."""
    with pytest.raises(RecordsError) as caught:
        list(reviews(path).rows()) if read else reviews(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    assert "Müller" not in message
    assert "4711" not in message
    return message.removeprefix(str(path))


def manifest(**changes: Any) -> Manifest:
    facts: dict[str, Any] = {
        "version": 1,
        "id": "reviews",
        "name": "Reviews",
        "kind": "private",
        "source": "a shop",
        "how_to_get": "ask",
        "obtainable": True,
        "unit_note": "the customer",
    }
    return Manifest.model_validate(facts | changes)


# ---------------------------------------------------------------- every format


@pytest.mark.parametrize("compression", ["", ".gz", ".zst"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_every_format_reads_back_the_same_records(tmp_path: Path, ending: str, compression: str) -> None:
    path = write(tmp_path / f"reviews.{ending}{compression}", ROWS)
    records = reviews(path)
    assert list(records.rows()) == [(row["text"], row["user_id"]) for row in ROWS]
    assert list(records.texts()) == [row["text"] for row in ROWS]
    assert records.records == 3
    assert records.counts is not None
    assert (records.counts.units, records.counts.max) == (2, 2)
    assert records.format == f"{ending}{compression}"
    assert records.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_folder_is_its_files_in_sorted_order(tmp_path: Path) -> None:
    for name, rows in (("b.jsonl", ROWS[2:]), ("a.jsonl", ROWS[:2])):
        write(tmp_path / name, rows)
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "_SUCCESS.csv").touch()
    (tmp_path / ".part.jsonl").touch()
    records = reviews(tmp_path)
    assert list(records.texts()) == [row["text"] for row in ROWS]
    assert records.format == "folder of 2 jsonl files"
    sums = [
        f"{hashlib.sha256((tmp_path / n).read_bytes()).hexdigest()}  {n}\n" for n in ("a.jsonl", "b.jsonl")
    ]
    assert records.sha256 == hashlib.sha256("".join(sums).encode()).hexdigest()


def test_a_saved_datasets_folder_is_read_split_by_split(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    split = datasets.Dataset.from_list(ROWS)
    split.save_to_disk(tmp_path / "one", num_shards=2)
    datasets.DatasetDict({"train": split, "test": split.select([1])}).save_to_disk(tmp_path / "dict")
    assert list(reviews(tmp_path / "one").texts()) == [row["text"] for row in ROWS]
    both = reviews(tmp_path / "dict")
    assert list(both.texts()) == [row["text"] for row in [*ROWS, ROWS[1]]]
    files = sorted(str(p.relative_to(tmp_path / "dict")) for p in (tmp_path / "dict").rglob("*.arrow"))
    sums = [f"{hashlib.sha256((tmp_path / 'dict' / n).read_bytes()).hexdigest()}  {n}\n" for n in files]
    assert both.sha256 == hashlib.sha256("".join(sums).encode()).hexdigest()


def test_json_with_one_object_a_line_is_read_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "reviews.json"
    path.write_bytes(encoded(ROWS, "jsonl"))
    assert [unit for _, unit in reviews(path).rows()] == ["007", "b", "007"]


def test_both_arrow_forms_are_read(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    for name, form in (("stream.arrow", pa.ipc.new_stream), ("file.arrow", pa.ipc.new_file)):
        with form(str(tmp_path / name), table.schema) as writer:
            writer.write_table(table)
        assert reviews(tmp_path / name).records == 3


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_bytes(b"\xef\xbb\xbf" + encoded(ROWS, "csv"))
    assert reviews(path).records == 3


def test_numbers_with_gaps_are_the_ids_they_were(tmp_path: Path) -> None:
    table = pa.table({"text": ["a", "b", "c"], "user_id": pa.array([7.0, None, float("nan")])})
    pq.write_table(table, tmp_path / "reviews.parquet")
    assert [unit for _, unit in reviews(tmp_path / "reviews.parquet").rows()] == ["7", None, None]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    ids=st.lists(st.sampled_from("abcdefg"), min_size=2, max_size=30),
    cut=st.integers(1, 29),
    ending=st.sampled_from(ENDINGS),
    compression=st.sampled_from(["", ".gz", ".zst"]),
    data=st.data(),
)
def test_counts_do_not_depend_on_order_splitting_format_or_compression(
    tmp_path_factory: pytest.TempPathFactory,
    ids: list[str],
    cut: int,
    ending: str,
    compression: str,
    data: st.DataObject,
) -> None:
    whole, parts = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("parts")
    write(whole / "reviews.jsonl", [{"text": "x", "user_id": i} for i in ids])
    shuffled = [{"text": "y", "user_id": i} for i in data.draw(st.permutations(ids))]
    cut = min(cut, len(ids) - 1)
    write(parts / f"1.{ending}{compression}", shuffled[:cut])
    write(parts / f"2.{ending}{compression}", shuffled[cut:])
    assert reviews(parts).counts == reviews(whole / "reviews.jsonl").counts


# ---------------------------------------------------------------- columns


def test_columns_come_from_the_manifest_unless_named(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews.jsonl", [{"a": "x", "b": "y", "who": "p"}])
    described = manifest(text_column="a", unit_column="who")
    assert list(open_records(path, "reviews", described).rows()) == [("x", "p")]
    assert list(open_records(f"{path},text=b,unit=none", "reviews", described).rows()) == [("y", None)]


def test_without_a_unit_column_nothing_is_counted_per_unit(tmp_path: Path) -> None:
    records = open_records(f"{write(tmp_path / 'r.csv', ROWS)},text=text", "r")
    assert records.counts is None
    assert records.records == 3


def test_without_a_text_column_the_texts_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", ROWS)
    with pytest.raises(RecordsError, match="which column holds the text"):
        open_records(path, "r").texts()


def test_a_path_with_a_comma_is_a_path(tmp_path: Path) -> None:
    path = write(tmp_path / "a,text=b.jsonl", ROWS)
    assert list(open_records(f"{path},text=text", "r").texts())[1] == "short ☕"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (",colour=red", "unknown option 'colour'; expected PATH,text=COL,unit=COL"),
        (",text=", "expected text= once, with the name of a column"),
        (",text=text,text=text", "expected text= once, with the name of a column"),
        (",unit=who", "no column 'who'; found text, user_id; name one (in --data: ,unit=COL)"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, options: str, message: str) -> None:
    path = write(tmp_path / "r.csv", ROWS)
    with pytest.raises(RecordsError, match=re.escape(message)):
        open_records(f"{path}{options}", "r")


def test_a_file_without_a_header_shows_none_of_its_first_record(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(f"{SECRET},007\nagain,b\n")
    assert complaint(path).startswith(
        ": no column 'text'; its first line does not read like a header of column names"
    )


def test_an_id_left_out_of_an_object_is_a_missing_id(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"text": "a"}\n{"text": "b", "user_id": "p"}\n{"text": null, "user_id": null}\n')
    assert list(reviews(path).rows()) == [("a", None), ("b", "p"), ("", None)]


def test_a_nameless_index_column_still_reads_as_a_header(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(",body, user_id\n0,x,y\n")
    assert "found , body,  user_id" in complaint(path)


# ---------------------------------------------------------------- bad files

HEADER = b"text,user_id\n"
LATIN1 = SECRET.encode("latin-1")
GOOD = b'{"text": "a", "user_id": "b"}'
BAD_FILES = [
    ("r.csv", b"", ": the file is empty; expected records"),
    ("r.csv", HEADER, ": holds no records; expected at least one below the header"),
    ("r.jsonl", b"\n\n", ": holds no records; expected at least one below the header"),
    ("r.json", b"[]", ": holds no records; expected at least one below the header"),
    ("r.xlsx", b"x", ": unknown ending; expected csv, tsv, jsonl, json or parquet, each also .gz or .zst"),
    ("r.gz", b"x", ": unknown ending"),
    ("r.csv", HEADER + b"a,b\n" + LATIN1 + b",c\n", ", line 3, byte 24: not text in UTF-8: convert it"),
    ("r.csv", LATIN1 + HEADER, ", line 1, byte 7: not text in UTF-8"),
    ("r.json", b"[" + GOOD + b',\n{"text": "' + LATIN1 + b'"}]', ", line 2, byte 49: not text in UTF-8"),
    ("r.csv", HEADER + b"a,b\nc\0,d\n", ", line 3, byte 19: not text in UTF-8: a NUL byte"),
    ("r.csv", "text,user_id\na,b\n".encode("utf-16"), ", line 1, byte 1: not text in UTF-8"),
    (
        "r.csv",
        HEADER + b'"two\nlines",b\nc,d,4711\n',
        ", line 4: expected 2 fields as in the header, found 3",
    ),
    ("r.tsv", b"text\tuser_id\na\n", ", line 2: expected 2 fields as in the header, found 1"),
    (
        "r.csv",
        HEADER + b'a,b\n"4711 never closed,c\nd,e\n',
        ", line 3: not well-formed csv: a stray or unclosed",
    ),
    ("r.csv", HEADER + b"a,b\rc,d\r", ", line 2: not well-formed csv"),
    (
        "r.csv",
        b"text,user_id,text\na,b,c\n",
        ", header: column 1 has the same name as a later one; rename one",
    ),
    (
        "r.jsonl",
        GOOD + b'\n["4711"]\n',
        ", line 2: expected a JSON object with columns as keys, found an array",
    ),
    (
        "r.jsonl",
        GOOD + b'\n"4711"\n',
        ", line 2: expected a JSON object with columns as keys, found a string",
    ),
    (
        "r.jsonl",
        GOOD + b'\n\n{"text": "4711',
        ", line 3: not well-formed JSON; expected one object a line",
    ),
    ("r.jsonl", b"[" * 100_000, ", line 1: not well-formed JSON"),
    (
        "r.json",
        b"[" + GOOD + b", 4711]",
        ", record 2: expected a JSON object with columns as keys, found a number",
    ),
    (
        "r.json",
        b'[{"text": "4711"',
        ": not well-formed JSON; expected one object a line, or an array of them",
    ),
    (
        "r.jsonl",
        GOOD + b'\n{"text": 4711}\n',
        ", line 2: mixed types: 'text' is a number;",
    ),
    (
        "r.jsonl",
        GOOD + b'\n{"user_id": "4711"}\n',
        ", line 2: has no 'text', which other",
    ),
    (
        "r.jsonl",
        GOOD + b'\n{"text": "a", "user_id": 4711}\n',
        ", line 2: mixed types: 'user_id' is a number here and a string before",
    ),
    ("r.jsonl", b'{"text": "a", "user_id": ["4711"]}\n', ", line 1: 'user_id' is an array; expected an id"),
    ("r.jsonl", b'{"text": "a", "user_id": true}\n', ", line 1: 'user_id' is a truth value; expected an id"),
    (
        "r.csv.gz",
        gzip.compress(HEADER + b"4711," * 999)[:-9],
        ": truncated gzip: it ends before its end marker",
    ),
    ("r.csv.gz", HEADER, ": not a gzip file, or a damaged one"),
    ("r.csv.zst", compressed(HEADER + os.urandom(9999), "zst")[:-99], ": truncated or damaged zstd"),
    ("r.csv.zst", HEADER, ": truncated or damaged zstd"),
    ("r.parquet", encoded(ROWS, "parquet")[:-9], ": not a whole parquet file (truncated or damaged)"),
    ("r.parquet.gz", gzip.compress(encoded(ROWS, "parquet"))[:-9], ": truncated gzip"),
    ("r.arrow", b"4711" * 99, ": not a whole arrow file (truncated or damaged)"),
]


@pytest.mark.parametrize(
    ("name", "content", "message"), BAD_FILES, ids=[f"{n}-{m[2:50]}" for n, _, m in BAD_FILES]
)
def test_a_bad_file_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert complaint(path).startswith(message)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert complaint(tmp_path / "nope.csv") == ": no such file or folder; check the path"


def test_a_name_too_long_for_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="cannot be read: file name too long"):
        open_records(f"{tmp_path}/{'a' * 5000}.csv,text=text", "r")


def test_a_missing_column_lists_those_there(tmp_path: Path) -> None:
    path = write(tmp_path / "r.parquet", [{"body": SECRET, "user_id": "4711"}])
    assert complaint(path, read=False) == ": no column 'text'; found body, user_id; name one (in --data: ,text=COL)"


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "r.csv", ROWS)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert complaint(path) == ": cannot be read: permission denied"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.csv")
    assert complaint(tmp_path / "r.csv").startswith(": not a regular file")


def test_a_newline_in_a_file_name_stays_out_of_the_message(tmp_path: Path) -> None:
    with pytest.raises(RecordsError) as caught:
        open_records(tmp_path / "a\nb.csv", "r")
    assert "\n" not in str(caught.value)


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit.formats, "MAX_LINE", 1 << 20)
    (tmp_path / "r.jsonl").write_bytes(b" " * (2 << 20))
    assert complaint(tmp_path / "r.jsonl") == ", line 1: over 1 MiB long; expected one record a line"


def test_a_json_array_too_long_to_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit.formats, "MAX_JSON_ARRAY", 1 << 20)
    (tmp_path / "r.json").write_bytes(b"[" + b" " * (2 << 20) + b"]")
    assert complaint(tmp_path / "r.json").endswith("this one is over 1 MiB; convert it to jsonl")


def test_ids_that_are_all_missing_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", [{"text": SECRET, "user_id": ""}])
    with pytest.raises(RecordsError, match="every 'user_id' is empty; name another column"):
        _ = reviews(path).counts


def test_text_that_is_not_utf8_inside_parquet_is_refused(tmp_path: Path) -> None:
    offsets = pa.array([0, len(LATIN1)], pa.int32()).buffers()[1]
    bad = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(LATIN1))
    pq.write_table(pa.table({"text": bad, "user_id": ["a"]}), tmp_path / "r.parquet")
    assert complaint(tmp_path / "r.parquet").startswith(": a text in it is not UTF-8")


# ---------------------------------------------------------------- bad folders


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert complaint(tmp_path).startswith(": no data file in this folder (subfolders are not searched)")


def test_a_folder_that_may_hold_the_data_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "r.csv", ROWS)
    write(tmp_path / "r.csv.gz", ROWS)
    assert complaint(tmp_path) == ": r.csv is there compressed and not compressed; keep one of them"
    write(tmp_path / "r.parquet", ROWS)
    assert complaint(tmp_path).startswith(
        ": files of several formats (csv, parquet), maybe the same data twice"
    )


@pytest.mark.parametrize("names", [["../../secret.arrow"], ["/etc/passwd"], [".."], [], [7], "data", None])
def test_a_saved_folder_cannot_point_outside_itself(tmp_path: Path, names: Any) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    listed = [{"filename": name} for name in names] if isinstance(names, list) else names
    (folder / "state.json").write_text(json.dumps({"_data_files": listed}))
    with pytest.raises(
        RecordsError, match=r"state\.json: expected '_data_files' to list names inside this folder"
    ):
        reviews(folder)


def test_no_pickle_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "r.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    assert complaint(tmp_path / "r.pkl").startswith(": unknown ending")


# ---------------------------------------------------------------- identity


def test_a_checksum_in_the_manifest_makes_it_the_named_dataset(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", ROWS)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    described = manifest(sha256={"r.csv": digest}, records=1000, text_column="text")
    identity = open_records(path, "r", described).identity
    assert (identity.verdict, identity.sha256, identity.records) == ("named dataset", digest, 3)
    assert identity.published_records == 1000


@pytest.mark.parametrize(
    ("published", "verdict", "figures"),
    [
        ({"records": 6_990_280}, "sample", ["10,000", "6,990,280", "not the training set"]),
        ({"splits": {"train": 9_000, "test": 2_000}}, "sample", ["11,000"]),
        ({"records": 10_000}, "named dataset", ["10,000", "not by content"]),
        ({"splits": {"train": 10_000, "test": 2_000}}, "named dataset", ["'train'", "not by content"]),
        ({"records": 9_999}, "unknown", ["10,000", "9,999"]),
        ({}, "unknown", ["10,000", "no number"]),
    ],
)
def test_the_number_of_records_tells_sample_from_whole(
    published: dict[str, Any], verdict: str, figures: list[str]
) -> None:
    found, why = identify(["0" * 64], 10_000, manifest(**published))
    assert found == verdict
    assert all(figure in why for figure in figures)


def test_a_folder_is_the_named_dataset_only_if_every_file_is_published() -> None:
    described = manifest(sha256={"train.csv": "1" * 64, "test.csv": "2" * 64}, records=12_000)
    assert identify(["1" * 64, "2" * 64], 10_000, described)[0] == "named dataset"
    assert identify(["1" * 64, "3" * 64], 10_000, described)[0] == "sample"


def test_a_sample_of_a_pretraining_corpus_is_called_that() -> None:
    assert identify(["0" * 64], 10, manifest(kind="pretraining", records=20))[1].endswith(
        "not the whole corpus."
    )


def test_without_a_manifest_nothing_is_known() -> None:
    assert identify(["0" * 64], 10_000, None)[0] == "unknown"


def test_the_yelp_sample_is_called_a_sample(test_data: Path) -> None:
    described = manifest(records=6_990_280, text_column="text", unit_column="user_id")
    identity = open_records(test_data / "yelp_sample.jsonl.gz", "yelp", described).identity
    assert (identity.verdict, identity.records) == ("sample", 10_000)
