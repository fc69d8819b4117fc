"""A capped copy keeps at most K whole records of each person, in order, drawn by a seed; or nothing is written."""

from __future__ import annotations

import csv
import errno
import gzip
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.cap import Chosen, cap
from audit.records import records_at
from audit.shards import RecordsError
from audit.users.database import digest_of

FEW = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
ENDINGS = ("jsonl", "csv", "tsv", "parquet", "jsonl.gz", "csv.gz", "jsonl.zst")
Rows = list[dict[str, Any]]


def write(path: Path, rows: Rows) -> Path:
    """The file, plain; compressed endings are only asked of the output."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows, pa.schema([("user", pa.string()), ("text", pa.string())])), path)
    elif path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["user", "text"], delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path) -> Rows:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    with pa.input_stream(str(path), compression="detect") as stream:
        text = stream.read().decode()
    if ".jsonl" in path.name:
        return [json.loads(line) for line in text.splitlines()]
    delimiter = "\t" if ".tsv" in path.name else ","
    rows = csv.DictReader(text.split("\n"), delimiter=delimiter)
    return [dict(row) for row in rows]


def records(owners: list[int]) -> Rows:
    return [{"user": f"u{owner}", "text": f"text {number}"} for number, owner in enumerate(owners)]


@FEW
@pytest.mark.parametrize("ending", ENDINGS)
@given(owners=st.lists(st.integers(0, 4), min_size=1, max_size=40), most=st.integers(1, 5), seed=st.integers(0, 9))
def test_capping_never_keeps_more_than_k_records_and_no_fewer_than_it_may(
    tmp_path: Path, ending: str, owners: list[int], most: int, seed: int
) -> None:
    rows = records(owners)
    out = tmp_path / f"out.{ending}"
    done = cap(str(write(tmp_path / f"d.{ending.split('.')[0]}", rows)), "user", most, seed, out)
    kept = read(out)
    assert Counter(row["user"] for row in kept) == {
        user: min(number, most) for user, number in Counter(row["user"] for row in rows).items()
    }
    numbers = [rows.index(row) for row in kept]  # texts differ, so each row is found where it stood
    assert numbers == sorted(numbers)
    assert (done.records, done.kept) == (len(rows), len(kept))


@FEW
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
@given(owners=st.lists(st.integers(0, 4), min_size=1, max_size=40), first=st.integers(0, 9), second=st.integers(0, 9))
def test_capping_again_changes_nothing_whatever_the_seed(
    tmp_path: Path, ending: str, owners: list[int], first: int, second: int
) -> None:
    once, twice = tmp_path / f"once.{ending}", tmp_path / f"twice.{ending}"
    cap(str(write(tmp_path / f"d.{ending}", records(owners))), "user", 2, first, once)
    cap(str(once), "user", 2, second, twice)
    assert read(twice) == read(once)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_records(tmp_path: Path) -> None:
    path = str(write(tmp_path / "d.jsonl", records([0] * 200)))
    bytes_of = []
    for number, seed in enumerate((1, 1, 2)):
        cap(path, "user", 5, seed, out := tmp_path / f"{number}.jsonl.gz")
        bytes_of.append(out.read_bytes())
    assert bytes_of[0] == bytes_of[1] != bytes_of[2]


def test_each_of_a_persons_records_is_equally_likely_to_be_kept(tmp_path: Path) -> None:
    """3 of 6 records, 400 seeds: each is kept about 200 times; 50 off is five standard deviations."""
    data = records_at(write(tmp_path / "d.jsonl", records([0] * 6)), "data", None, "user")
    kept = [0] * 6
    for seed in range(400):
        chosen = Chosen(data, "user", {digest_of("u0"): 6}, 3, random.Random(seed), None)
        choice = [next(chosen) for _ in range(6)]
        assert sum(choice) == 3
        kept = [number + chose for number, chose in zip(kept, choice, strict=True)]
    assert all(abs(number - 200) < 50 for number in kept)


def test_records_without_an_id_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"user": "a"}\n{"user": null}\n{}\n{"user": ""}\n')
    done = cap(str(path), "user", 1, 0, tmp_path / "out.jsonl")
    assert (done.kept, done.missing, done.records) == (1, 3, 4)


def test_a_line_of_json_is_kept_as_it_stands(tmp_path: Path) -> None:
    line = '{"user":  "a", "n": 1.0e5, "big": 123456789012345678901234567890, "s": "\\u00e9"}'
    (tmp_path / "d.jsonl").write_text(line + "\r\n\n")
    cap(str(tmp_path / "d.jsonl"), "user", 1, 0, tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_text() == line + "\n"


def test_types_of_parquet_are_kept(tmp_path: Path) -> None:
    table = pa.table({"user": [1, 1, 2], "score": pa.array([1.5, None, 2], pa.float32()), "tags": [["a"], [], None]})
    pq.write_table(table, tmp_path / "d.parquet")
    cap(str(tmp_path / "d.parquet"), "user", 2, 0, tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").equals(table)


# ---------------------------------------------------------------- nothing half-written


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("out", "part"),
    [("out.csv", "ends in .jsonl"), ("d.jsonl", "is the data itself"), ("out", "ends in .jsonl")],
)
def test_an_output_that_cannot_be_is_refused(tmp_path: Path, out: str, part: str) -> None:
    path = write(tmp_path / "d.jsonl", records([0]))
    with pytest.raises(RecordsError, match=part):
        cap(str(path), "user", 1, 0, tmp_path / out)
    assert leftovers(tmp_path) == ["d.jsonl"]


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "d.jsonl", records([0, 1]))
    (tmp_path / "out.jsonl").write_text("old")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordsError, match="no space left on device; nothing was kept"):
        cap(str(path), "user", 1, 0, tmp_path / "out.jsonl")
    assert leftovers(tmp_path) == ["d.jsonl", "out.jsonl"]
    assert (tmp_path / "out.jsonl").read_text() == "old"


def test_a_bad_record_far_down_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("user,text\n" + "a,x\n" * 10_000 + "a\n")
    with pytest.raises(RecordsError, match="line 10002"):
        cap(str(path), "user", 1, 0, tmp_path / "out.csv")
    assert leftovers(tmp_path) == ["d.csv"]


def test_a_killed_run_leaves_no_output_and_the_next_one_starts_clean(tmp_path: Path) -> None:
    """A reader that hangs after some records, killed outright; then the same command on whole data."""
    path = write(tmp_path / "d.jsonl", records([0, 0, 1] * 5000))
    code = (
        "import sys, time, audit.copying as c\n"
        "lines = c.json_lines\n"
        "def slow(shard):\n"
        "    for n, line in enumerate(lines(shard)):\n"
        "        if n == 9000:\n"
        "            print('here', flush=True); time.sleep(60)\n"
        "        yield line\n"
        "c.json_lines = slow\n"
        "from pathlib import Path\n"
        "from audit.cap import cap\n"
        "cap(sys.argv[1], 'user', 5000, 0, Path(sys.argv[2]))\n"
    )
    out = tmp_path / "out.jsonl"
    child = subprocess.Popen([sys.executable, "-c", code, str(path), str(out)], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        with pytest.raises(RecordsError, match="another run is writing it"):
            cap(str(path), "user", 1, 0, out)
        child.send_signal(signal.SIGKILL)
    finally:
        child.kill()
        child.wait(timeout=30)
    assert not out.exists()
    assert (tmp_path / ".out.jsonl.part").exists()
    cap(str(path), "user", 1, 0, out)
    assert len(read(out)) == 2
    assert leftovers(tmp_path) == ["d.jsonl", "out.jsonl"]


def test_real_reviews_are_capped(test_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "yelp.jsonl.gz"
    done = cap(str(test_data / "yelp_sample.jsonl.gz"), "user_id", 2, 0, out)
    with gzip.open(out, "rt") as file:
        held = Counter(json.loads(line)["user_id"] for line in file)
    assert (len(held), max(held.values())) == (6403, 2)
    assert (done.records, done.people, done.missing) == (10_000, 6_403, 0)
    assert done.kept == sum(held.values())
