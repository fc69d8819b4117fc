"""Exact, near and contained private records in a corpus of texts: private side in memory, corpus streamed once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the kernels and their compiler are loaded where a search is made
    import numpy as np
    import numpy.typing as npt

    from audit.overlap.index import Index
    from audit.overlap.near import Groups, NearIndex
    from audit.overlap.planting import Recovery
    from audit.overlap.question import Question
    from audit.overlap.texts import Texts

    Mask = npt.NDArray[np.bool_]

HOST_PAGES = 1000  # texts of the corpus, the first without a match, that records are planted into
HOST_CHARACTERS = 8 << 20


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


@dataclass(frozen=True)
class Containment:
    """Which private records the texts of a corpus contain. No text, no id.

    By private row: `scores`, the best share of its words found in order in one window of a text, over verified
    matches, 0 where there is none; `minhash`, the estimated Jaccard similarity of record and whole text, best of
    those matches; `words`, its number of words; `exact`, whether some text is the record and nothing else.
    `recovered` says, by kind of copy, how many records were found again that had been planted into `pages` texts of
    the corpus; it is empty where none were asked for, or no record or text is fit for it.
    """

    question: Question
    corpus_records: int
    without_words: int
    pairs: int  # verified
    scores: tuple[float, ...]
    minhash: tuple[float, ...]
    words: tuple[int, ...]
    exact: tuple[bool, ...]
    pages: int = 0
    recovered: Mapping[str, Recovery] = field(default_factory=dict)

    @property
    def private_records(self) -> int:
        return len(self.scores)

    @property
    def matched(self) -> int:
        """Private records with a verified match."""
        return sum(score > 0 for score in self.scores)


def contained(private: Iterable[str], corpus: Iterable[str], *, plants: int = 0, seed: int = 0) -> Containment:
    """Private records that corpus texts contain, whole or in large part, by `containment.found_in`.

    Records of fewer than six words are found only where they are the whole text. Cannot see a paraphrase or a
    translation, and misses some of what was edited: `plants` records of each kind of copy, drawn by `seed`, are
    planted into the first texts without a match and looked for, to measure how much.
    """
    import numpy as np

    from audit.overlap.index import build
    from audit.overlap.question import Question, pairs_in
    from audit.overlap.texts import batches

    question, held = Question(), list(private)
    index = build(_all(held))
    groups = len(index.units)
    scores, minhash, exact = np.zeros(groups), np.zeros(groups), np.zeros(groups, bool)
    records = pairs = 0
    hosts: list[str] = []
    for texts in batches(corpus):
        records += len(texts)
        found = pairs_in(texts, [None] * len(texts), 0, index, question)
        group = found.group[found.verified]
        np.maximum.at(scores, group, found.score[found.verified])
        np.maximum.at(minhash, group, found.minhash[found.verified])
        exact[group[found.method[found.verified] == 0]] = True
        pairs += len(group)
        if plants:
            _collect(hosts, texts, found.row[found.verified])
    by_row = [np.append(values, 0)[index.group] for values in (scores, minhash, index.units, exact)]
    return Containment(
        question=question,
        corpus_records=records,
        without_words=int((index.group < 0).sum()),
        pairs=pairs,
        scores=tuple(map(float, by_row[0])),
        minhash=tuple(map(float, by_row[1])),
        words=tuple(map(int, by_row[2])),
        exact=tuple(map(bool, by_row[3])),
        pages=len(hosts),
        recovered=_recovered(index, held, hosts, plants, seed),
    )


def _collect(hosts: list[str], texts: Texts, matched: npt.NDArray[np.int64]) -> None:
    """Add texts without a match, up to what planting takes: a page that holds a record would find its copy there."""
    import numpy as np

    length = sum(map(len, hosts))
    for row in np.setdiff1d(np.arange(len(texts)), matched):
        if len(hosts) >= HOST_PAGES or length >= HOST_CHARACTERS:
            return
        hosts.append(texts.bytes_of(int(row)).decode("utf-8", "replace"))
        length += len(hosts[-1])


def _recovered(
    index: Index, private: Sequence[str], pages: Sequence[str], plants: int, seed: int
) -> dict[str, Recovery]:
    from audit.overlap.planting import recovery

    if not plants:
        return {}
    try:
        return recovery(index, private, pages, plants=plants, seed=seed)
    except ValueError:  # nothing long enough to plant, or no page to plant into
        return {}


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
