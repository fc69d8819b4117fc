"""Which files of the given data are which split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from audit.records import Records
from audit.shards import Shard
from audit.types import UnitCounts
from audit.users.people import units_in

_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class Split:
    """One split of a dataset: its name and the files that hold it."""

    name: str  # "train", "validation" or "test"
    files: tuple[Records, ...]

    def texts(self) -> Iterator[str]:
        for records in self.files:
            yield from records.texts()


def splits(data: Mapping[str, Records]) -> dict[str, tuple[Split, ...]]:
    """Splits by dataset, for datasets given with at least two.

    A folder gives a split for its files named for one ("train-0.jsonl"; "test/…" in a saved `datasets`
    folder); a dataset named for one ("drugs-test") is a split of the dataset without that word.
    """
    found: dict[str, dict[str, list[Records]]] = {}
    for base, split, records in (entry for item in data.items() for entry in _entries(*item)):
        found.setdefault(base, {}).setdefault(split, []).append(records)
    return {
        base: tuple(Split(name, tuple(files)) for name, files in sorted(named.items()))
        for base, named in sorted(found.items())
        if len(named) > 1
    }


def shards_by_split(shards: Sequence[Shard]) -> dict[str, tuple[Shard, ...]]:
    """The files by split, where each is named for one and there are at least two splits; else none."""
    named: dict[str, tuple[Shard, ...]] = {}
    for shard in shards:
        split = split_named(shard.name)
        if split is None:
            return {}
        named[split] = (*named.get(split, ()), shard)
    return named if len(named) > 1 else {}


def counts_by_split(records: Records) -> dict[str, UnitCounts]:
    """Records per unit of each split; a split without any id, or data without splits or ids, has none."""
    if records.unit_column is None:
        return {}
    counted = {name: units_in(files, records.unit_column) for name, files in shards_by_split(records.shards).items()}
    return {name: counts for name, counts in sorted(counted.items()) if counts is not None}


def _entries(name: str, records: Records) -> Iterator[tuple[str, str, Records]]:
    own = split_named(name)
    if own is not None:
        base = "-".join(word for word in _words(name) if word not in _NAMES)
        yield base or name, own, records
    elif len(records.shards) > 1:
        for shard in records.shards:
            split = split_named(shard.name)
            if split is not None:
                yield name, split, replace(records, path=shard.path)


def _words(name: str) -> list[str]:
    return re.split(r"[^a-z0-9]+", name.lower())


def split_named(name: str) -> str | None:
    """The one split that a name speaks of; None where it speaks of none or of several."""
    spoken = {_NAMES[word] for word in _words(name) if word in _NAMES}
    return spoken.pop() if len(spoken) == 1 else None
