"""One look at a column: the figures, the signs that it does not name people, and what was not looked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audit.cells import Columns
from audit.shards import Shard
from audit.types import UnitCounts
from audit.users.counts import summarise
from audit.users.database import Tell
from audit.users.likeness import signs_of_likeness
from audit.users.people import People, people_in
from audit.users.signs import Sign, signs_of_columns, signs_of_copies, signs_of_ids

NOT_LOOKED_FOR = {
    "text": "ids with another's texts, near-duplicates across ids and bots were not looked for: name a text column",
    "name": "ids with several names were not looked for: no name column was named",
    "email": "ids with one e-mail address were not looked for: no e-mail column was named",
}


def signs_in(
    shards: Sequence[Shard], columns: Columns, tell: Tell | None = None, limit: int | None = None
) -> tuple[UnitCounts | None, tuple[Sign, ...], tuple[str, ...]]:
    """Records per unit over all files, signs, and what was not looked for; None where no record has an id."""
    with people_in(shards, columns, tell, limit) as people:
        histogram = people.histogram()
        if not histogram:
            return None, (), ()
        found = tuple(_signs(people))
    notes = tuple(note for role, note in NOT_LOOKED_FOR.items() if vars(columns)[role] is None)
    return summarise(histogram, people.missing), found, notes


def _signs(people: People) -> Iterator[Sign]:
    yield from signs_of_ids(people)
    yield from signs_of_columns(people)
    if people.source.columns.text:
        yield from signs_of_copies(people)
        yield from signs_of_likeness(people)
