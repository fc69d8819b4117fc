"""MinHash signatures of texts, and candidate pairs by banding (Broder 1997; Leskovec et al., ch. 3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from audit.overlap.compiled import kernel
from audit.overlap.folding import table
from audit.overlap.shingling import Shingling
from audit.overlap.texts import Texts
from audit.overlap.tokens import mix, room, shingle, units, whole

RECALL = 0.99  # of a pair whose Jaccard similarity is just the threshold
SEED = 20190317
EMPTY = np.uint32(0xFFFFFFFF)
UPPER = np.uint64(32)

Signatures = npt.NDArray[np.uint32]  # (texts, permutations)
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Sketch:
    """Signatures with the hash of each text's whole unit sequence and its number of units."""

    signatures: Signatures
    whole: Hashes
    units: npt.NDArray[np.int64]


@cache
def permutations(num_perm: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Odd multipliers and offsets of h -> a h + b mod 2^32, the same in every run."""
    random = np.random.Generator(np.random.PCG64(SEED))
    a, b = random.integers(0, 1 << 32, (2, num_perm), dtype=np.uint32)
    return a | np.uint32(1), b


def sketch(texts: Texts, shingling: Shingling, num_perm: int = 128) -> Sketch:
    """Signatures of all texts; one without units has EMPTY throughout."""
    chars = table(shingling.unit, shingling.normalisation)
    signatures = np.empty((len(texts), num_perm), np.uint32)
    wholes, counts = np.empty(len(texts), np.uint64), np.empty(len(texts), np.int64)
    _sign(
        shingling.unit == "word", texts.data, texts.offsets, chars.folded, chars.expansions, shingling.size,
        *permutations(num_perm), signatures, wholes, counts,
    )  # fmt: skip
    return Sketch(signatures, wholes, counts)


@kernel
def _minima(found, number, a, b, row):  # type: ignore[no-untyped-def]
    """Slot k of `row` becomes the least a[k] h + b[k] mod 2^32 over the upper halves h of the shingles' hashes."""
    row[:] = EMPTY
    for s in range(number, number + 3 if number else 0):
        found[s] = found[number - 1]  # four at a time: the last may stand for those that lack
    for s in range(0, number, 4):
        h0, h1 = np.uint32(found[s] >> UPPER), np.uint32(found[s + 1] >> UPPER)
        h2, h3 = np.uint32(found[s + 2] >> UPPER), np.uint32(found[s + 3] >> UPPER)
        for k in range(len(a)):
            first = min(np.uint32(a[k] * h0 + b[k]), np.uint32(a[k] * h1 + b[k]))
            second = min(np.uint32(a[k] * h2 + b[k]), np.uint32(a[k] * h3 + b[k]))
            row[k] = min(row[k], first, second)


@kernel
def _sign(by_word, data, offsets, folded, expansions, size, a, b, signatures, wholes, counts):  # type: ignore[no-untyped-def]
    most = room(by_word, data, offsets, 0, len(offsets) - 1, folded, expansions)
    hashes, found = np.empty(most, np.uint64), np.empty(most, np.uint64)
    starts, ends = np.empty(most, np.int64), np.empty(most, np.int64)
    for i in range(len(offsets) - 1):
        count = units(by_word, data, offsets[i], offsets[i + 1], folded, expansions, hashes, starts, ends)
        number = shingle(hashes, count, size, found)
        wholes[i], counts[i] = whole(hashes, count), count
        _minima(found, number, a, b, signatures[i])


@kernel
def _band(signatures, first, rows, out):  # type: ignore[no-untyped-def]
    """One hash of `rows` slots of each signature, from slot `first` on."""
    for i in range(len(signatures)):
        value = np.uint64(first)
        for k in range(first, first + rows):
            value = mix(value ^ np.uint64(signatures[i, k])) + np.uint64(k)
        out[i] = value


def band_keys(signatures: Signatures, bands: int, rows: int) -> Hashes:
    """(bands, texts): texts whose keys in a band are equal agree in all its rows."""
    keys = np.empty((bands, len(signatures)), np.uint64)
    for band in range(bands):
        _band(signatures, band * rows, rows, keys[band])
    return keys


def bands_for(threshold: float, num_perm: int) -> tuple[int, int]:
    """(bands, rows per band) with most rows, hence fewest candidates, that keeps `RECALL` at the threshold.

    At least two bands. A pair of Jaccard similarity s becomes a candidate with probability
    1 - (1 - s^rows)^bands.
    """
    for rows in range(num_perm // 2, 1, -1):
        if recall(threshold, num_perm // rows, rows) >= RECALL:
            return num_perm // rows, rows
    return num_perm, 1


def recall(similarity: float, bands: int, rows: int) -> float:
    """Probability that a pair of this Jaccard similarity shares a band, for ideal hash functions."""
    return float(1 - (1 - similarity**rows) ** bands)


def estimated_jaccard(a: Signatures, b: Signatures) -> npt.NDArray[np.float64]:
    """Share of slots in which signatures agree, row by row; its standard error is sqrt(J (1 - J) / slots)."""
    return np.asarray((a == b).mean(axis=1), np.float64)
