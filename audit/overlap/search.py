"""Exact and near-duplicates of private records in a corpus: private side in memory, corpus streamed once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from audit.overlap.shingling import jaccard, normalise, shingles

RECALL = 0.99  # of a pair whose Jaccard similarity is just the threshold


@dataclass(frozen=True)
class OverlapResult:
    """Which private records the corpus holds. Rows are 0-based, ascending, and in at most one list.

    `exact_rows` equal a corpus record after normalisation; `near_rows` have one at a Jaccard similarity of at
    least `threshold`. The other fields describe the near search and are None where there was none.
    """

    private_records: int
    corpus_records: int
    without_words: int  # private records with no word in them, which match nothing
    exact_rows: tuple[int, ...]
    near_rows: tuple[int, ...] = ()
    threshold: float | None = None
    shingle_size: int | None = None  # words
    num_perm: int | None = None
    bands: int | None = None
    rows_per_band: int | None = None
    recall_at_threshold: float | None = None

    @property
    def matched_exact(self) -> int:
        return len(self.exact_rows)

    @property
    def matched_near(self) -> int:
        """Records matched nearly but not exactly."""
        return len(self.near_rows)

    @property
    def matched(self) -> int:
        return self.matched_exact + self.matched_near

    @property
    def share(self) -> float:
        """Share of the private records that matched."""
        return self.matched / self.private_records if self.private_records else 0.0


@dataclass
class _Private:
    """The private side: rows by normalised text. Texts without a word are counted and left out."""

    records: int = 0
    without_words: int = 0
    rows: dict[str, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Iterable[str]) -> _Private:
        private = cls()
        for text in map(normalise, texts):
            if shingles(text, 1):
                private.rows.setdefault(text, []).append(private.records)
            else:
                private.without_words += 1
            private.records += 1
        return private

    def rows_of(self, texts: Iterable[str]) -> tuple[int, ...]:
        return tuple(sorted(row for text in texts for row in self.rows[text]))


class _NearIndex:
    """MinHash-LSH over normalised texts; every candidate is checked by its exact Jaccard similarity."""

    def __init__(self, texts: Sequence[str], threshold: float, shingle_size: int, num_perm: int) -> None:
        from datasketch import MinHash, MinHashLSH

        self.texts, self.threshold, self.shingle_size = texts, threshold, shingle_size
        self.bands, self.rows_per_band = bands_for(threshold, num_perm)
        self._blank = MinHash(num_perm=num_perm)
        self._lsh = MinHashLSH(num_perm=num_perm, params=(self.bands, self.rows_per_band))
        for i, text in enumerate(texts):
            self._lsh.insert(i, self._signature(shingles(text, shingle_size)), check_duplication=False)

    def similar(self, text: str) -> list[str]:
        """Indexed texts at or above the threshold; `text` itself, if indexed, is one of them."""
        wanted = shingles(text, self.shingle_size)
        if not wanted:
            return []
        candidates = (self.texts[i] for i in self._lsh.query(self._signature(wanted)))
        return [c for c in candidates if jaccard(wanted, shingles(c, self.shingle_size)) >= self.threshold]

    def _signature(self, items: frozenset[str]) -> Any:
        signature = self._blank.copy()
        signature.update_batch([item.encode("utf-8", "surrogatepass") for item in items])
        return signature


def bands_for(threshold: float, num_perm: int) -> tuple[int, int]:
    """(bands, rows per band) with most rows, hence fewest candidates, that keeps `RECALL` at the threshold.

    At least two bands. A pair of Jaccard similarity s becomes a candidate with probability
    1 − (1 − s^rows)^bands.
    """
    for rows in range(num_perm // 2, 1, -1):
        if recall(threshold, num_perm // rows, rows) >= RECALL:
            return num_perm // rows, rows
    return num_perm, 1


def recall(similarity: float, bands: int, rows: int) -> float:
    """Probability that a pair of this Jaccard similarity shares a band, for ideal hash functions."""
    return float(1 - (1 - similarity**rows) ** bands)


def exact_overlap(private: Iterable[str], corpus: Iterable[str]) -> OverlapResult:
    """Private records that equal a corpus record after `normalise`. Holds the private side only.

    Cannot see a private text inside a longer document, nor one that differs in a word or in punctuation.
    """
    side = _Private.of(private)
    matched: set[str] = set()
    corpus_records = 0
    for text in map(normalise, corpus):
        corpus_records += 1
        if text in side.rows:
            matched.add(text)
    return OverlapResult(side.records, corpus_records, side.without_words, side.rows_of(matched))


def near_overlap(
    private: Iterable[str],
    corpus: Iterable[str],
    *,
    threshold: float = 0.8,
    shingle_size: int = 5,
    num_perm: int = 128,
) -> OverlapResult:
    """Private records with a corpus record whose word shingles have a Jaccard similarity >= `threshold`.

    Candidates come from MinHash-LSH (Broder 1997; bands by `bands_for`), so a pair just at the threshold is
    missed with probability up to 1 − `recall_at_threshold`; each candidate is verified by its exact
    similarity, so none is wrong. A text shorter than a shingle matches the same words only. Cannot see a
    private text inside a longer document, whose many other shingles keep the similarity low.

    Raises:
        ValueError: threshold outside (0, 1], shingle_size below 1, num_perm below 2.
    """
    _require(threshold, shingle_size, num_perm)
    side = _Private.of(private)
    index = _NearIndex(tuple(side.rows), threshold, shingle_size, num_perm)
    exact: set[str] = set()
    near: set[str] = set()
    corpus_records = 0
    for text in map(normalise, corpus):
        corpus_records += 1
        if text in side.rows:
            exact.add(text)
        near.update(index.similar(text))
    return _near_result(side, corpus_records, exact, near - exact, index, num_perm)


def duplicates_within(
    texts: Iterable[str], *, threshold: float = 0.8, shingle_size: int = 5, num_perm: int = 128
) -> OverlapResult:
    """Records of one dataset that have another like them: exact, else near. Limits as for `near_overlap`."""
    _require(threshold, shingle_size, num_perm)
    side = _Private.of(texts)
    index = _NearIndex(tuple(side.rows), threshold, shingle_size, num_perm)
    exact = {text for text, rows in side.rows.items() if len(rows) > 1}
    near = {text for text in side.rows if text not in exact and len(index.similar(text)) > 1}
    return _near_result(side, side.records, exact, near, index, num_perm)


def _require(threshold: float, shingle_size: int, num_perm: int) -> None:
    if not 0 < threshold <= 1:
        raise ValueError("threshold: expected a Jaccard similarity above 0 and at most 1")
    if shingle_size < 1 or num_perm < 2:
        raise ValueError("expected shingle_size of at least 1 word and num_perm of at least 2")


def _near_result(
    side: _Private, corpus_records: int, exact: set[str], near: set[str], index: _NearIndex, num_perm: int
) -> OverlapResult:
    return OverlapResult(
        private_records=side.records,
        corpus_records=corpus_records,
        without_words=side.without_words,
        exact_rows=side.rows_of(exact),
        near_rows=side.rows_of(near),
        threshold=index.threshold,
        shingle_size=index.shingle_size,
        num_perm=num_perm,
        bands=index.bands,
        rows_per_band=index.rows_per_band,
        recall_at_threshold=recall(index.threshold, index.bands, index.rows_per_band),
    )
