"""People counted out of core: the same figures as a plain count, in every format, whatever the ids look like."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.cells import Columns
from audit.shards import RecordsError, find_shards
from audit.users import count_units
from audit.users.database import database
from audit.users.people import people_in, units_in
from audit.users.sources import Source

CHARACTERS = st.characters(codec="utf-8", exclude_characters="\0")
IDS = st.lists(st.one_of(st.none(), st.text(CHARACTERS, max_size=3)), min_size=1, max_size=40)
FEW = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def write(path: Path, ids: Sequence[str | None]) -> Path:
    rows = [{"text": "a, \"b\"\nc", "user": ident} for ident in ids]
    if ".parquet" in path.name:
        pq.write_table(pa.table({"text": [r["text"] for r in rows], "user": pa.array(ids, pa.string())}), path)
        return path
    if ".csv" in path.name:
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, ["text", "user"], quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        data = out.getvalue().encode()
    else:
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@FEW
@pytest.mark.parametrize("name", ["d.parquet", "d.jsonl", "d.jsonl.gz", "d.csv", "d.csv.gz"])
@given(ids=IDS.filter(any))
def test_the_database_counts_what_a_plain_count_counts(tmp_path: Path, name: str, ids: list[str | None]) -> None:
    assert units_in(find_shards(write(tmp_path / name, ids)), "user") == count_units(ids)


@FEW
@given(ids=IDS.filter(any), data=st.data())
def test_counts_do_not_depend_on_order_splitting_or_compression(
    tmp_path_factory: pytest.TempPathFactory, ids: list[str | None], data: st.DataObject
) -> None:
    whole = count_units(ids)
    shuffled = data.draw(st.permutations(ids))
    cut = data.draw(st.integers(0, len(ids)))
    for ending in ("parquet", "jsonl.gz", "csv"):
        folder = tmp_path_factory.mktemp("split")
        for number, part in enumerate((shuffled[:cut], shuffled[cut:])):
            if part:
                write(folder / f"{number}.{ending}", part)
        counts = units_in(find_shards(folder), "user")
        assert counts == whole
        assert counts.records + counts.missing == len(ids)


@FEW
@given(ids=IDS.filter(any))
def test_the_databases_reader_and_ours_give_the_same_people(tmp_path: Path, ids: list[str | None]) -> None:
    shards = find_shards(write(tmp_path / "d.jsonl", ids))
    user = Columns(unit="user")
    with people_in(shards, user) as direct, people_in(shards, user, limit=10**6) as ours:
        same = "SELECT unit, n, folded, word, length, made FROM person ORDER BY ALL"
        assert direct.db.run(same) == ours.db.run(same)


@pytest.mark.parametrize(("name", "direct"), [("d.parquet", True), ("d.jsonl", True), ("d.csv", False)])
def test_each_format_has_its_own_way(tmp_path: Path, name: str, direct: bool) -> None:
    source = Source(find_shards(write(tmp_path / name, ["a", None, "b"])), Columns(text="text", unit="user"))
    with database() as db:
        assert source.run(db, "SELECT count(*), count(unit), min(text) FROM {source}") == [(3, 2, "a, \"b\"\nc")]
        assert (source._native is not None) is direct  # and stayed so: nothing was read a second time


def test_a_quote_that_is_never_closed_loses_no_record_silently(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text('user,text\na,x\nb,"open\n')
    with pytest.raises(RecordsError, match="line 3"):
        units_in(find_shards(path), "user")


@pytest.mark.parametrize("ids", [[1, 2, 2, None], [7, -7, 7, 2**40]])
def test_whole_numbers_are_ids_in_every_format(tmp_path: Path, ids: list[int | None]) -> None:
    expected = count_units([None if i is None else str(i) for i in ids])
    pq.write_table(pa.table({"user": pa.array(ids, pa.int64())}), tmp_path / "d.parquet")
    (tmp_path / "d.jsonl").write_text("".join(json.dumps({"user": i}) + "\n" for i in ids))
    for name in ("d.parquet", "d.jsonl"):
        assert units_in(find_shards(tmp_path / name), "user") == expected


def test_an_id_with_a_gap_is_the_number_it_was(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": pa.array([7.0, None, 7.0, 1e22])}), tmp_path / "d.parquet")
    (tmp_path / "d.jsonl").write_text('{"user": 7}\n{"user": null}\n{"user": 7.0}\n{"user": 1e22}\n')
    for name in ("d.parquet", "d.jsonl"):
        counts = units_in(find_shards(tmp_path / name), "user")
        assert counts is not None
        assert (counts.units, counts.max, counts.missing) == (2, 2, 1)


SECRET = "4711-Müller"
BAD = {
    "mixed types": ("d.jsonl", b'{"user": "a"}\n{"user": 7}\n', "line 2"),
    "an object for an id": ("d.jsonl", b'{"user": {"x": 1}}\n', "line 1"),
    "invalid UTF-8": ("d.jsonl", b'{"user": "' + SECRET.encode() + b'"}\n{"user": "\xff"}\n', "line 2"),
    "ragged csv": ("d.csv", f"user,text\n{SECRET},x\nb\n".encode(), "line 3"),
    "damaged json": ("d.jsonl", f'{{"user": "{SECRET}"}}\n{{"user": "{SECRET}\n'.encode(), "line 2"),
    "truncated gzip": ("d.jsonl.gz", gzip.compress(b'{"user": "a"}\n' * 5000)[:-30], "gzip"),
    "truncated parquet": ("d.parquet", b"PAR1" + b"\0" * 200, "parquet"),
    "a NUL byte": ("d.csv", f"user,text\n{SECRET},x\0\n".encode(), "line 2"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_in_one_line_that_shows_no_cell(tmp_path: Path, what: str) -> None:
    name, content, place = BAD[what]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordsError) as caught:
        units_in(find_shards(tmp_path / name), "user")
    message = str(caught.value)
    assert message.startswith(str(tmp_path / name))
    assert place in message
    assert "\n" not in message
    assert "Müller" not in message
    assert "4711" not in message


def test_nothing_is_left_in_the_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    path = write(tmp_path / "d.jsonl", ["a"])
    with people_in(find_shards(path), Columns(unit="user")):
        (made,) = (tmp_path / "t").iterdir()
        assert made.stat().st_mode & 0o077 == 0
    assert not list((tmp_path / "t").iterdir())


def test_a_count_that_does_not_fit_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database without room: too little memory, and a temporary folder that takes nothing."""
    monkeypatch.setattr("audit.users.database.MEMORY", "16MB")
    monkeypatch.setattr("audit.users.database.MOST_ON_DISK", "1MB")
    path = write(tmp_path / "d.csv", [f"user number {i} of very many" for i in range(400_000)])
    with pytest.raises(RecordsError, match=r"no room to count.*TMPDIR"):
        units_in(find_shards(path), "user")


