"""What is asked of every shard of a corpus, and what a shard answers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from audit.overlap import index as containment_index
from audit.overlap.containment import COVERAGE, found_in
from audit.overlap.index import Index
from audit.overlap.minhash import estimated_jaccard, sketch
from audit.overlap.near import NearIndex, near_index, near_pairs
from audit.overlap.shingling import WORDS_5, Shingling
from audit.overlap.texts import Texts, taken

NUM_PERM = 128
JACCARD = 0.8
METHODS = ("exact", "containment", "near-duplicate")

Mode = Literal["containment", "near-duplicate"]
Side = Index | NearIndex


class CorpusShard(Protocol):
    """One part of a corpus, read on its own and in one piece."""

    @property
    def name(self) -> str: ...

    def digest(self) -> str:
        """What the shard holds, whatever its name; raises ValueError or OSError where it cannot be read."""
        ...

    def batches(self) -> Iterator[tuple[Texts, Sequence[str | None]]]:
        """Texts with their ids, every row of the shard in order; raises as `digest`."""
        ...


@dataclass(frozen=True)
class Question:
    """The option set of a search; part of its result."""

    mode: Mode = "containment"
    shingling: Shingling = WORDS_5
    threshold: float = COVERAGE
    sample: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError("expected a threshold above 0 and at most 1")
        if self.sample < 1:
            raise ValueError("expected a sample of 1 (every shingle) or more")

    def side(self, private: Texts) -> Side:
        """The private texts, made ready for the search."""
        if self.mode == "containment":
            return containment_index.build(private, self.shingling, self.sample)
        return near_index(private, self.shingling, self.threshold, NUM_PERM)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def digest(side: Side) -> str:
    """SHA-256 over all that the private side holds: same texts and options, same digest."""
    state = hashlib.sha256()

    def take(value: Any) -> None:
        if is_dataclass(value):
            for field in fields(value):
                state.update(field.name.encode())
                take(getattr(value, field.name))
        elif isinstance(value, np.ndarray):
            state.update(np.ascontiguousarray(value).data)
        else:
            state.update(repr(value).encode())

    take(side)
    return state.hexdigest()


@dataclass(frozen=True)
class Pairs:
    """Matches of a shard, by row and then by private group; equal private texts are one group."""

    group: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    method: npt.NDArray[np.int64]  # place in METHODS
    score: npt.NDArray[np.float64]
    start: npt.NDArray[np.int64]  # bytes of the corpus text
    end: npt.NDArray[np.int64]
    verified: npt.NDArray[np.bool_]
    minhash: npt.NDArray[np.float64]  # estimated Jaccard similarity of the record and the whole text
    ident: Sequence[str | None]


@dataclass(frozen=True)
class Answer:
    """What one shard holds."""

    texts: int
    bytes: int
    pairs: Pairs


def search_shard(shard: CorpusShard, side: Side, question: Question) -> Answer:
    """Stream a shard past the private side. Memory is bounded by that side and one batch.

    Raises:
        ValueError, OSError: the shard cannot be read to its end.
    """
    parts, texts, size = [], 0, 0
    for batch, idents in shard.batches():
        parts.append(pairs_in(batch, idents, texts, side, question))
        texts += len(batch)
        size += int(batch.offsets[-1] - batch.offsets[0]) if len(batch) else 0
    return Answer(texts, size, _joined(parts))


def pairs_in(texts: Texts, idents: Sequence[str | None], first: int, side: Side, question: Question) -> Pairs:
    """The matches of one batch, whose first text is row `first`."""
    if isinstance(side, NearIndex):
        near = near_pairs(side, texts)
        ends = [texts.source_span(int(row), 0, int(np.diff(texts.offsets)[row]))[1] for row in near.row]
        group, row, score, exact = near.group, near.row, near.jaccard, near.exact
        start, end, verified = np.zeros(len(row), np.int64), np.array(ends, np.int64), np.ones(len(row), bool)
        method, records = np.where(exact, 0, 2), side.sketch.signatures[side.groups.first[group]]
    else:
        found = found_in(side, texts, question.threshold)
        group, row, score, exact, verified = found.group, found.row, found.score, found.exact, found.verified
        start, end, method = found.spans[:, 0], found.spans[:, 1], np.where(exact, 0, 1)
        records = _signatures(side.texts, group, question.shingling)
    minhash = estimated_jaccard(records, _signatures(texts, row, question.shingling))
    return Pairs(group, row + first, method, score, start, end, verified, minhash, [idents[i] for i in row])


def _signatures(texts: Texts, rows: npt.NDArray[np.int64], shingling: Shingling) -> npt.NDArray[np.uint32]:
    distinct, place = np.unique(rows, return_inverse=True)
    return sketch(taken(texts, distinct), shingling, NUM_PERM).signatures[place]


def _joined(parts: Sequence[Pairs]) -> Pairs:
    if not parts:
        none, number = np.zeros(0, np.int64), np.zeros(0)
        return Pairs(none, none, none, number, none, none, np.zeros(0, bool), number, [])
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("group", "row", "method", "score", "start", "end", "verified", "minhash")
    }
    return Pairs(**columns, ident=[ident for part in parts for ident in part.ident])
