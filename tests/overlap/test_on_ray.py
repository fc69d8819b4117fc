"""Shards searched by a local Ray of two workers: the same matches, also when a worker is killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audit.contamination import Asked, ask
from audit.overlap import on_ray
from audit.overlap.ledger import Ledger
from audit.overlap.local import SearchError
from audit.overlap.question import Question, digest
from audit.overlap.texts import from_strings

PRIVATE = [f"record {i} says that {' '.join(f'w{i}x{j}' for j in range(15))} and ends" for i in range(30)]


def quiet(stage: str, done: int, of: int) -> None:
    pass


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    random = np.random.default_rng(1)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for shard in range(5):
        texts = [f"before {PRIVATE[i]} after {shard}" for i in random.integers(0, 30, 40)]
        (corpus / f"{shard}.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    (corpus / "9.jsonl").write_text('{"text": "whole"}\n{"text":')
    private = tmp_path / "private.jsonl"
    private.write_text("".join(json.dumps({"text": t}) + "\n" for t in PRIVATE))
    return Asked(private, corpus, out=tmp_path / "local.parquet", plants=0, jobs=2)


def test_without_ray_one_line_says_what_to_install(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(SearchError, match=r"Ray is not installed; pip install 'dp-claim-audit\[ray\]'"):
        on_ray.search([], Question().side(from_strings(PRIVATE)), None, address=None, jobs=1, tell=quiet)  # type: ignore[arg-type]


@pytest.mark.slow
def test_matches_are_byte_for_byte_those_of_the_local_engine(asked: Asked) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    other = replace(asked, out=asked.out.with_name("ray.parquet"), engine="ray")
    found = [ask(each, quiet) for each in (asked, other)]
    assert asked.out.read_bytes() == other.out.read_bytes()
    assert found[0].summary == found[1].summary
    assert len(found[0].matches.private_row) == 200
    assert "9.jsonl" in found[0].summary.skipped[0]


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")

    class Deadly:
        """A shard whose first reader is killed; defined here, so that it travels to the workers by value."""

        def __init__(self, name: str) -> None:
            self.name, self.mark = name, tmp_path / f"{name}.killed"

        def digest(self) -> str:
            return self.name

        def batches(self) -> Iterator[object]:
            if self.name == "b" and not self.mark.exists():
                self.mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield from_strings([f"before {PRIVATE[0]} after {self.name}"]), [None]

    side = Question().side(from_strings(PRIVATE))
    folder = tmp_path / "ledger"
    folder.mkdir()
    ledger = Ledger(folder, digest(side), Question())
    done = on_ray.search([Deadly(n) for n in "abc"], side, ledger, address=None, jobs=2, tell=lambda n, of: None)  # type: ignore[misc]
    assert (tmp_path / "b.killed").exists()
    answers = [ledger.read(one.key or "") for one in done]
    assert [len(answer.pairs.row) for answer in answers if answer is not None] == [1, 1, 1]
