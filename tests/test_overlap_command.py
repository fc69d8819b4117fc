"""`audit overlap` end to end: what it writes and prints, and what becomes of damaged shards and killed runs."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from audit import cli
from audit.shards import RecordsError

RECORD = "the soup was cold but the waiter brought us another one without being asked twice"
COLUMNS = ["private_row", "private_id", "corpus_shard", "corpus_row", "corpus_id", "method", "score"]


def jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def filler(seed: int, words: int = 200) -> str:
    random = np.random.default_rng(seed)
    return " ".join(f"z{v}" for v in random.integers(0, 5000, words))


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path]:
    """Five private records of three people, and a corpus of three shards that holds three of them."""
    private = jsonl(
        tmp_path / "private.jsonl",
        [
            {"text": RECORD, "id": "a1", "who": "ann"},
            {"text": f"{RECORD} indeed and more of it", "id": "a2", "who": "ann"},
            {"text": "Thank you so much!", "id": "b1", "who": "bob"},
            {"text": filler(900, 60), "id": "c1", "who": "cy"},
            {"text": "?!", "id": "c2", "who": "cy"},
        ],
    )
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    texts = [[filler(1), f"{filler(2)} {RECORD} {filler(3)}"], ["thank you so much", filler(4)], [filler(5)]]
    for place, shard in enumerate(texts):
        jsonl(corpus / f"part-{place}.jsonl", [{"text": t, "url": f"u{place}{i}"} for i, t in enumerate(shard)])
    return private, corpus


def run(*options: object, code: int = 0) -> str:
    answer = CliRunner().invoke(cli.app, ["overlap", *map(str, options)])
    if isinstance(answer.exception, RecordsError):
        assert code == 2
        return str(answer.exception)
    assert answer.exit_code == code, answer.output
    return answer.output


def rows(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


def test_matches_are_rows_ids_and_spans_without_text(sides: tuple[Path, Path], tmp_path: Path) -> None:
    private, corpus = sides
    out = tmp_path / "m.parquet"
    run(private, corpus, "--private-id", "id", "--corpus-id", "url", "--out", out, "--jobs", 1)
    assert pq.read_schema(out).names == [*COLUMNS, "span_start", "span_end", "verified"]
    found = [[row[name] for name in COLUMNS] for row in rows(out)]
    start = len(filler(2)) + 1
    assert found == [
        [0, "a1", "part-0.jsonl", 1, "u01", "containment", 1.0],
        [1, "a2", "part-0.jsonl", 1, "u01", "containment", 0.75],
        [2, "b1", "part-1.jsonl", 0, "u10", "exact", 1.0],
    ]
    first = rows(out)[0]
    assert (first["span_start"], first["span_end"]) == (start, start + len(RECORD))
    data = out.read_bytes()
    assert not any(word.encode() in data for word in (RECORD, "waiter", "z123"))
    assert not list(tmp_path.glob("*.unfinished"))


def test_the_summary_counts_records_people_and_the_method_of_papers(sides: tuple[Path, Path], tmp_path: Path) -> None:
    private, corpus = sides
    options = ("--private-unit", "who", "--out", tmp_path / "m.parquet", "--jobs", 1, "--plants", 30)
    found = json.loads(run(private, corpus, *options, "--json"))
    assert (found["matched"]["count"], found["matched"]["of"]) == (3, 5)
    assert 0.14 < found["matched"]["lower"] < 0.15 < 0.94 < found["matched"]["upper"] < 0.95  # Clopper-Pearson 3 of 5
    assert (found["people"]["count"], found["people"]["of"]) == (2, 3)
    assert {level: s["count"] for level, s in found["at_least"].items()} == {
        "0.45": 3, "0.5": 3, "0.6": 3, "0.7": 3, "0.8": 2, "0.9": 2, "1": 2,
    }  # fmt: skip
    assert found["by_method"] == {"exact": 1, "containment": 2, "near-duplicate": 0}
    assert found["without_words"] == 1
    assert found["minhash"]["matched_at_0.5"] == 1  # the whole text alone; the page hides the others
    assert found["options"]["mode"] == "containment"
    assert found["recall"]["verbatim"]["lower"] > 0.85
    text = run(private, corpus, *options)
    assert "3 of 5 (60.00%, 95 % interval" in text
    assert "2 of 3" in text
    assert "waiter" not in text


def test_texts_are_printed_only_where_asked_and_cannot_drive_a_terminal(tmp_path: Path) -> None:
    private = jsonl(tmp_path / "p.jsonl", [{"text": f"{RECORD}\u001b[31m"}])
    corpus = jsonl(tmp_path / "c.jsonl", [{"text": "nothing"}, {"text": f"{filler(1)} {RECORD} &amp; {filler(2)}"}])
    shown = run(private, corpus, "--out", tmp_path / "m", "--show-text", 1, "--plants", 0)
    assert shown.count(RECORD) == 2
    assert "\u001b" not in shown
    assert RECORD not in run(private, corpus, "--out", tmp_path / "m", "--plants", 0)


def test_nothing_found_is_bounded_and_not_called_absence(sides: tuple[Path, Path], tmp_path: Path) -> None:
    _, corpus = sides
    other = jsonl(tmp_path / "other.jsonl", [{"text": filler(seed, 50)} for seed in range(50, 60)])
    text = run(other, corpus, "--out", tmp_path / "m.parquet", "--plants", 20, "--jobs", 1)
    assert "matched: 0 of 10" in text
    assert "does not prove absence" in text
    assert "20 of 20 (100.00%" in text


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--threshold", "1.5"), "expected a threshold above 0"),
        (("--corpus-text", "body"), "no column 'body'; found text, url; name one with --corpus-text"),
        (("--private-text", "body"), "no column 'body'; found text, id, who; name one with --private-text"),
        (("--private-unit", "author"), "name one with --private-unit"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    options: tuple[str, ...], said: str, sides: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "m.parquet"
    message = run(*sides, *options, "--out", out, code=2)
    assert said in message
    assert "\n" not in message
    assert not out.exists()
    assert not list(tmp_path.glob("*.unfinished"))


def damaged(corpus: Path) -> None:
    """A truncated gzip and a parquet file of noise beside the sound shards."""
    for path in corpus.glob("*.jsonl"):
        path.with_suffix(".jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    whole = gzip.compress(json.dumps({"text": filler(8), "url": "u"}).encode())
    (corpus / "part-7.jsonl.gz").write_bytes(whole[: len(whole) // 2])


def test_where_a_corpus_holds_no_text_no_share_is_told(sides: tuple[Path, Path], tmp_path: Path) -> None:
    private, _ = sides
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), empty)
    text = run(private, empty, "--out", tmp_path / "m.parquet", "--plants", 0, "--jobs", 1, code=0)
    assert "nothing was searched" in text
    assert "interval" not in text


def test_a_damaged_shard_is_named_and_the_others_searched(sides: tuple[Path, Path], tmp_path: Path) -> None:
    private, corpus = sides
    damaged(corpus)
    text = run(private, corpus, "--out", tmp_path / "m.parquet", "--plants", 0, "--jobs", 1, code=3)
    assert "NOT SEARCHED: " in text
    assert "part-7.jsonl.gz" in text.split("NOT SEARCHED: ")[1]
    assert "truncated gzip" in text
    assert len(rows(tmp_path / "m.parquet")) == 3
    refused = run(private, corpus, "--out", tmp_path / "n.parquet", "--plants", 0, "--jobs", 1, "--strict", code=2)
    assert "part-7.jsonl.gz" in refused
    assert not (tmp_path / "n.parquet").exists()


def test_a_corpus_of_which_nothing_can_be_read_is_refused_and_nothing_is_left(
    sides: tuple[Path, Path], tmp_path: Path
) -> None:
    private, corpus = sides
    for part in corpus.iterdir():
        part.unlink()
    damaged(corpus)
    refused = run(private, corpus, "--out", tmp_path / "n.parquet", "--plants", 0, "--jobs", 1, code=2)
    assert "part-7.jsonl.gz" in refused
    assert "nothing was searched" in refused
    assert not list(tmp_path.glob("n.parquet*"))


def test_a_damaged_ledger_is_named(sides: tuple[Path, Path], tmp_path: Path) -> None:
    private, corpus = sides
    damaged(corpus)
    out = tmp_path / "m.parquet"
    run(private, corpus, "--out", out, "--plants", 0, "--jobs", 1, "--strict", code=2)  # leaves what is finished
    entry = min((tmp_path / "m.parquet.unfinished").glob("*.json"))
    entry.write_text("{")
    text = run(private, corpus, "--out", out, "--plants", 0, "--jobs", 1, code=3)
    assert f"warning: {entry}: damaged entry" in text.replace("\n", "")
    assert len(rows(out)) == 3


def test_parquet_columns_of_every_string_type_are_read_alike(sides: tuple[Path, Path], tmp_path: Path) -> None:
    private, _ = sides
    texts = [f"{filler(2)} {RECORD}", None, "ünï " + RECORD, "Thank you so much!"]
    found = []
    for place, kind in enumerate((pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()))):
        column = pa.array(texts, pa.string())
        column = column.dictionary_encode() if pa.types.is_dictionary(kind) else column.cast(kind)
        path = tmp_path / f"c{place}.parquet"
        pq.write_table(pa.table({"text": column, "n": [1, 2, 3, 4]}), path)
        run(private, path, "--out", tmp_path / "m.parquet", "--corpus-id", "n", "--plants", 0)
        found.append([{k: v for k, v in row.items() if k != "corpus_shard"} for row in rows(tmp_path / "m.parquet")])
    assert found[0] == found[1] == found[2]
    places = [(row["corpus_row"], row["corpus_id"]) for row in found[0]]
    assert places == [(0, "1"), (0, "1"), (2, "3"), (2, "3"), (3, "4")]


def test_a_noisy_parquet_shard_and_a_column_of_numbers_are_named(sides: tuple[Path, Path], tmp_path: Path) -> None:
    private, _ = sides
    folder = tmp_path / "parquet"
    folder.mkdir()
    pq.write_table(pa.table({"text": [f"{filler(1)} {RECORD}"] * 50}), folder / "a.parquet")
    pq.write_table(pa.table({"text": [1, 2]}), folder / "b.parquet")
    data = (folder / "a.parquet").read_bytes()
    (folder / "c.parquet").write_bytes(data[:200] + bytes(200) + data[400:])
    (folder / "d.parquet").write_bytes(data[:-20])
    text = run(private, folder, "--out", tmp_path / "m.parquet", "--plants", 0, code=3)
    named = [line.split("NOT SEARCHED: ")[1] for line in text.splitlines() if "NOT SEARCHED" in line]
    assert [name.split("parquet/")[1][0] for name in named] == ["b", "c", "d"]


# ---------------------------------------------------------------- killed runs


def command(private: Path, corpus: Path, out: Path) -> list[str]:
    options = ["--out", str(out), "--jobs", "2", "--plants", "0", "--quiet"]
    return [sys.executable, "-m", "audit.cli", "overlap", str(private), str(corpus), *options]


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[1].split()[0] != "Z"
    except OSError:
        return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for orphans in /proc")
def test_a_run_killed_three_times_ends_with_the_matches_of_one_that_was_not(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    words = [f"v{i}" for i in range(20_000)]
    private = [" ".join(random.choice(words, 40)) for _ in range(300)]
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for shard in range(24):
        drawn = random.choice(words, (120, 1500))
        pages = [" ".join([*row, private[random.integers(300)], *row[:100]]) for row in drawn]
        jsonl(corpus / f"{shard:02}.jsonl", [{"text": page} for page in pages * 3])
    held = jsonl(tmp_path / "private.jsonl", [{"text": text} for text in private])
    uninterrupted, resumed = tmp_path / "one.parquet", tmp_path / "two.parquet"
    subprocess.run(command(held, corpus, uninterrupted), check=True, timeout=300)

    work = tmp_path / "two.parquet.unfinished"
    for kill in range(3):
        before = len(list(work.glob("*.json")))
        process = subprocess.Popen(command(held, corpus, resumed))
        try:
            assert wait_for(lambda b=before: len(list(work.glob("*.json"))) > b + 1, 200)
            pool = children(process.pid)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(timeout=60)
        assert not resumed.exists(), f"the run was over before kill {kill}"
        assert wait_for(lambda p=pool: not any(map(is_running, p)), 60), "processes outlive the killed run"
    kept = len(list(work.glob("*.json")))
    assert kept >= 6
    subprocess.run(command(held, corpus, resumed), check=True, timeout=300)
    assert resumed.read_bytes() == uninterrupted.read_bytes()
    assert len(rows(resumed)) >= 24 * 360
    assert not work.exists()
