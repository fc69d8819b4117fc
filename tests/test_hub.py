"""Datasets on the Hub by name: streamed like a file, and refused in one line where they cannot be had."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit.cells import Columns
from audit.records import RecordsError, open_records
from audit.users.answer import users

datasets = pytest.importorskip("datasets")

ROWS = {"train": ["a", "b", "a"], "test": ["c", None]}


def streamed(split: str) -> Any:
    def rows() -> Iterator[dict[str, Any]]:
        yield from ({"text": f"text {n}", "user": user} for n, user in enumerate(ROWS[split]))

    return datasets.IterableDataset.from_generator(rows)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """`load_dataset` that answers for one dataset and notes what it was asked."""
    asked: list[tuple[Any, ...]] = []

    def load_dataset(path: str, config: str | None, *, split: str | None, streaming: bool) -> Any:
        asked.append((path, config, split, streaming))
        if config == "nosuch":
            raise ValueError("BuilderConfig 'nosuch' not found. Available: ['secret-name']")
        return streamed(split) if split else datasets.IterableDatasetDict({name: streamed(name) for name in ROWS})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    return asked


def test_every_split_is_streamed_unless_one_is_named(hub: list[tuple[Any, ...]]) -> None:
    counts = open_records("hf:owner/reviews,text=text,unit=user", "reviews").counts
    assert counts is not None
    assert (counts.records, counts.units, counts.max, counts.missing) == (4, 3, 2, 1)
    one = users("hf:owner/reviews:small:test", Columns(unit="user"))
    assert (one.records, one.counts.units if one.counts else 0) == (2, 1)
    assert ("owner/reviews", None, None, True) in hub
    assert ("owner/reviews", "small", "test", True) in hub


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("hf:reviews", "expected hf:owner/name"),
        ("hf:../etc", "expected hf:owner/name"),
        ("hf:owner/reviews:nosuch", "no such configuration or split"),
        ("hf:owner/reviews", "no column 'author'; found text, user"),
    ],
)
def test_a_name_that_is_wrong_is_refused_in_one_line(hub: list[tuple[Any, ...]], name: str, part: str) -> None:
    with pytest.raises(RecordsError) as caught:
        users(name, Columns(unit="author"))
    assert str(caught.value).startswith(f"{name}: ")
    assert part in str(caught.value)
    assert "secret-name" not in str(caught.value)


def test_there_is_no_file_to_take_a_checksum_of(hub: list[tuple[Any, ...]]) -> None:
    with pytest.raises(RecordsError, match="no file to take a checksum of"):
        _ = open_records("hf:owner/reviews", "reviews").sha256


def test_offline_is_said_in_one_line(tmp_path: Path) -> None:
    """The real library, told to stay offline, in a process of its own."""
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "audit.cli", "users", "hf:owner/reviews", "--unit", "user"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert ran.returncode == 2
    assert ran.stdout == ""
    expected = "audit: hf:owner/reviews: offline mode is on (HF_HUB_OFFLINE); unset it, or give a file"
    assert ran.stderr.strip().splitlines()[-1] == expected
