"""Shards and their ledger: same answers whatever the processes, the batches and the order of kills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from audit.overlap import local
from audit.overlap.ledger import Ledger, LedgerError
from audit.overlap.question import Answer, Question, Side, digest, search_shard
from audit.overlap.texts import Texts, from_strings

PRIVATE = [f"record {i} says that {' '.join(f'w{i}x{j}' for j in range(15))} and ends" for i in range(30)] + ["ok then"]


@dataclass(frozen=True)
class Lines:
    """A shard made of its own texts."""

    name: str
    texts: tuple[str, ...]
    batch: int = 7
    broken: bool = False

    def digest(self) -> str:
        return repr((self.texts, self.broken))

    def batches(self) -> Iterator[tuple[Texts, Sequence[str | None]]]:
        for first in range(0, len(self.texts), self.batch):
            part = self.texts[first : first + self.batch]
            yield from_strings(part), [f"{self.name}-{first + i}" for i in range(len(part))]
        if self.broken:
            raise ValueError(f"{self.name}, line 8: cut off")


def shards(number: int = 6) -> list[Lines]:
    random = np.random.default_rng(5)
    held = []
    for s in range(number):
        texts = []
        for _ in range(20):
            filler = " ".join(f"y{v}" for v in random.integers(0, 999, 60))
            texts.append(random.choice([filler, f"{filler} {PRIVATE[random.integers(31)]} {filler}", "OK, then!"]))
        held.append(Lines(f"shard-{s}", tuple(texts)))
    return held


def quiet(done: int, of: int) -> None:
    pass


def asked(folder: Path, question: Question) -> tuple[Side, Ledger]:
    side = question.side(from_strings(PRIVATE))
    folder.mkdir(exist_ok=True)
    return side, Ledger(folder, digest(side), question)


def content(answer: Answer | None) -> object:
    assert answer is not None
    pairs = {name: list(value) for name, value in vars(answer.pairs).items()}
    return answer.texts, answer.bytes, pairs


@pytest.mark.parametrize("question", [Question(), Question("near-duplicate", threshold=0.5)], ids=lambda q: q.mode)
def test_answers_are_the_same_whatever_the_number_of_processes(question: Question, tmp_path: Path) -> None:
    found = []
    for jobs in (1, 2):
        side, ledger = asked(tmp_path / str(jobs), question)
        done = local.search(shards(), side, ledger, jobs=jobs, tell=quiet)
        assert [one.shard for one in done] == [shard.name for shard in shards()]
        found.append([content(ledger.read(one.key or "")) for one in done])
    assert found[0] == found[1]
    assert sum(len(pairs["row"]) for _, _, pairs in found[0]) > 20  # type: ignore[attr-defined]


def test_answers_are_the_same_whatever_the_batches(tmp_path: Path) -> None:
    side, _ = asked(tmp_path, Question())
    answers = [search_shard(replace(shards()[0], batch=size), side, Question()) for size in (1, 7, 100)]
    assert content(answers[0]) == content(answers[1]) == content(answers[2])
    assert answers[0].texts == 20


def test_a_finished_shard_is_not_searched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    side, ledger = asked(tmp_path, Question())
    first = local.search(shards(), side, ledger, jobs=1, tell=quiet)
    searched: list[str] = []

    def watched(shard: Lines, side: Side, question: Question) -> Answer:
        searched.append(shard.name)
        return search_shard(shard, side, question)

    monkeypatch.setattr(local, "search_shard", watched)
    more = [*shards(), Lines("another", ("new text",))]
    again = local.search(more, side, ledger, jobs=1, tell=quiet)
    assert searched == ["another"]
    assert again[:-1] == first


@pytest.mark.parametrize(
    "other", [Question(threshold=0.5), Question(sample=2), Question("near-duplicate", threshold=0.45)], ids=str
)
def test_an_entry_answers_only_its_own_question(other: Question, tmp_path: Path) -> None:
    _, ledger = asked(tmp_path, Question())
    assert ledger.key("shard") != replace(ledger, question=other).key("shard")
    assert ledger.key("shard") != replace(ledger, side=digest(Question().side(from_strings(PRIVATE[1:])))).key("shard")
    assert ledger.key("shard") != ledger.key("shard 2")
    assert ledger.key("shard") == asked(tmp_path, Question())[1].key("shard")


@pytest.mark.parametrize("ending", [".json", ".parquet"])
@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b'{"texts": 1}', None])
def test_a_damaged_entry_is_named_and_searched_anew(ending: str, damage: bytes | None, tmp_path: Path) -> None:
    side, ledger = asked(tmp_path, Question())
    whole = local.search(shards(), side, ledger, jobs=1, tell=quiet)
    key = whole[2].key or ""
    wanted, path = content(ledger.read(key)), tmp_path / f"{key}{ending}"
    data = bytearray(path.read_bytes())
    if damage is None:
        data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data) if damage is None else damage)
    with pytest.raises(LedgerError, match="damaged entry"):
        ledger.read(key)
    done = local.search(shards(), side, ledger, jobs=1, tell=quiet)
    assert key in (done[2].damaged or "")
    assert [one.damaged for one in done if one is not done[2]] == [None] * 5
    assert content(ledger.read(key)) == wanted


def test_a_half_written_entry_counts_as_none(tmp_path: Path) -> None:
    """Matches are written first, the line that says they are whole after them."""
    side, ledger = asked(tmp_path, Question())
    (one, *_) = local.search(shards(1), side, ledger, jobs=1, tell=quiet)
    (tmp_path / f"{one.key}.json").unlink()
    assert ledger.read(one.key or "") is None


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_shard_that_breaks_off_is_named_and_leaves_no_entry(jobs: int, tmp_path: Path) -> None:
    side, ledger = asked(tmp_path, Question())
    held = shards()
    held[3] = replace(held[3], broken=True)
    done = local.search(held, side, ledger, jobs=jobs, tell=quiet)
    assert [(one.shard, one.unreadable) for one in done if one.key is None] == [("shard-3", "shard-3, line 8: cut off")]
    assert len(list(tmp_path.glob("*.json"))) == 5


def test_entries_hold_no_private_text(tmp_path: Path) -> None:
    side, ledger = asked(tmp_path, Question())
    local.search(shards(), side, ledger, jobs=1, tell=quiet)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert not any(word.encode() in kept for record in PRIVATE[:-1] for word in record.split() if "x" in word)


def test_what_processes_share_is_what_was_lent() -> None:
    from multiprocessing import get_context

    for question in (Question(), Question("near-duplicate", threshold=0.5)):
        side = question.side(from_strings(PRIVATE))
        assert digest(local._borrowed(local._lent(side, get_context("spawn")))) == digest(side)
