"""Exact, near and contained private records in a corpus of texts: private side in memory, corpus streamed once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the kernels and their compiler are loaded where a search is made
    import numpy as np
    import numpy.typing as npt

    from audit.overlap.near import Groups, NearIndex
    from audit.overlap.texts import Texts

    Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class OverlapResult:
    """Which private records the corpus holds. Rows are 0-based, ascending, and in at most one list.

    `exact_rows` have the same words in the same order as a corpus record, once both are normalised; `near_rows` have
    one at a Jaccard similarity of at least `threshold`. The other fields describe the near search and are None where
    there was none.
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


def exact_overlap(private: Iterable[str], corpus: Iterable[str]) -> OverlapResult:
    """Private records with the words of a corpus record, in order. Holds the private side only.

    Cannot see a private text inside a longer document, nor one that differs in a word.
    """
    import numpy as np

    from audit.overlap.minhash import sketch
    from audit.overlap.near import Groups
    from audit.overlap.shingling import Shingling
    from audit.overlap.texts import batches

    side = sketch(_all(private), Shingling(), 1)
    groups = Groups.of(side)
    matched = np.zeros(len(groups.first), bool)
    records = 0
    for texts in batches(corpus):
        records += len(texts)
        matched |= np.isin(side.whole[groups.first], sketch(texts, Shingling(), 1).whole)
    return OverlapResult(len(side.units), records, _wordless(groups), _rows(groups, matched))


def near_overlap(
    private: Iterable[str],
    corpus: Iterable[str],
    *,
    threshold: float = 0.8,
    shingle_size: int = 5,
    num_perm: int = 128,
) -> OverlapResult:
    """Private records with a corpus record whose word shingles have a Jaccard similarity >= `threshold`.

    Candidates come from MinHash-LSH (Broder 1997; bands by `minhash.bands_for`), so a pair just at the threshold is
    missed with probability up to 1 - `recall_at_threshold`; each candidate is verified by its exact similarity, so
    none is wrong. A text shorter than a shingle matches the same words only. Cannot see a private text inside a
    longer document, whose many other shingles keep the similarity low.

    Raises:
        ValueError: threshold outside (0, 1], shingle_size below 1, num_perm below 2.
    """
    import numpy as np

    from audit.overlap.near import near_index, near_pairs
    from audit.overlap.shingling import Shingling
    from audit.overlap.texts import batches

    index = near_index(_all(private), Shingling("word", shingle_size), threshold, num_perm)
    exact, near = (np.zeros(len(index.groups.first), bool) for _ in range(2))
    records = 0
    for texts in batches(corpus):
        records += len(texts)
        pairs = near_pairs(index, texts)
        exact[pairs.group[pairs.exact]] = True
        near[pairs.group] = True
    return _near_result(index, records, exact, near & ~exact)


def duplicates_within(
    texts: Iterable[str], *, threshold: float = 0.8, shingle_size: int = 5, num_perm: int = 128
) -> OverlapResult:
    """Records of one dataset that have another like them: exact, else near. Limits as for `near_overlap`."""
    import numpy as np

    from audit.overlap.near import near_index, near_pairs
    from audit.overlap.shingling import Shingling

    held = _all(texts)
    index = near_index(held, Shingling("word", shingle_size), threshold, num_perm)
    exact = np.bincount(index.groups.group[index.groups.group >= 0], minlength=len(index.groups.first)) > 1
    pairs = near_pairs(index, held)
    near = np.zeros(len(exact), bool)
    near[pairs.group[~pairs.exact]] = True
    return _near_result(index, len(held), exact, near & ~exact)


def _all(texts: Iterable[str]) -> Texts:
    from audit.overlap.texts import from_strings

    return from_strings(list(texts))


def _wordless(groups: Groups) -> int:
    return int((groups.group < 0).sum())


def _rows(groups: Groups, matched: Mask) -> tuple[int, ...]:
    """Rows of the groups that matched, ascending."""
    import numpy as np

    flags = np.append(matched, False)  # the last stands for texts without words
    return tuple(int(row) for row in np.flatnonzero(flags[groups.group]))


def _near_result(index: NearIndex, corpus_records: int, exact: Mask, near: Mask) -> OverlapResult:
    from audit.overlap.minhash import recall

    described: dict[str, Any] = {
        "threshold": index.threshold,
        "shingle_size": index.shingling.size,
        "num_perm": index.num_perm,
        "bands": index.bands,
        "rows_per_band": index.rows_per_band,
        "recall_at_threshold": recall(index.threshold, index.bands, index.rows_per_band),
    }
    groups = index.groups
    return OverlapResult(
        len(groups.group), corpus_records, _wordless(groups), _rows(groups, exact), _rows(groups, near), **described
    )
