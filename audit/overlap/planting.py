"""How much of what is there a search finds: records planted into pages, changed in known ways, and looked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audit.overlap.containment import COVERAGE, found_in
from audit.overlap.index import SHORTEST, Index
from audit.overlap.shingling import units
from audit.overlap.texts import from_strings

Change = Callable[[str, Sequence[str], np.random.Generator], str]


@dataclass(frozen=True)
class Recovery:
    """What was found of the plants of one kind."""

    planted: int
    found: int  # planted pairs that were found and verified
    others: int  # verified pairs that nobody planted

    @property
    def recall(self) -> float:
        return self.found / self.planted

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.others) if self.found else 0.0


def _verbatim(text: str, vocabulary: Sequence[str], random: np.random.Generator) -> str:
    return text


def _case_and_spaces(text: str, vocabulary: Sequence[str], random: np.random.Generator) -> str:
    """Each letter in either case, each gap of one to three blanks, tabs or line ends."""
    gap = "".join(random.choice([" ", "\t", "\n"], random.integers(1, 4)))
    letters = [c.upper() if up else c.lower() for c, up in zip(text, random.random(len(text)) < 0.5, strict=True)]
    return re.sub(r"\s+", gap, "".join(letters))


def _edited(share: float) -> Change:
    """`share` of the words, rounded, each replaced, left out or followed by another, alike often."""

    def change(text: str, vocabulary: Sequence[str], random: np.random.Generator) -> str:
        words = text.split()
        for place in random.choice(len(words), round(share * len(words)), replace=False):
            other = vocabulary[int(random.integers(len(vocabulary)))]
            words[place] = (other, "", f"{words[place]} {other}")[random.integers(3)]
        return " ".join(words)

    return change


def _half(text: str, vocabulary: Sequence[str], random: np.random.Generator) -> str:
    """Half of the words, rounded up, in a row."""
    words = text.split()
    size = (len(words) + 1) // 2
    start = random.integers(len(words) - size + 1)
    return " ".join(words[start : start + size])


KINDS: Mapping[str, Change] = {
    "verbatim": _verbatim,
    "case and spaces": _case_and_spaces,
    "5 % of words edited": _edited(0.05),
    "10 % of words edited": _edited(0.10),
    "20 % of words edited": _edited(0.20),
    "half copied": _half,
}


def planted(record: str, page: str, kind: str, vocabulary: Sequence[str], random: np.random.Generator) -> str:
    """The page with the record, changed as `kind` says, between two of its words."""
    words = page.split(" ")
    place = int(random.integers(len(words) + 1))
    return " ".join([*words[:place], KINDS[kind](record, vocabulary, random), *words[place:]])


def recovery(
    index: Index,
    private: Sequence[str],
    pages: Sequence[str],
    *,
    plants: int,
    seed: int,
    coverage: float = COVERAGE,
    shortest: int = 2 * SHORTEST,
) -> dict[str, Recovery]:
    """Plant `plants` records of each kind, one a page, and search the pages.

    Args:
        index: of the private texts.
        private: those texts; records of fewer than `shortest` words are not planted.
        pages: what records are planted into, used again where there are too few.
        plants: of each kind.
        seed: draws records, places and changes; the same seed plants the same.

    Raises:
        ValueError: no private text is long enough, or there is no page.
    """
    long = [row for row, text in enumerate(private) if len(units(text)) >= shortest]
    if not long or not pages:
        raise ValueError(f"expected pages, and private texts of at least {shortest} words")
    random = np.random.Generator(np.random.PCG64(seed))
    vocabulary = sorted({word for page in pages[:1000] for word in page.split()})
    results = {}
    for kind in KINDS:
        rows = [long[i] for i in random.integers(len(long), size=plants)]
        hosts = random.permutation(np.resize(np.arange(len(pages)), max(plants, len(pages))))[:plants]
        made = [planted(private[r], pages[h], kind, vocabulary, random) for r, h in zip(rows, hosts, strict=True)]
        results[kind] = _recovered(index, rows, made, coverage)
    return results


def _recovered(index: Index, rows: Sequence[int], pages: Sequence[str], coverage: float) -> Recovery:
    found = found_in(index, from_strings(pages), coverage)
    pairs = set(zip(found.row[found.verified].tolist(), found.group[found.verified].tolist(), strict=True))
    wanted = {(page, int(index.group[row])) for page, row in enumerate(rows)}
    return Recovery(len(wanted), len(wanted & pairs), len(pairs - wanted))
