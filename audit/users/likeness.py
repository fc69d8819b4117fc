"""Texts that are nearly alike: across ids, and among the texts of one heavy id. A bounded, fixed selection."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from audit.types import Confidence
from audit.users.alike import WHAT, alike_within
from audit.users.people import LEAST_TEXT, People
from audit.users.signs import Sign, effect

MOST_IDS = 20_000  # compared with each other by one text each
HEAVY_IDS, LEAST_HELD, TEXTS_EACH = 50, 50, 200
LEAST_TEXTS = 30
NOTABLE_SHARE = 0.02  # of the ids compared
BOT_SHARE = 0.5  # of an id's texts


def signs_of_likeness(people: People) -> Iterator[Sign]:
    """Near-duplicates across ids and ids whose own texts are nearly all alike (bots)."""
    texts = _chosen_texts(people)
    yield from _across(people, [text for of_one in texts[0].values() for text in of_one])
    yield from _bots(people, texts[1])


def _chosen_texts(people: People) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    """Texts in memory, by rank of a digest: one of each of some ids, and many of each of the heaviest ids."""
    heavy = f"SELECT unit FROM person WHERE n >= {LEAST_HELD} QUALIFY count(*) OVER (ORDER BY n DESC) <= {HEAVY_IDS}"
    long = f"FROM record WHERE unit IS NOT NULL AND size >= {LEAST_TEXT}"
    people.db.run(
        "CREATE TEMP TABLE chosen AS "
        f"(SELECT 0 AS purpose, unit, max_by(text, (size, text)) AS text {long} "
        f"GROUP BY unit ORDER BY unit LIMIT {MOST_IDS}) "
        f"UNION ALL (SELECT 1, unit, text FROM (SELECT DISTINCT unit, text {long} AND unit IN ({heavy})) "
        f"QUALIFY row_number() OVER (PARTITION BY unit ORDER BY text) <= {TEXTS_EACH})"
    )
    found = people.source.run(
        people.db,
        "SELECT purpose, dense_rank() OVER (ORDER BY c.unit), any_value(s.text) FROM "
        f"(SELECT {people.db.key('unit')} AS unit, {people.db.key('text')} AS key, text FROM {{source}}"
        f" WHERE unit IS NOT NULL AND strlen(text) >= {LEAST_TEXT}) AS s "
        "JOIN chosen AS c ON s.unit = c.unit AND s.key = c.text GROUP BY purpose, c.unit, c.text ORDER BY ALL",
    )
    texts: tuple[dict[int, list[str]], dict[int, list[str]]] = (defaultdict(list), defaultdict(list))
    for purpose, rank, text in found:
        texts[int(str(purpose))][int(str(rank))].append(str(text))
    return texts


def _across(people: People, texts: Sequence[str]) -> Iterator[Sign]:
    alone = [text for text, number in Counter(texts).items() if number == 1]  # the others are identical texts
    near = alike_within(alone)
    if not near or near < NOTABLE_SHARE * len(texts):
        return
    (of_all,) = people.one(f"SELECT count(DISTINCT unit) FROM record WHERE unit IS NOT NULL AND size >= {LEAST_TEXT}")
    part = "" if of_all <= MOST_IDS else f", a fixed choice among {of_all:,}; pairs outside it were not looked for"
    yield Sign(
        "near-duplicates-across-ids",
        f"the longest text of {near:,} ids is nearly that of another id ({WHAT}; "
        f"{len(texts):,} ids compared{part})",
        Confidence.LOW,
        near,
        0,
        (),
    )


def _bots(people: People, texts: dict[int, list[str]]) -> Iterator[Sign]:
    held = dict(
        people.db.run(
            "SELECT rank, n FROM (SELECT DISTINCT dense_rank() OVER (ORDER BY unit) AS rank, unit FROM chosen) "
            "JOIN person USING (unit)"
        )
    )
    alike = [
        int(held[rank])
        for rank, of_one in texts.items()
        if len(of_one) >= LEAST_TEXTS and alike_within(of_one) >= BOT_SHARE * len(of_one)
    ]
    if not alike:
        return
    rest = people.histogram()
    rest.subtract(Counter(alike))
    yield Sign(
        "bot-like",
        f"{len(alike)} of the {len(texts)} heaviest ids write texts most of which are nearly alike",
        Confidence.LOW,
        len(alike),
        sum(alike),
        effect("left out", +rest),
    )
