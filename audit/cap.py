"""`audit cap`: a copy of a dataset in which nobody holds more than K records, drawn by a seed, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from audit.cells import Columns, cells
from audit.copying import copy, output_format
from audit.files import written_whole
from audit.records import Records, RecordsError, records_at
from audit.users.database import Tell, digest_of
from audit.users.people import people_in

EVERY = 10_000  # records between two reports of progress


@dataclass(frozen=True)
class Capped:
    """What was written. Records without an id are left out: nobody can say whose they are."""

    records: int
    kept: int
    people: int
    people_affected: int
    missing: int
    sha256: str


def cap(path: str, unit: str, max_records: int, seed: int, out: Path, tell: Tell | None = None) -> Capped:
    """Write to `out` at most `max_records` records of each person, in the order they stand.

    Which of a person's records are kept is drawn by `seed`, each set of K equally likely; same input and seed,
    same bytes. The data are read twice; of people, the numbers of the heavy ones alone are held in memory.

    Raises:
        RecordsError: a bad input, or an `out` that is the input or cannot be written; one line, nothing written.
    """
    records = records_at(Path(path), "data", None, unit)
    output_format(records.shards, out)
    if any(out.exists() and shard.path.exists() and out.samefile(shard.path) for shard in records.shards):
        raise RecordsError(f"{out}: is the data itself; choose another --out")
    with people_in(records.shards, Columns(unit=unit), tell, traits=False) as people:
        held, number = people.one("SELECT sum(n), count(*) FROM person")
        heavy, missing = people.heavier_than(max_records), people.missing
    chosen = Chosen(records, unit, heavy, max_records, random.Random(seed), tell)  # noqa: S311 (a seed one may know)
    try:
        with written_whole(out) as file:
            copy(records.shards, chosen, out, file)
            if not chosen.complete:
                raise RecordsError(f"{path}: changed while it was read; nothing was written, start again")
    except BlockingIOError:
        raise RecordsError(f"{out}: another run is writing it; wait for it, or choose another --out") from None
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise RecordsError(f"{out}: cannot be written: {why}; nothing was kept") from None
    with out.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Capped(held + missing, chosen.kept, number, len(heavy), missing, digest)


class Chosen(Iterator[bool]):
    """For each record in turn, is it kept? Selection sampling (Knuth, algorithm S) among a heavy person's records."""

    def __init__(
        self,
        records: Records,
        unit: str,
        heavy: Mapping[int, int],
        most: int,
        draw: random.Random,
        tell: Tell | None,
    ) -> None:
        self._ids = (found[0] for found in cells(records.shards, Columns(unit=unit)))
        self._left = {key: (number, most) for key, number in heavy.items()}
        self._draw, self._tell = draw, tell
        self.passed = self.kept = 0

    @property
    def complete(self) -> bool:
        """Did every heavy person's records pass, as many as were counted, and were all its places given?"""
        return not any(records or places for records, places in self._left.values())

    def __next__(self) -> bool:
        ident = next(self._ids)
        chosen = ident is not None and self._keeps(digest_of(ident))
        self.kept += chosen
        self.passed += 1
        if self._tell is not None and self.passed % EVERY == 0:
            self._tell("writing records", self.passed, 0)
        return chosen

    def _keeps(self, key: int) -> bool:
        if key not in self._left:
            return True
        records, places = self._left[key]
        chosen = self._draw.random() * records < places
        self._left[key] = (records - 1, places - chosen)
        return chosen
