"""What an overlap search found, in numbers: shares with their intervals, people, and what MinHash would say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from audit.matches import Matches
from audit.overlap.index import Index
from audit.overlap.local import Done
from audit.overlap.minhash import bands_for, recall
from audit.overlap.near import NearIndex
from audit.overlap.question import JACCARD, METHODS, NUM_PERM, Question, Side
from audit.overlap.statistics import Share, share

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True)
class Summary:
    """What the search found, in numbers: no text, no id."""

    options: dict[str, Any]
    private_records: int
    without_words: int
    not_searchable: int  # long records without two shingles of their own
    shards: int
    skipped: tuple[str, ...]  # why a shard was not searched, one line each
    warnings: tuple[str, ...]
    texts: int
    bytes: int
    index_bytes: int
    pairs: int
    verified_pairs: int
    by_method: dict[str, int]  # verified pairs
    matched: Share  # private records with a verified match
    at_least: dict[str, Share]  # the same, at or above a score
    histogram: dict[str, int]  # best verified score of the matched records, by tenths
    people: Share | None  # people who hold a matched record, of those who hold any
    minhash: dict[str, Any]
    recall: dict[str, Share] = field(default_factory=dict)  # of planted records, by kind


def groups_of(side: Side) -> npt.NDArray[np.int64]:
    """The group of each private row; -1 where it has no unit."""
    return np.asarray(side.groups.group if isinstance(side, NearIndex) else side.group, np.int64)


def summarise(
    question: Question,
    done: Sequence[Done],
    side: Side,
    units: Sequence[str | None] | None,
    matches: Matches,
    plants: dict[str, Share],
) -> Summary:
    """Everything that is reported of a search; `units` are the people of the private rows, if known."""
    group = groups_of(side)
    total = len(group)
    best = matches.best_scores(total)
    return Summary(
        options=options_of(question),
        private_records=total,
        without_words=int(np.count_nonzero(group < 0)),
        not_searchable=int(np.isin(group, side.unsearchable).sum()) if isinstance(side, Index) else 0,
        shards=len(done),
        skipped=tuple(one.unreadable for one in done if one.unreadable),
        warnings=tuple(f"{one.damaged}: searched anew" for one in done if one.damaged),
        texts=matches.texts,
        bytes=matches.bytes,
        index_bytes=side.bytes if isinstance(side, Index) else 0,
        pairs=len(matches.private_row),
        verified_pairs=int(matches.verified.sum()),
        by_method={
            name: int(np.count_nonzero(matches.method[matches.verified] == place)) for place, name in enumerate(METHODS)
        },
        matched=share(int(np.count_nonzero(best > 0)), total),
        at_least={f"{t:g}": share(int(np.count_nonzero(best >= t)), total) for t in _thresholds(question)},
        histogram=_histogram(best[best > 0]),
        people=_people(units, best > 0),
        minhash=_minhash(matches, total),
        recall=plants,
    )


def options_of(question: Question) -> dict[str, Any]:
    """The option set, with what follows from it."""
    options = asdict(question)
    if question.mode == "near-duplicate":
        bands, rows = bands_for(question.threshold, NUM_PERM)
        options |= {"permutations": NUM_PERM, "bands": bands, "rows_per_band": rows}
        options |= {"recall_at_threshold": round(recall(question.threshold, bands, rows), 6)}
    return options


def _thresholds(question: Question) -> list[float]:
    return sorted({question.threshold, *(t for t in THRESHOLDS if t >= question.threshold)})


def _histogram(scores: npt.NDArray[np.float64]) -> dict[str, int]:
    counts, edges = np.histogram(np.minimum(scores, 1), bins=np.linspace(0, 1, 11))
    tenths = zip(edges, edges[1:], counts, strict=False)
    return {f"{low:.1f}-{high:.1f}": int(count) for low, high, count in tenths if count}


def _people(units: Sequence[str | None] | None, matched: npt.NDArray[np.bool_]) -> Share | None:
    if units is None:
        return None
    hit = {unit for unit, is_hit in zip(units, matched, strict=True) if is_hit and unit is not None}
    return share(len(hit), len({unit for unit in units if unit is not None}))


def _minhash(matches: Matches, total: int) -> dict[str, Any]:
    """What MinHash over whole texts would say of the verified pairs: its best estimate for each record."""
    best = matches.best_scores(total, of=matches.minhash)
    matched = matches.best_scores(total) > 0
    bands, rows = bands_for(JACCARD, NUM_PERM)
    return {
        "permutations": NUM_PERM,
        "bands": bands,
        "rows_per_band": rows,
        "median_of_matched": round(float(np.median(best[matched])), 4) if matched.any() else None,
        "matched_at_0.5": int(np.count_nonzero(best[matched] >= 0.5)),
        "matched_at_0.8": int(np.count_nonzero(best[matched] >= JACCARD)),
    }