def test_a_limit_looks_at_the_first_records(tmp_path: Path) -> None:
    path = write(tmp_path / "d.parquet", ["a", "b", "b", "c"])
    counts = units_in(find_shards(path), "user", limit=3)
    assert counts is not None
    assert (counts.records, counts.units, counts.max) == (3, 2, 2)


def test_a_glob_takes_the_files_that_match_below_it(tmp_path: Path) -> None:
    for name in ("a/x.jsonl", "a/b/y.jsonl", "a/.hidden.jsonl", "z.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, ["u", "v"])
    shards = find_shards(tmp_path / "a" / "**" / "*.jsonl")
    assert [shard.name for shard in shards] == ["b/y.jsonl", "x.jsonl"]
    counts = units_in(shards, "user")
    assert counts is not None
    assert counts.records == 4
    with pytest.raises(RecordsError, match="no data file matches"):
        find_shards(tmp_path / "*.csv")


def test_odd_column_names_are_only_names(tmp_path: Path) -> None:
    column = "us\"er'); DROP TABLE person; --{}"
    (tmp_path / "d.jsonl").write_text("".join(json.dumps({column: i}) + "\n" for i in "aab"))
    pq.write_table(pa.table({column: list("aab")}), tmp_path / "d.parquet")
    for name in ("d.jsonl", "d.parquet"):
        counts = units_in(find_shards(tmp_path / name), column)
        assert counts is not None
        assert (counts.units, counts.max) == (2, 2)
