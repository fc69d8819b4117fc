"""What searches of corpora found of private texts, in words and rows: matches, kinds, and the estimated recall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

from reports.numbers import number, plural, share, whole

Json = Mapping[str, Any]
KINDS = {
    "exact": "exact: a text of the corpus is the record and nothing else",
    "contained": "contained: all of its words in order in one place of another text",
    "in-part": "in part or edited: fewer of its words",
}
FILES = {"sample": "a sample", "unknown": "not known to be whole"}
NBSP = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Search:
    """One private dataset looked for in one corpus; `overlap` is what the picture is drawn from."""

    anchor: str
    title: str
    matched: bool
    answer: str
    recall: str
    limits: tuple[str, ...]
    kinds: tuple[tuple[str, ...], ...]  # kind, records, long records
    levels: tuple[tuple[str, ...], ...]  # score, records, interval, long records[, people, interval]
    planted: tuple[tuple[str, ...], ...]  # kind of copy, found, interval of the share
    minhash: str
    options: str
    overlap: Json


def searches(result: Json) -> list[Search]:
    """Every search, in the order of the result; none where the result has none."""
    verdicts = {(d["role"], d["name"]): d["identity"]["verdict"] for d in result["data"]}
    return [_search(place, found, verdicts) for place, found in enumerate(result.get("overlaps", ()), 1)]


def _search(place: int, found: Json, verdicts: Mapping[tuple[str, str], str]) -> Search:
    return Search(
        anchor=f"overlap-{place}",
        title=f"{found['private']} in {found['corpus']}",
        matched=found["at_least"][0]["records"]["count"] > 0,
        answer=_answer(found),
        recall=_recall(found),
        limits=tuple(_limits(found, verdicts)),
        kinds=tuple((KINDS[k["kind"]], whole(k["records"]), whole(k["long_records"])) for k in found["kinds"]),
        levels=tuple(_level(level) for level in found["at_least"]),
        planted=_planted(found),
        minhash=_minhash(found),
        options=f"Verified matches of at least {_percent(found['threshold'])} of a record’s words; shingles of "
        f"{found['shingle_size']} {found['shingle']}s, {found['normalisation']} normalisation",
        overlap=found,
    )


def interval(proportion: Json) -> str:
    """The 95 % interval in per cent, to three digits, rounded outward."""
    low, high = (
        number(float(Context(prec=3, rounding=way).create_decimal(Decimal(repr(100 * proportion[end])))))
        for end, way in (("lower", ROUND_FLOOR), ("upper", ROUND_CEILING))
    )
    return f"{low} to {high}{NBSP}%"


def _share(proportion: Json) -> str:
    return share(proportion["count"] / proportion["of"]).replace(" ", NBSP)


def _percent(score: float) -> str:
    return f"{round(100 * score, 6):g}{NBSP}%"


def _answer(found: Json) -> str:
    matched, texts = found["at_least"][0], f"{found['corpus_texts']:,} texts of {found['corpus']}"
    count, of = matched["records"]["count"], plural(matched["records"]["of"], "record")
    if not count:
        bound = f"95{NBSP}% interval of the share {interval(matched['records'])}"
        return f"0 matches found of {of} of {found['private']} in {texts} ({bound}). Absence is bounded, not proven."
    people = matched["people"]
    held = f", held by {plural(people['count'], 'person', 'people')}" if people else ""
    return (
        f"{count:,} of {of} of {found['private']} found in {texts} ({_share(matched['records'])}, 95{NBSP}% interval "
        f"{interval(matched['records'])}){held}. What was not found is bounded, not proven absent."
    )


def _recall(found: Json) -> str:
    measured = found["recall"]
    if measured is None:
        return (
            f"Recall was not estimated: there was no record of {found['long_words']} words or more to plant, or no "
            "text without a match to plant it into. So nothing is known of what the search missed."
        )
    worst, best = (pick(measured["kinds"], key=_recalled) for pick in (min, max))
    return (
        f"Estimated recall, by kind of copy: from {_share(worst['found'])} ({worst['kind']}; 95{NBSP}% interval "
        f"{interval(worst['found'])}) to {_share(best['found'])} ({best['kind']}; {interval(best['found'])})."
    )


def _recalled(kind: Json) -> float:
    return float(kind["found"]["count"] / kind["found"]["of"])


def _planted(found: Json) -> tuple[tuple[str, ...], ...]:
    kinds = found["recall"]["kinds"] if found["recall"] else ()
    proportions = [(kind["kind"], kind["found"]) for kind in kinds]
    return tuple((name, f"{p['count']:,} of {p['of']:,}", interval(p)) for name, p in proportions)


def _limits(found: Json, verdicts: Mapping[tuple[str, str], str]) -> Sequence[str]:
    short = found["private_records"] - found["long_records"]
    said = []
    if short:
        said.append(
            f"{plural(short, 'record')} of fewer than {found['long_words']} words "
            f"{'is' if short == 1 else 'are'} outside this estimate: the shorter, the more is missed, and one of "
            "fewer than six words is found only where it is a whole text of the corpus."
        )
    sides = [(found[role], verdicts.get((role, found[role]), "")) for role in ("private", "corpus")]
    doubts = [f"{name} ({FILES[verdict]})" for name, verdict in sides if verdict in FILES]
    if doubts:
        said.append(f"What the given files lack was not searched: {', '.join(doubts)}.")
    return [*said, "Paraphrases and translations are not found."]


def _level(level: Json) -> tuple[str, ...]:
    records, people = level["records"], level["people"]
    cells = (_percent(level["score"]), whole(records["count"]), interval(records))
    held = (whole(people["count"]), interval(people)) if people else ()
    return (*cells, whole(level["long_records"]), *held)


def _minhash(found: Json) -> str:
    figure = found["minhash"]
    if figure["median"] is None:
        return ""
    return (
        f"MinHash of whole texts, which papers often report ({figure['permutations']} permutations, {figure['bands']} "
        f"bands of {figure['rows_per_band']} rows), would show {figure['at_half']:,} of these "
        f"{plural(found['at_least'][0]['records']['count'], 'record')} at an estimated Jaccard similarity of 0.5 and "
        f"{figure['at_four_fifths']:,} at 0.8; the median estimate of a best match is {number(figure['median'])}. A "
        "long page hides a short text in it."
    )
