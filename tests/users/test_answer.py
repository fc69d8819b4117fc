"""`audit users`: published figures of real data, splits, what a cap would mend, and every bad input in one line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from audit.accounting.calibration import epsilon_curve
from audit.cells import Columns
from audit.cli import app
from audit.users.answer import users
from audit.users.caps import caps, kept
from audit.users.duplicates import Across, Within

HISTOGRAMS = st.dictionaries(st.integers(1, 50), st.integers(1, 20), min_size=1, max_size=8)
KEYS = "records units max mean p50 p90 p99 p999 share_single share_top1 missing".split()  # noqa: SIM905


def write(path: Path, users_: list[str | None], texts: list[str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"user": u, "text": texts[n] if texts else f"text {n} of {path.stem}"} for n, u in enumerate(users_)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def asked(*arguments: str) -> dict[str, Any]:
    ran = CliRunner().invoke(app, ["users", *arguments, "--json"])
    assert ran.exit_code == 0, ran.output
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize(
    ("file", "unit", "figures"),
    [
        ("yelp_sample", "user_id", {"records": 10_000, "units": 6_403, "max": 38, "p99": 8.0, "missing": 0}),
        ("airbnb_albany_a", "reviewer_id", {"records": 27_864, "units": 23_153, "max": 127, "missing": 0}),
        ("nus_sms_en", "user_id", {"records": 55_835, "units": 343, "max": 4_951, "missing": 0}),
    ],
)
def test_published_figures_are_reproduced(test_data: Path, file: str, unit: str, figures: dict[str, float]) -> None:
    found = asked(str(test_data / f"{file}.jsonl.gz"), "--unit", unit)
    assert {key: found[key] for key in figures} == figures
    assert set(KEYS) <= set(found)
    if file == "yelp_sample":
        assert round(found["mean"], 2) == 1.56
    if file == "nus_sms_en":
        (sign,) = found["signs"]
        (effect,) = sign["effects"]
        assert (sign["ident"], sign["records"]) == ("placeholder-id", 4_754)
        assert (effect["max"], round(effect["mean"], 1)) == (4_951, 149.4)


def test_the_published_splits_share_nothing(test_data: Path, tmp_path: Path) -> None:
    for name, split in (("drugs_val", "validation"), ("drugs_test", "test")):
        os.symlink(test_data / f"{name}.jsonl.gz", tmp_path / f"{split}.jsonl.gz")
    answer = users(str(tmp_path), Columns(text="trg"))
    (pair,) = answer.across
    assert (pair.split, pair.other, pair.records, pair.exact, pair.near) == ("test", "validation", 2128, 0, 0)


# ---------------------------------------------------------------- splits and duplicates


def test_splits_are_counted_apart_and_together(tmp_path: Path) -> None:
    write(tmp_path / "train-0.jsonl", ["a", "a", "b"])
    write(tmp_path / "train-1.jsonl", ["c"])
    write(tmp_path / "test.jsonl", ["a", "d"])
    answer = users(str(tmp_path), Columns(unit="user"))
    assert {name: (c.records, c.units, c.max) for name, c in answer.splits.items()} == {
        "train": (4, 3, 2),
        "test": (2, 2, 1),
    }
    assert answer.counts is not None
    assert (answer.counts.records, answer.counts.units, answer.counts.max) == (6, 4, 3)
    assert answer.across == (Across("test", "train", 2, None, None, 1),)


def test_duplicates_within_and_across_splits_are_counted(tmp_path: Path) -> None:
    long = "the food was good and the staff were kind to us all evening long in spite of the rain"
    write(tmp_path / "train.jsonl", ["a", "b", "c", "d"], ["same", "same", long, ""])
    write(tmp_path / "validation.jsonl", ["e", "f", "a"], ["same", long + " indeed", "other words"])
    answer = users(str(tmp_path), Columns(unit="user", text="text"))
    assert answer.within == (Within("validation", 3, 0, 0), Within("train", 4, 2, 0))
    assert answer.across == (Across("validation", "train", 3, 1, 1, 1),)


def test_a_file_that_names_no_split_is_counted_with_all(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", ["a"])
    write(tmp_path / "extra.jsonl", ["b"])
    assert users(str(tmp_path), Columns(unit="user")).splits == {}


# ---------------------------------------------------------------- no unit column


def test_without_a_person_column_nothing_is_called_clean(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", ["a", "b"])
    ran = CliRunner().invoke(app, ["users", str(path)])
    assert "how many each person holds is not known" in ran.stdout
    assert "no column names the person" in ran.stdout
    assert "no sign" not in ran.stdout


def test_a_number_may_be_assumed(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", ["a", "b"])
    run = ("--noise-multiplier", "9", "--sampling-probability", "1", "--steps", "10", "--delta", "1e-5")
    found = asked(str(path), "--assume-max-records", "3", *run)
    assert [cap["max_records"] for cap in found["caps"]] == [1, 2, 3]
    assert {cap["records_kept"] for cap in found["caps"]} == {None}
    assert found["assumed_max_records"] == 3


# ---------------------------------------------------------------- caps


@given(histogram=HISTOGRAMS, most=st.integers(1, 60))
def test_a_cap_keeps_what_each_person_may_keep(histogram: dict[int, int], most: int) -> None:
    people = [size for size, number in histogram.items() for _ in range(number)]
    records, affected = kept(histogram, most)
    assert records == sum(min(size, most) for size in people)
    assert affected == sum(size > most for size in people)


@given(HISTOGRAMS)
def test_the_last_row_is_no_cap_and_rows_keep_more_and_more(histogram: dict[int, int]) -> None:
    rows = list(caps(histogram, max(histogram)))
    assert (rows[-1].max_records, rows[-1].people_affected) == (max(histogram), 0)
    assert rows[-1].records_kept == sum(size * number for size, number in histogram.items())
    numbers = [row.records_kept for row in rows if row.records_kept is not None]
    assert numbers == sorted(numbers)


def test_caps_are_priced_at_the_same_noise_and_the_noise_keeps_the_claim(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl", ["a"] * 4 + ["b"])
    numbers = (5.0, 1.0, 10, 1e-5)
    run = ("--noise-multiplier", "5", "--sampling-probability", "1", "--steps", "10", "--delta", "1e-5")
    found = asked(str(path), "--unit", "user", *run)
    expected = epsilon_curve(*numbers, [1, 2, 4])
    assert [(cap["epsilon_lower"], cap["epsilon_upper"]) for cap in found["caps"]] == [
        (bracket.lower, bracket.upper) for bracket in expected
    ]
    assert found["target_epsilon"] == expected[0].upper
    for cap in found["caps"]:
        (there,) = epsilon_curve(cap["noise_multiplier"], *numbers[1:], [cap["max_records"]])
        assert there.upper <= found["target_epsilon"] * (1 + 1e-9)
        (below,) = epsilon_curve(cap["noise_multiplier"] * 0.99, *numbers[1:], [cap["max_records"]])
        assert below.lower > found["target_epsilon"]


# ---------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("nosuch.jsonl", "--unit", "user"), "no such file or folder"),
        (("d.jsonl", "--unit", "author"), "no column 'author'; found user, text"),
        (("d.jsonl", "--unit", "user", "--email", "mail"), "no column 'mail'"),
        (("d.jsonl", "--unit", "user", "--steps", "3"), "a price needs all of"),
        (("twice.csv", "--unit", "user"), "same name"),
        (("empty.jsonl", "--unit", "user"), "is empty"),
        (("none.jsonl", "--unit", "user"), "every 'user' is empty"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(tmp_path: Path, arguments: tuple[str, ...], part: str) -> None:
    write(tmp_path / "d.jsonl", ["a"])
    write(tmp_path / "none.jsonl", [None, ""])
    (tmp_path / "twice.csv").write_text("user,user\na,b\n")
    (tmp_path / "empty.jsonl").touch()
    command = [sys.executable, "-m", "audit.cli", "users", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert len(ran.stderr.strip().splitlines()) == 1
    assert part in ran.stderr


def test_the_table_shows_no_id_and_no_text(tmp_path: Path) -> None:
    ids = [f"person-{n % 7}-secret" for n in range(40)]
    path = write(tmp_path / "d.jsonl", ids, [f"secret words {n}" for n in range(40)])
    ran = CliRunner().invoke(app, ["users", str(path), "--unit", "user", "--text", "text"])
    assert ran.exit_code == 0
    assert "secret" not in ran.stdout


def test_the_same_data_give_the_same_answer(tmp_path: Path) -> None:
    owners = [f"u{n % 9}" for n in range(90)]
    answers = []
    for name, order in (("a", owners), ("b", owners[::-1])):
        answers.append(asked(str(write(tmp_path / f"{name}.jsonl", order)), "--unit", "user"))
    assert answers[0] == answers[1]
    assert Counter(owners)["u0"] == answers[0]["max"]


def test_an_interrupted_count_ends_leaving_nothing(tmp_path: Path) -> None:
    """A reader that hangs, interrupted as by Ctrl-C: exit 130, and the temporary folder is gone."""
    write(tmp_path / "d.jsonl", ["a"])
    (tmp_path / "t").mkdir()
    code = (
        "import sys, time, audit.users.sources as s\n"
        "def slow(*_):\n"
        "    print('here', flush=True); time.sleep(3); yield ('a',)\n"
        "s.cells = slow\n"
        "sys.argv = ['audit', 'users', sys.argv[1], '--unit', 'user', '--limit', '5']\n"
        "from audit.cli import main\n"
        "main()\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path / "t")}
    command = [sys.executable, "-c", code, str(tmp_path / "d.jsonl")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"here\n"
            child.send_signal(signal.SIGINT)
            assert child.wait(timeout=60) == 130
        finally:
            child.kill()
    assert not list((tmp_path / "t").iterdir())
