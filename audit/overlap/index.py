"""The private side of a containment search: an inverted index of shingles in about twelve bytes each."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from audit.overlap.compiled import kernel
from audit.overlap.minhash import Hashes, sketch
from audit.overlap.near import Groups, Rows, sets
from audit.overlap.scan import bits_of
from audit.overlap.shingling import WORDS_5, Shingling
from audit.overlap.texts import Texts, taken

MOST_RECORDS = 64  # a shingle in more records than this is a common phrase and is left out
SHORTEST = 6  # a record of fewer units is only looked for as a whole text
SAMPLED_FROM = 40  # with sampling, records of fewer units keep all their shingles
BITS_PER_SHINGLE = 8


@dataclass(frozen=True)
class Index:
    """Arrays only, so that processes can share it.

    Postings are sorted by the shingle's 64-bit hash h. `starts[h >> shift]` and the next entry bound the postings of
    a bucket; `fingerprints` hold the lower half of h, so a posting is found by shift + 32 bits of it. `filter` is a
    Bloom filter in blocks of one word: the word `h >> filter_shift` has the three bits of `scan.bits_of(h)` set.
    """

    shingle_size: int
    by_word: bool
    standard: bool
    sample: int
    records: int
    shift: int
    filter_shift: int
    starts: npt.NDArray[np.uint32]
    fingerprints: npt.NDArray[np.uint32]
    postings: npt.NDArray[np.uint32]  # group of the posting
    filter: Hashes
    kept: npt.NDArray[np.int32]  # indexed shingles of each group
    units: npt.NDArray[np.int32]  # units of each group
    whole: Hashes  # of each group's unit sequence, ascending
    group: npt.NDArray[np.int32]  # group of each row, -1 where the text has no unit
    data: npt.NDArray[np.uint8]  # the groups' texts
    offsets: Rows

    @property
    def shingling(self) -> Shingling:
        return Shingling(
            "word" if self.by_word else "char", self.shingle_size, "standard" if self.standard else "plain"
        )

    @property
    def texts(self) -> Texts:
        return Texts(self.data, self.offsets)

    @property
    def unsearchable(self) -> Rows:
        """Groups too long for the whole-text match alone, but with fewer than two shingles of their own."""
        return np.flatnonzero((self.units >= SHORTEST) & (self.kept < 2))

    @property
    def bytes(self) -> int:
        return sum(value.nbytes for f in fields(self) if isinstance(value := getattr(self, f.name), np.ndarray))


def build(private: Texts, shingling: Shingling = WORDS_5, sample: int = 1) -> Index:
    """Index the private texts; equal ones are one group.

    Args:
        private: the private records, in file order.
        shingling: how texts are cut.
        sample: keep the shingles whose hash is 0 modulo this number (FracMinHash, arXiv 2112.03402) of records of
            `SAMPLED_FROM` units or more; 1 keeps all.

    Raises:
        ValueError: a sample below 1.
    """
    if sample < 1:
        raise ValueError("expected a sample of 1 (every shingle) or more")
    found = sketch(private, shingling, 1)
    groups = Groups.of(found)
    lengths = found.units[groups.first]
    hashes, owners = _postings(private, groups, lengths, shingling, sample)
    bits = max(8, (max(len(hashes), 1) // 4).bit_length())
    filter_bits = max(8, (max(len(hashes), 1) * BITS_PER_SHINGLE // 64).bit_length())
    texts = taken(private, groups.first)
    return Index(
        shingle_size=shingling.size,
        by_word=shingling.unit == "word",
        standard=shingling.normalisation == "standard",
        sample=sample,
        records=len(private),
        shift=64 - bits,
        filter_shift=64 - filter_bits,
        starts=_starts(hashes, bits),
        fingerprints=hashes.astype(np.uint32),
        postings=owners.astype(np.uint32),
        filter=_filter(hashes, np.uint64(64 - filter_bits), 2**filter_bits),
        kept=np.bincount(owners, minlength=len(lengths)).astype(np.int32),
        units=lengths.astype(np.int32),
        whole=found.whole[groups.first],
        group=groups.group.astype(np.int32),
        data=texts.data,
        offsets=texts.offsets,
    )


def _postings(
    private: Texts, groups: Groups, lengths: Rows, shingling: Shingling, sample: int
) -> tuple[Hashes, npt.NDArray[np.int64]]:
    """Shingles and the groups that hold them, by hash; common ones and those of short records left out."""
    distinct = sets(private, groups.first, shingling)
    owners = np.repeat(np.arange(len(lengths)), np.diff(distinct.offsets))
    keep = lengths[owners] >= max(SHORTEST, shingling.size)
    if sample > 1:
        keep &= (lengths[owners] < SAMPLED_FROM) | (distinct.values % np.uint64(sample) == 0)
    hashes, owners = distinct.values[keep], owners[keep]
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    edges = np.concatenate(([0], np.flatnonzero(hashes[1:] != hashes[:-1]) + 1, [len(hashes)]))
    rare = np.repeat(np.diff(edges) <= MOST_RECORDS, np.diff(edges))
    return hashes[rare], owners[rare]


def _starts(hashes: Hashes, bits: int) -> npt.NDArray[np.uint32]:
    """Where each bucket of the upper `bits` bits begins, and where the last one ends."""
    buckets = np.arange(2**bits + 1, dtype=np.uint64)
    return np.searchsorted(hashes >> np.uint64(64 - bits), buckets).astype(np.uint32)


def _filter(hashes: Hashes, shift: np.uint64, size: int) -> Hashes:
    words = np.zeros(size, np.uint64)
    _set_bits(hashes, shift, words)
    return words


@kernel
def _set_bits(hashes, shift, words):  # type: ignore[no-untyped-def]
    for h in hashes:
        words[h >> shift] |= bits_of(h)
