"""Each given corpus searched for the records of each given private dataset, in numbers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from statistics import median

from audit.overlap.search import Containment, contained
from audit.overlap.statistics import share
from audit.records import Records
from audit.types import CorpusOverlap, MatchedAt, MatchKind, MinHashFigure, PlantedKind, PlantedRecall, Proportion

LONG_WORDS = 12  # a match of fewer words can be a common phrase; shorter records are not planted either
SCORES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
PLANTS = 200
SEED = 7


def corpus_overlap(private: Records, corpus: Records) -> CorpusOverlap:
    """Search the corpus for the private records, and measure the search on records planted into its texts.

    Same files, same result. The private side is held in memory, the corpus is streamed.
    """
    found = contained(private.texts(), corpus.texts(), plants=PLANTS, seed=SEED)
    shingling = found.question.shingling
    return CorpusOverlap(
        private=private.name,
        corpus=corpus.name,
        shingle=shingling.unit,
        shingle_size=shingling.size,
        normalisation=shingling.normalisation,
        threshold=found.question.threshold,
        private_records=found.private_records,
        without_words=found.without_words,
        long_words=LONG_WORDS,
        long_records=sum(words >= LONG_WORDS for words in found.words),
        corpus_texts=found.corpus_records,
        pairs=found.pairs,
        at_least=tuple(_at_least(private, found)),
        histogram=_histogram(found),
        kinds=tuple(_kinds(found)),
        minhash=_minhash(found),
        recall=_recall(found),
    )


def _proportion(count: int, of: int) -> Proportion:
    counted = share(count, of)
    return Proportion(count=count, of=of, lower=counted.lower, upper=counted.upper)


def _at_least(private: Records, found: Containment) -> Iterator[MatchedAt]:
    units = [unit for _, unit in private.rows()] if private.unit_column else None
    for level in (found.question.threshold, *SCORES):
        rows = [row for row, score in enumerate(found.scores) if score >= level]
        yield MatchedAt(
            score=level,
            records=_proportion(len(rows), found.private_records),
            long_records=_long(found, rows),
            people=_people(units, rows) if units is not None else None,
        )


def _long(found: Containment, rows: list[int]) -> int:
    return sum(found.words[row] >= LONG_WORDS for row in rows)


def _people(units: list[str | None], rows: list[int]) -> Proportion:
    return _proportion(len({units[row] for row in rows} - {None}), len({*units} - {None}))


def _histogram(found: Containment) -> dict[int, int]:
    steps = Counter(5 * math.floor(score * 20 + 1e-9) for score in found.scores if score)
    return dict(sorted(steps.items()))


def _kinds(found: Containment) -> Iterator[MatchKind]:
    """Every matched record once, under the strongest kind."""
    rows: dict[str, list[int]] = {"exact": [], "contained": [], "in-part": []}
    for row, score in enumerate(found.scores):
        if score:
            rows["exact" if found.exact[row] else "contained" if score >= 1 else "in-part"].append(row)
    for kind, of_kind in rows.items():
        yield MatchKind.model_validate({"kind": kind, "records": len(of_kind), "long_records": _long(found, of_kind)})


def _minhash(found: Containment) -> MinHashFigure:
    from audit.overlap.minhash import bands_for
    from audit.overlap.question import JACCARD, NUM_PERM

    best = [estimate for score, estimate in zip(found.scores, found.minhash, strict=True) if score]
    bands, rows_per_band = bands_for(JACCARD, NUM_PERM)
    return MinHashFigure(
        permutations=NUM_PERM,
        bands=bands,
        rows_per_band=rows_per_band,
        median=round(median(best), 4) if best else None,
        at_half=sum(estimate >= 0.5 for estimate in best),
        at_four_fifths=sum(estimate >= 0.8 for estimate in best),
    )


def _recall(found: Containment) -> PlantedRecall | None:
    if not found.recovered:
        return None
    return PlantedRecall(
        seed=SEED,
        pages=found.pages,
        shortest=LONG_WORDS,
        kinds=tuple(
            PlantedKind(kind=kind, found=_proportion(one.found, one.planted)) for kind, one in found.recovered.items()
        ),
    )
