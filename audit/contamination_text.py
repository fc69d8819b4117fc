"""The summary of an overlap search as text for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from audit.contamination_figures import Summary
from audit.overlap.statistics import Share


def as_json(summary: Summary) -> str:
    """The summary as JSON, keys sorted."""
    return json.dumps(asdict(summary), indent=2, sort_keys=True, ensure_ascii=False)


def lines(summary: Summary) -> Iterator[str]:
    """What was found, how sure that is, and what was not searched."""
    yield (
        f"{summary.private_records:,} private records against {summary.texts:,} texts "
        f"({summary.bytes / 1e6:,.1f} MB, {summary.shards} shard{'s' * (summary.shards != 1)})"
    )
    if summary.texts:
        yield from _figures(summary)
    else:
        yield "nothing was searched, so nothing is said of a match"
    if summary.without_words:
        yield f"{summary.without_words:,} private records hold no word and match nothing"
    if summary.not_searchable:
        yield f"{summary.not_searchable:,} private records consist of common phrases: found only as whole texts"
    yield from (f"warning: {warning}" for warning in summary.warnings)
    yield from (f"NOT SEARCHED: {why}" for why in summary.skipped)


def _figures(summary: Summary) -> Iterator[str]:
    yield f"matched: {_share(summary.matched)} private records"
    if summary.people is not None:
        yield f"people:  {_share(summary.people)} hold a matched record"
    yield from (f"  score at least {level:<5} {_share(found)}" for level, found in summary.at_least.items())
    kinds = ", ".join(f"{number:,} {name}" for name, number in summary.by_method.items() if number)
    yield f"pairs: {summary.verified_pairs:,} verified" + (f" ({kinds})" if kinds else "")
    if summary.pairs > summary.verified_pairs:
        yield f"       {summary.pairs - summary.verified_pairs:,} more covered but not aligned: unverified, not counted"
    yield from _minhash(summary)
    yield from _recall(summary)


def _minhash(summary: Summary) -> Iterator[str]:
    figure = summary.minhash
    if summary.options["mode"] != "containment":
        yield (
            f"MinHash: {figure['permutations']} permutations, {summary.options['bands']} bands of "
            f"{summary.options['rows_per_band']} rows; a pair just at the threshold is found with probability "
            f"{summary.options['recall_at_threshold']:.3f}"
        )
    elif summary.matched.count:
        yield (
            f"MinHash of whole texts ({figure['permutations']} permutations) would report {figure['matched_at_0.5']:,} "
            f"of them at Jaccard 0.5 and {figure['matched_at_0.8']:,} at 0.8; median estimate of the best match "
            f"{figure['median_of_matched']:.2f}"
        )


def _recall(summary: Summary) -> Iterator[str]:
    if not summary.recall:
        if summary.options["mode"] == "containment":
            yield "recall was not estimated: absence is not shown"
        return
    planted = next(iter(summary.recall.values())).of
    yield f"found of {planted:,} of these records planted into pages of this corpus, for each kind of copy:"
    yield from (f"  {kind:<22} {_share(found)}" for kind, found in summary.recall.items())
    if not summary.matched.count:
        yield "No match bounds what is there by this recall; it does not prove absence, nor does it see paraphrases."


def _share(found: Share) -> str:
    return f"{found.count:,} of {found.of:,} ({found.value:.2%}, 95 % interval {found.lower:.2%} to {found.upper:.2%})"
