"""Near-duplicates among texts in memory: the one place where this room asks `audit.overlap`."""

from __future__ import annotations

from collections.abc import Iterable

WHAT = "Jaccard ≥ 0.8 of 5-word shingles"


def near_within(texts: Iterable[str]) -> int:
    """Texts with another nearly like it, but none that is the same."""
    from audit.overlap.search import duplicates_within

    return duplicates_within(texts).matched_near


def alike_rows(texts: Iterable[str]) -> tuple[int, ...]:
    """Rows of the texts with another like it: nearly, or but for case and punctuation."""
    from audit.overlap.search import duplicates_within

    found = duplicates_within(texts)
    return tuple(sorted(found.exact_rows + found.near_rows))


def near_across(texts: Iterable[str], others: Iterable[str]) -> int:
    """Texts with one of the others nearly like it, but none that is the same."""
    from audit.overlap.search import near_overlap

    return near_overlap(texts, others).matched_near
