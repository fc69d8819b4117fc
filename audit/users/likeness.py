"""Texts that are nearly alike: across ids, and among the texts of one heavy id. A bounded, fixed selection."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from audit.types import Confidence
from audit.users.alike import WHAT, alike_rows
from audit.users.people import LEAST_TEXT, People
from audit.users.signs import Sign, effect

MOST_IDS = 20_000  # compared with each other by one text each
HEAVY_IDS, LEAST_HELD, TEXTS_EACH = 50, 50, 200
LEAST_TEXTS = 30
NOTABLE_SHARE = 0.02  # of the ids compared
BOT_SHARE = 0.5  # of an id's texts
HELD = (
    "SELECT rank, n FROM (SELECT DISTINCT dense_rank() OVER (ORDER BY unit) AS rank, unit FROM chosen) "
    "JOIN person USING (unit)"
)


def signs_of_likeness(people: People) -> Iterator[Sign]:
    """Near-duplicates across ids and ids whose own texts are nearly all alike (bots)."""
    longest, of_heavy = _chosen_texts(people)
    held = {int(rank): int(n) for rank, n in people.db.run(HELD)}
    yield from _across(people, longest, held)
    yield from _bots(people, of_heavy, held)


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


def _across(people: People, texts: dict[int, list[str]], held: dict[int, int]) -> Iterator[Sign]:
    """Byte for byte the same texts are left to `identical-texts`."""
    times = Counter(text for (text,) in texts.values())
    alone = [(rank, text) for rank, (text,) in texts.items() if times[text] == 1]
    found = [held[alone[row][0]] for row in alike_rows([text for _, text in alone])]
    if not found or len(found) < NOTABLE_SHARE * len(texts):
        return
    (of_all,) = people.one(f"SELECT count(DISTINCT unit) FROM record WHERE unit IS NOT NULL AND size >= {LEAST_TEXT}")
    part = "" if of_all <= MOST_IDS else f", a fixed choice among {of_all:,}; pairs outside it were not looked for"
    as_is = people.histogram()
    merged = as_is.copy()
    merged.subtract(Counter(found))
    yield Sign(
        "near-duplicates-across-ids",
        f"the longest text of {len(found):,} ids is nearly that of another id ({WHAT}; "
        f"{len(texts):,} ids compared{part})",
        Confidence.LOW,
        len(found),
        sum(found),
        effect("at the least, nothing to mend", as_is)
        + effect("at the most, all of them one person", +merged + Counter({sum(found): 1})),
    )


def _bots(people: People, texts: dict[int, list[str]], held: dict[int, int]) -> Iterator[Sign]:
    alike = [
        held[rank]
        for rank, of_one in texts.items()
        if len(of_one) >= LEAST_TEXTS and len(alike_rows(of_one)) >= BOT_SHARE * len(of_one)
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
