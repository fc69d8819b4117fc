"""Private texts inside longer ones: candidates from the index, verified on the window that holds them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audit.overlap import tokens
from audit.overlap.folding import table
from audit.overlap.index import Index
from audit.overlap.near import Rows
from audit.overlap.scan import scan
from audit.overlap.shingling import Shingling, units
from audit.overlap.texts import Texts

LEAST_SHARE = 0.05  # of a record's shingles that one window holds, and at least two of them
COVERAGE = 0.45  # least share of a record's words that the window holds in order
ALIGNMENT = 60.0  # rapidfuzz's partial ratio from which a covered record is verified
ROOM = 1 << 16  # candidates a call of the kernel has room for
_ASCII_WORD = re.compile("[0-9a-z_]+")


@dataclass(frozen=True)
class Found:
    """Pairs of a private group and a text, by text and then by group. Spans are bytes of the source text."""

    group: Rows
    row: Rows
    exact: npt.NDArray[np.bool_]  # the whole text has the record's words, in order, and no other
    score: npt.NDArray[np.float64]  # share of the record's units found in order
    spans: Rows  # (pairs, 2)
    verified: npt.NDArray[np.bool_]


def found_in(index: Index, texts: Texts, coverage: float = COVERAGE) -> Found:
    """All records of the index that the texts contain.

    A record of fewer than `index.SHORTEST` units is found only where it is the whole text: inside a page such a
    phrase says nothing. A longer one is a candidate where a window of twice its length holds 5 % of its shingles and
    at least two; it is found if the window, widened, holds at least `coverage` of its units in order; and it is
    verified if it is there word for word or if rapidfuzz aligns it with the window at `ALIGNMENT` or more.
    """
    candidates = _candidates(index, texts, coverage)
    wholes = _whole_texts(index, candidates.wholes)
    exact = {(int(row), int(group)) for row, group in wholes}
    pairs = [(row, group, True, 1.0, 0, int(texts.offsets[row + 1] - texts.offsets[row]), True) for row, group in exact]
    for k in range(len(candidates.rows)):
        row, group = int(candidates.rows[k]), int(candidates.groups[k])
        if (row, group) not in exact:
            pairs.append((row, group, False, *_verified(index, texts, candidates, k)))
    return _as_found(texts, sorted(pairs))


@dataclass(frozen=True)
class _Candidates:
    rows: Rows
    groups: Rows
    coverage: npt.NDArray[np.float64]
    verbatim: npt.NDArray[np.bool_]
    spans: Rows  # (candidates, 4): bytes of the buffer: widened window, shared shingles
    wholes: npt.NDArray[np.uint64]  # of every text; 0 without units


def _candidates(index: Index, texts: Texts, coverage: float) -> _Candidates:
    chars = table(index.shingling.unit, index.shingling.normalisation)
    wholes = np.zeros(len(texts), np.uint64)
    parts: list[list[npt.NDArray[np.generic]]] = []
    first, size = 0, ROOM
    while first < len(texts) or not parts:
        out = (
            np.empty(size, np.int64), np.empty(size, np.int64), np.empty(size, np.float64), np.empty(size, np.bool_),
            np.empty((size, 4), np.int64),
        )  # fmt: skip
        number, following = scan(
            index.by_word, texts.data, texts.offsets, first, chars.folded, chars.expansions, index.shingle_size,
            np.uint64(index.shift), np.uint64(index.filter_shift), index.starts, index.fingerprints, index.postings,
            index.filter, index.kept, index.units, index.data, index.offsets, LEAST_SHARE, coverage, *out, wholes,
        )  # fmt: skip
        parts.append([array[:number].copy() for array in out])
        size = size * 4 if following == first else ROOM  # one text with more candidates than there is room for
        first = following
    rows, groups, covered, verbatim, spans = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _Candidates(rows, groups, covered, verbatim, spans, wholes)


def _whole_texts(index: Index, wholes: npt.NDArray[np.uint64]) -> list[tuple[int, int]]:
    """(row, group) where a text is a record."""
    if not len(index.whole):
        return []
    place = np.minimum(np.searchsorted(index.whole, wholes), len(index.whole) - 1)
    rows = np.flatnonzero((index.whole[place] == wholes) & (wholes != 0))
    return [(int(row), int(place[row])) for row in rows]


def _verified(index: Index, texts: Texts, candidates: _Candidates, k: int) -> tuple[float, int, int, bool]:
    """(score, span start, span end, verified) of a candidate; places are bytes of the text as it is in `texts`."""
    row, group, score = int(candidates.rows[k]), int(candidates.groups[k]), float(candidates.coverage[k])
    low, high, start, end = (int(place) for place in candidates.spans[k])
    begin = int(texts.offsets[row])
    if candidates.verbatim[k]:
        return 1.0, start - begin, end - begin, True
    aligned = _aligned(index.texts.bytes_of(group), texts.data[low:high], index.shingling)
    if aligned is None:
        return score, start - begin, end - begin, False
    return score, low - begin + aligned[0], low - begin + aligned[1], True


def _aligned(record: bytes, window: npt.NDArray[np.uint8], shingling: Shingling) -> tuple[int, int] | None:
    """Bytes of the window that the record aligns with, or None below `ALIGNMENT`."""
    from rapidfuzz.fuzz import partial_ratio_alignment

    gap = " " if shingling.unit == "word" else ""
    wanted, there = _folded_units(record, shingling), _folded_units(window.tobytes(), shingling)
    alignment = partial_ratio_alignment(gap.join(wanted), gap.join(there), score_cutoff=ALIGNMENT)
    if alignment is None or alignment.dest_start == alignment.dest_end:
        return None
    ends = np.cumsum([len(unit) + len(gap) for unit in there])
    first, last = np.searchsorted(ends, [alignment.dest_start, alignment.dest_end - 1], side="right")
    starts, stops = _places(window, shingling)
    return int(starts[first]), int(stops[min(int(last), len(stops) - 1)])


def _folded_units(text: bytes, shingling: Shingling) -> list[str]:
    if shingling.unit == "word" and text.isascii():
        return _ASCII_WORD.findall(text.decode().lower())
    return units(text.decode("utf-8", "replace"), shingling, references=False)


def _places(window: npt.NDArray[np.uint8], shingling: Shingling) -> tuple[Rows, Rows]:
    """Bytes at which each unit of the window begins and ends, from the tokeniser that the index is made with."""
    chars, by_word = table(shingling.unit, shingling.normalisation), shingling.unit == "word"
    arguments = (window, 0, len(window), chars.folded, chars.expansions)
    room = tokens.room(by_word, window, np.array([0, len(window)]), 0, 1, chars.folded, chars.expansions)
    starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    count = tokens.units(by_word, *arguments, np.empty(room, np.uint64), starts, ends)
    return starts[:count], ends[:count]


def _as_found(texts: Texts, pairs: list[tuple[int, int, bool, float, int, int, bool]]) -> Found:
    row, group, exact, score, start, end, verified = zip(*pairs, strict=True) if pairs else ((),) * 7
    spans = [texts.source_span(*place) for place in zip(row, start, end, strict=True)]
    return Found(
        np.array(group, np.int64), np.array(row, np.int64), np.array(exact, bool), np.array(score, np.float64),
        np.array(spans, np.int64).reshape(-1, 2), np.array(verified, bool),
    )  # fmt: skip
