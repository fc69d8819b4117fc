"""The containment search written out over lists of words, as slow as it is plain."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from audit.overlap.shingling import Shingling, units


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence, by the textbook table."""
    row = [0] * (len(b) + 1)
    for x in a:
        previous = row
        row = [0]
        for j, y in enumerate(b):
            row.append(previous[j] + 1 if x == y else max(row[j], previous[j + 1]))
    return row[-1]


def candidates(
    records: Sequence[str], texts: Sequence[str], shingling: Shingling, *, coverage: float, most_records: int = 64
) -> dict[tuple[int, int], float]:
    """(text, record) -> share of the record found in order; for records of six units or more, no two equal."""
    cut = [units(record, shingling) for record in records]
    runs = [runs_of(words, shingling.size) if len(words) >= max(6, shingling.size) else [] for words in cut]
    held_by = Counter(run for found in runs for run in set(found))
    found = {}
    for t, text in enumerate(texts):
        words = units(text, shingling)
        there = runs_of(words, shingling.size) if len(words) >= shingling.size else []
        for r, record in enumerate(cut):
            own = {run for run in runs[r] if held_by[run] <= most_records}
            share = covered(record, own, words, there, shingling.size)
            if share is not None and share >= coverage:
                found[t, r] = share
    return found


def runs_of(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def covered(
    record: Sequence[str], own: set[tuple[str, ...]], words: Sequence[str], there: Sequence[tuple[str, ...]], size: int
) -> float | None:
    """Share of the record in the best window, or None where no window holds enough of its shingles."""
    hits = [place for place, run in enumerate(there) if run in own]
    width = max(2 * len(record) - size, size)
    best, low, high = 0, 0, 0
    for end in hits:
        inside = [place for place in hits if end - width <= place <= end]
        distinct = len({there[place] for place in inside})
        if distinct > best:
            best, low, high = distinct, inside[0], end
    if best < max(2, math.ceil(0.05 * len(own))):
        return None
    pad = math.ceil(0.3 * len(record) - 1e-9)
    window = words[max(0, low - pad) : high + size + pad]
    return common_subsequence(record, window) / len(record)
