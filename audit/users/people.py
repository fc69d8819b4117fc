"""Who holds how many records: one table of people in the database, and the figures over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from audit.cells import Columns
from audit.shards import Shard
from audit.types import UnitCounts
from audit.users.counts import summarise
from audit.users.database import Database, Tell, database
from audit.users.sources import Source

# Words that stand where an id was not known. The position in this list is all that the database keeps of an id.
PLACEHOLDERS = (
    "0", "-1", "-", "?", "none", "null", "nil", "nan", "na", "n/a", "undefined", "unknown", "anonymous", "anon",
    "deleted", "[deleted]", "removed", "[removed]", "guest", "00000000-0000-0000-0000-000000000000",
)  # fmt: skip
LEAST_TEXT = 50  # bytes; a shorter text may well be written by two people


def units_in(
    shards: Sequence[Shard], unit: str, tell: Tell | None = None, limit: int | None = None
) -> UnitCounts | None:
    """Records per unit over all files together, out of core; None where no record has an id.

    Raises:
        RecordsError: the first record that is refused, by file and place.
    """
    with people_in(shards, Columns(unit=unit), tell, limit, traits=False) as people:
        histogram = people.histogram()
        return summarise(histogram, people.missing) if histogram else None


class People:
    """Table `person`: digest of the id, records `n`, and traits of the id's spelling where asked. No id, no text."""

    def __init__(self, db: Database, source: Source, *, traits: bool) -> None:
        self.db, self.source = db, source
        parts = [*_records(db, source.columns), *(_traits(db) if traits else ())]
        read = f"SELECT {', '.join(parts)} FROM {{source}}"
        has_extras = any(vars(source.columns)[role] for role in ("text", "name", "email"))
        if has_extras:
            source.run(db, f"CREATE TEMP TABLE record AS {read}")
            db.run(f"CREATE TEMP TABLE person AS {_people('record', traits)}")
            self.missing = self.one("SELECT count(*) FROM record WHERE unit IS NULL")[0]
        else:
            source.run(db, f"CREATE TEMP TABLE person AS {_people(f'({read})', traits)}")
            self.missing = self.one("SELECT sum(n) FROM person WHERE unit IS NULL")[0]
        db.run("DELETE FROM person WHERE unit IS NULL")

    def histogram(self, sizes: str = "SELECT n FROM person") -> Counter[int]:
        """Records per person -> people, of a query that gives one `n` a person."""
        found = self.db.run(f"SELECT n, count(*) FROM ({sizes}) GROUP BY n")
        return Counter({int(n): int(people) for n, people in found})

    def one(self, sql: str) -> tuple[int, ...]:
        """The one row of a query of counts; NULL is 0."""
        return tuple(int(value or 0) for value in self.db.run(sql)[0])

    def heavier_than(self, most: int) -> dict[int, int]:
        """Records of each person with more than `most`, by the digest that `digest_of` gives of the id."""
        return {int(key): int(n) for key, n in self.db.run(f"SELECT unit, n FROM person WHERE n > {int(most)}")}


@contextmanager
def people_in(
    shards: Sequence[Shard],
    columns: Columns,
    tell: Tell | None = None,
    limit: int | None = None,
    *,
    traits: bool = True,
) -> Iterator[People]:
    """The people of some files, in a database that is gone when the block ends."""
    with database(tell) as db:
        yield People(db, Source(shards, columns, limit), traits=traits)


def _records(db: Database, columns: Columns) -> Iterator[str]:
    yield f"CASE WHEN unit IS NOT NULL THEN {db.key('unit')} END AS unit"
    if columns.text:
        yield f"{db.key('text')} AS text"
        yield "strlen(text)::UINTEGER AS size"
    for role in ("name", "email"):
        if vars(columns)[role]:
            yield f"CASE WHEN trim({role}) <> '' THEN {db.key(f'lower(trim({role}))')} END AS {role}"


def _traits(db: Database) -> Iterator[str]:
    """How an id is spelled: `folded` is NULL where it is plain, `made` where its length is no accident."""
    folded = "lower(trim(unit))"
    words = ", ".join(f"'{word}'" for word in PLACEHOLDERS)
    lengths = ", ".join(map(str, sorted({len(word) for word in PLACEHOLDERS})))
    yield f"CASE WHEN {folded} <> unit THEN {db.key(folded)} END AS folded"
    yield f"CASE WHEN length(unit) IN ({lengths}) THEN list_position([{words}], {folded})::UTINYINT END AS word"
    yield "length(unit)::UINTEGER AS length"
    yield "trim(unit, '0123456789abcdefABCDEF-') = '' AS made"


def _people(relation: str, traits: bool) -> str:
    named = [f"any_value({trait}) AS {trait}" for trait in ("folded", "word", "length", "made") if traits]
    return f"SELECT {', '.join(['unit', 'count(*) AS n', *named])} FROM {relation} GROUP BY unit"
