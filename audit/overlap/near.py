"""Near-duplicates, record against record: MinHash-LSH proposes pairs, their exact Jaccard similarity decides.

Not a test of containment: the many other shingles of a long page keep its similarity to a short text inside it low.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audit.overlap.compiled import kernel
from audit.overlap.folding import Table, table
from audit.overlap.minhash import Hashes, Sketch, band_keys, bands_for, sketch
from audit.overlap.shingling import Shingling
from audit.overlap.texts import Texts
from audit.overlap.tokens import room, shingle, units

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Texts of the same units, in the same order, as one group; texts without units are in none (-1)."""

    first: Rows  # a row of each group
    group: Rows  # group of each row

    @classmethod
    def of(cls, found: Sketch) -> Groups:
        rows = np.flatnonzero(found.units)
        _, first, inverse = np.unique(found.whole[rows], return_index=True, return_inverse=True)
        group = np.full(len(found.units), -1, np.int64)
        group[rows] = inverse
        return cls(rows[first], group)

    def rows_of(self) -> list[Rows]:
        """The rows of each group, ascending."""
        order = np.argsort(self.group, kind="stable")[np.count_nonzero(self.group < 0) :]
        return np.split(order, np.flatnonzero(np.diff(self.group[order])) + 1) if len(order) else []


@dataclass(frozen=True)
class Sets:
    """The distinct shingles of each text, ascending: values[offsets[i]:offsets[i + 1]]."""

    values: Hashes
    offsets: Rows


@dataclass(frozen=True)
class NearIndex:
    """The private side: one entry for each group of equal texts, with sorted keys for each band."""

    shingling: Shingling
    threshold: float
    num_perm: int
    bands: int
    rows_per_band: int
    groups: Groups
    sketch: Sketch  # of the private rows
    sets: Sets  # of the groups
    keys: Hashes  # (bands, groups), each row ascending
    order: Rows  # (bands, groups), whose key it is


@dataclass(frozen=True)
class NearPairs:
    """Pairs at or above the threshold, by row of the other side and then by group."""

    group: Rows
    row: Rows
    jaccard: npt.NDArray[np.float64]
    exact: npt.NDArray[np.bool_]  # the same units in the same order


def near_index(private: Texts, shingling: Shingling, threshold: float, num_perm: int = 128) -> NearIndex:
    """Index the private texts.

    Raises:
        ValueError: a threshold outside (0, 1], or fewer than 2 permutations.
    """
    if not 0 < threshold <= 1 or num_perm < 2:
        raise ValueError("expected a Jaccard threshold above 0 and at most 1, and at least 2 permutations")
    bands, rows = bands_for(threshold, num_perm)
    found = sketch(private, shingling, num_perm)
    groups = Groups.of(found)
    keys = band_keys(found.signatures[groups.first], bands, rows)
    order = np.argsort(keys, axis=1, kind="stable")
    return NearIndex(
        shingling, threshold, num_perm, bands, rows, groups, found, sets(private, groups.first, shingling),
        np.take_along_axis(keys, order, axis=1), order,
    )  # fmt: skip


def near_pairs(index: NearIndex, texts: Texts) -> NearPairs:
    """All pairs of a private group and one of `texts`; misses as `minhash.recall` says, and none is wrong."""
    found = sketch(texts, index.shingling, index.num_perm)
    groups = Groups.of(found)
    group, other = _candidates(index, found.signatures[groups.first])
    similarity = _similarities(index, sets(texts, groups.first, index.shingling), group, other)
    keep = similarity >= index.threshold
    group, other, similarity = group[keep], other[keep], similarity[keep]
    return _expanded(index, found, groups, group, other, similarity)


def _candidates(index: NearIndex, signatures: npt.NDArray[np.uint32]) -> tuple[Rows, Rows]:
    """Distinct (private group, other group) that share a band."""
    number = max(1, len(index.groups.first))
    pairs = []
    for band, keys in enumerate(band_keys(signatures, index.bands, index.rows_per_band)):
        low = np.searchsorted(index.keys[band], keys, side="left")
        counts = np.searchsorted(index.keys[band], keys, side="right") - low
        other = np.repeat(np.arange(len(keys)), counts)
        place = np.arange(len(other)) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(low, counts)
        pairs.append(other * number + index.order[band][place])
    both = np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, np.int64)
    return both % number, both // number


def _similarities(index: NearIndex, other: Sets, group: Rows, row: Rows) -> npt.NDArray[np.float64]:
    out = np.empty(len(group), np.float64)
    _jaccard(index.sets.values, index.sets.offsets, other.values, other.offsets, group, row, out)
    return out


def _expanded(
    index: NearIndex, found: Sketch, groups: Groups, group: Rows, other: Rows, similarity: npt.NDArray[np.float64]
) -> NearPairs:
    """Pairs of groups as pairs of a private group and a row."""
    members = groups.rows_of()
    sizes = np.array([len(members[i]) for i in other], np.int64)
    rows = np.concatenate([members[i] for i in other]) if len(other) else np.zeros(0, np.int64)
    group, similarity = np.repeat(group, sizes), np.repeat(similarity, sizes)
    order = np.lexsort((group, rows))
    group, rows, similarity = group[order], rows[order], similarity[order]
    return NearPairs(group, rows, similarity, index.sketch.whole[index.groups.first[group]] == found.whole[rows])


def sets(texts: Texts, rows: Rows, shingling: Shingling) -> Sets:
    """The distinct shingles of some of the texts."""
    chars: Table = table(shingling.unit, shingling.normalisation)
    by_word = shingling.unit == "word"
    arguments = (by_word, texts.data, texts.offsets, chars.folded, chars.expansions)
    offsets = np.zeros(len(rows) + 1, np.int64)
    values = _sets(*arguments, shingling.size, rows, offsets)
    return Sets(values, offsets)


@kernel
def _sets(by_word, data, offsets, folded, expansions, size, rows, out):  # type: ignore[no-untyped-def]
    most = room(by_word, data, offsets, 0, len(offsets) - 1, folded, expansions)
    hashes, found = np.empty(most, np.uint64), np.empty(most, np.uint64)
    starts, ends = np.empty(most, np.int64), np.empty(most, np.int64)
    values = np.empty(1024, np.uint64)
    filled = 0
    for place in range(len(rows)):
        i = rows[place]
        count = units(by_word, data, offsets[i], offsets[i + 1], folded, expansions, hashes, starts, ends)
        number = shingle(hashes, count, size, found)
        ordered = np.sort(found[:number])
        if filled + number > len(values):
            more = np.empty(2 * (filled + number), np.uint64)
            more[:filled] = values[:filled]
            values = more
        for s in range(number):
            if s == 0 or ordered[s] != ordered[s - 1]:
                values[filled] = ordered[s]
                filled += 1
        out[place + 1] = filled
    return values[:filled].copy()


@kernel
def _jaccard(values, offsets, other_values, other_offsets, group, row, out):  # type: ignore[no-untyped-def]
    for p in range(len(group)):
        a, a_end = offsets[group[p]], offsets[group[p] + 1]
        b, b_end = other_offsets[row[p]], other_offsets[row[p] + 1]
        total, shared = (a_end - a) + (b_end - b), 0
        while a < a_end and b < b_end:
            if values[a] == other_values[b]:
                shared += 1
                a += 1
                b += 1
            elif values[a] < other_values[b]:
                a += 1
            else:
                b += 1
        out[p] = shared / (total - shared) if shared else 0.0
