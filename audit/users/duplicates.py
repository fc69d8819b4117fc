"""Texts that stand twice within a split or in two splits, and people who are in two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from audit.cells import Columns, cells
from audit.shards import Shard
from audit.users.alike import near_across, near_within
from audit.users.database import Database, Tell, database
from audit.users.sources import Source

NEAR_LIMIT = 50_000  # records on either side above which near-duplicates are not looked for
ORDER = ("test", "validation", "train")


@dataclass(frozen=True)
class Within:
    """One split: records whose text another of its records has, byte for byte, or nearly. None: not looked for."""

    split: str
    records: int
    exact: int | None
    near: int | None


@dataclass(frozen=True)
class Across:
    """Two splits: records of the first whose text is in the second, and people who are in both."""

    split: str
    other: str
    records: int
    exact: int | None
    near: int | None
    people: int | None


def duplicates(
    parts: Mapping[str, Sequence[Shard]], columns: Columns, tell: Tell | None = None
) -> tuple[tuple[Within, ...], tuple[Across, ...]]:
    """Duplicates within each part and across each two, the part named for evaluation first; texts are compared
    as they are for `exact`, and by word shingles for `near` (those not exact)."""
    names = sorted(parts, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    with database(tell) as db:
        for number, name in enumerate(names):
            _load(db, number, Source(parts[name], columns))
        within = tuple(_within(db, n, name, parts[name], columns) for n, name in enumerate(names))
        sizes = {part.split: part.records for part in within}
        across = tuple(_across(db, pair, names, parts, sizes, columns) for pair in combinations(range(len(names)), 2))
    return within, across


def _load(db: Database, number: int, source: Source) -> None:
    """Table part<number>: records `n` by text and unit, as digests; an absent text is nobody's double."""
    text = f"CASE WHEN text <> '' THEN {db.key('text')} END"
    unit = f"CASE WHEN unit IS NOT NULL THEN {db.key('unit')} END"
    columns = f"{text} AS text, {unit} AS unit, count(*)::BIGINT AS n"
    source.run(db, f"CREATE TEMP TABLE part{number} AS SELECT {columns} FROM {{source}} GROUP BY ALL")


def _within(db: Database, number: int, split: str, shards: Sequence[Shard], columns: Columns) -> Within:
    records = _count(db, f"SELECT sum(n) FROM part{number}")
    if not columns.text:
        return Within(split, records, None, None)
    by_text = f"SELECT sum(n) AS n FROM part{number} WHERE text IS NOT NULL GROUP BY text"
    exact = _count(db, f"SELECT sum(n) FROM ({by_text}) WHERE n > 1")
    return Within(split, records, exact, near_within(_texts(shards, columns)) if records <= NEAR_LIMIT else None)


def _across(
    db: Database,
    pair: tuple[int, int],
    names: Sequence[str],
    parts: Mapping[str, Sequence[Shard]],
    sizes: Mapping[str, int],
    columns: Columns,
) -> Across:
    one, other = (f"part{number}" for number in pair)
    split, against = (names[number] for number in pair)
    exact = near = people = None
    if columns.text:
        exact = _count(db, f"SELECT sum(n) FROM {one} SEMI JOIN {other} USING (text)")
        if max(sizes[split], sizes[against]) <= NEAR_LIMIT:
            near = near_across(_texts(parts[split], columns), _texts(parts[against], columns))
    if columns.unit:
        people = _count(db, f"SELECT count(DISTINCT unit) FROM {one} SEMI JOIN {other} USING (unit)")
    return Across(split, against, sizes[split], exact, near, people)


def _count(db: Database, sql: str) -> int:
    return int(db.run(sql)[0][0] or 0)


def _texts(shards: Sequence[Shard], columns: Columns) -> Iterator[str]:
    return (text or "" for (text,) in cells(shards, Columns(text=columns.text)))
