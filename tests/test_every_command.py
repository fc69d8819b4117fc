"""Every command that the README and the docs show is run, page by page, beside files of the names they mention."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
ELSEWHERE = {
    "docs/own-paper.md": "tests/test_own_paper.py runs the page, with the changes to the card that it asks for",
}
NOT_RUN = {  # what starts so, and why
    "python3 -m venv": "the set-up, which .ci/run makes in its own words; tests/test_docs.py holds its wording",
    ".venv/bin/": "the set-up of docs/index.md, in lines",
    "pip install": "tests install nothing",
    "python benchmarks/": "a measurement of minutes; tests time nothing",
    "audit users hf:": "the hub; tests/users has a stand-in for it",
}
MINUTES = 10  # for one command, on a busy machine
FOUND = 1  # the exit of a command that answers with findings
EXITS = {
    "audit run my-paper --format": 0,  # a card that `audit init` wrote: nothing found, much not judged
    "audit run ": FOUND,
    "audit probe reimpl.probe_steps:genie_published": FOUND,
}


def commands(page: str) -> list[str]:
    """The commands of a page's blocks, in order, without their comments."""
    found = []
    for block in re.findall(r"```(?:sh|text|console)\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL):
        lines = [re.sub(r"\s{2,}#.*", "", line).strip() for line in block.replace("\\\n", " ").splitlines()]
        found += [line for line in lines if re.match(r"(\.venv/bin/)?(audit|python3?|pip) ", line)]
    return found


def run_here(page: str) -> list[str]:
    return [line for line in commands(page) if page not in ELSEWHERE and not line.startswith(tuple(NOT_RUN))]


def reviews() -> list[dict[str, str]]:
    """Forty texts of ten people, each with an address and a name."""
    animals = ("heron", "otter", "badger", "lynx", "adder", "wren", "newt", "stoat", "hare", "toad")
    rows = []
    for i in range(40):
        text = " ".join(f"{animals[(i * 7 + j * 3) % 10]} number {i * j} was seen" for j in range(1, 5))
        person = f"person{i % 10}"
        row = dict.fromkeys(("text", "body"), text) | dict.fromkeys(("user_id", "author_id", "author"), person)
        rows.append(row | {"name": person.title(), "mail": f"{person}@example.org"})
    return rows


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of every name that a page mentions."""
    folder = tmp_path_factory.mktemp("desk")
    rows, corpus = reviews(), folder / "corpus"
    (folder / "data" / "part").mkdir(parents=True)
    (folder / "cc").mkdir()
    corpus.mkdir()
    table = pa.Table.from_pylist(rows)
    for name in ("reviews", "a", "b", "corpus/shard"):
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet")
    for name in ("reviews", "private"):
        pyarrow.csv.write_csv(table, folder / f"{name}.csv")
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    for name in ("private", "reviews", "sms", "messages"):
        (folder / f"{name}.jsonl").write_text(lines, "utf-8")
    (folder / "yelp_academic_dataset_review.json").write_text(lines, "utf-8")
    (folder / "yelp_reviews.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (folder / "data" / "part" / "a.jsonl.zst").write_bytes(pa.compress(lines.encode(), "zstd", asbytes=True))
    (folder / "cc" / "a.wet.gz").write_bytes(gzip.compress(wet(rows[0]["text"])))
    members = [{"text": row["text"], "member": i % 2 == 0} for i, row in enumerate(rows)]
    (folder / "canaries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in members), "utf-8")
    for checkout in ("checkout", "path/to/checkout"):
        shutil.copytree(ROOT / "tests" / "cases", folder / checkout)
    (folder / "examples").symlink_to(ROOT / "examples")
    shutil.copy(ROOT / "examples" / "opacus_probe.py", folder / "my_loop.py")
    with (folder / "my_loop.py").open("a", encoding="utf-8") as loop:
        loop.write("\n\nfactory = hooks\n")
    return folder


def wet(text: str) -> bytes:
    """One record of extracted text, as Common Crawl's WET files hold it (ISO 28500)."""
    body = text.encode()
    head = (
        "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://example.org/\r\n"
        "WARC-Date: 2024-01-01T00:00:00Z\r\nContent-Type: text/plain\r\n"
        "WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-000000000000>\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body + b"\r\n\r\n"


def started(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path}  # and whoever is asked something takes the default
    how: dict[str, Any] = {"cwd": folder, "env": environment, "input": "\n" * 9, "timeout": MINUTES * 60}
    return subprocess.run(line, shell=True, capture_output=True, text=True, **how)


def exit_of(line: str) -> int:
    return next((code for start, code in EXITS.items() if line.startswith(start)), 0)


def prepared(page: str, desk: Path, folder: Path) -> None:
    """The desk, and what the commands of the page go on from: a paper of one's own, a run, two results."""
    shutil.copytree(desk, folder, symlinks=True)
    lines = "\n".join(run_here(page))
    if "my-paper" in lines and "audit init" not in lines.split("my-paper")[0]:
        init = "audit init my-paper --title Mine --model GPT-2 --dataset reviews --epsilon 8 --delta 1e-5 --records 40"
        assert started(init, folder).returncode == 0
    if "--ledger run/" in lines:
        assert started("python examples/opacus_loop.py run", folder).returncode == 0
    for name in ("before", "after", "out/first", "out/second"):
        if f"{name}/result.json" in lines:
            assert started(f"audit run prior-work/xie-2024 --no-probes --out {name}", folder).returncode == FOUND


@pytest.mark.slow
@pytest.mark.timeout(3 * MINUTES * 60)
@pytest.mark.parametrize("page", [page for page in PAGES if run_here(page)])
def test_the_commands_of_a_page_run_and_exit_as_they_should(page: str, desk: Path, tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    prepared(page, desk, folder)
    for line in run_here(page):
        if line.startswith("audit init "):
            shutil.rmtree(folder / line.split()[2], ignore_errors=True)  # the page begins anew
        done = started(line, folder)
        said = (line, done.stdout[-800:], done.stderr[-800:])
        assert done.returncode == exit_of(line), said
        assert "Traceback" not in done.stderr, said
        for written in re.findall(r"--out (\S+)", line):
            assert (folder / written).exists(), said


def test_each_command_that_no_test_runs_is_left_out_for_a_reason() -> None:
    every = [line for page in PAGES for line in commands(page)]
    assert len(every) >= 60
    for start in NOT_RUN:
        assert any(line.startswith(start) for line in every), f"no page shows `{start}` any more"
    for page in ELSEWHERE:
        assert commands(page)
