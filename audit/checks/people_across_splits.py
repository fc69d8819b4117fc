"""Is a person in two splits of a dataset?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.cells import Columns
from audit.check import Need, check
from audit.shards import Shard
from audit.splits import Split, splits
from audit.subject import Subject
from audit.types import Basis, Evidence, Finding, Severity, Skip
from audit.users.duplicates import Across, duplicates

IDENT = "people-across-splits"
REMEDY = "Draw people, not records, into the splits, so that all records of a person are in one of them; score again."


@check(IDENT, "Are a person's records in two splits?", needs=(Need.DATA,))
def people_across_splits(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Ids that occur in two splits of a dataset: train, validation or test, told by the names of files or of the
    datasets given.

    ## Why it matters

    A person writes alike twice. A score on records of people who are in training too measures in part how well
    these people were learnt, and an attack's baseline on such a test split is off by as much.

    ## What it cannot see

    A person under several ids, or without one. Whether the split by records was meant: then this is worth
    knowing, no fault.
    """
    found = splits(subject.data)
    unnamed = [name for name, parts in found.items() if _unit(parts) is None]
    for name, parts in found.items():
        unit = _unit(parts)
        if unit is not None:
            _, across = duplicates({part.name: _shards(part) for part in parts}, Columns(unit=unit))
            shared = [pair for pair in across if pair.people]
            if shared:
                yield _finding(subject, name, shared)
    alone = [name for name in subject.data if not any(name == d or name.startswith(f"{d}-") for d in found)]
    if alone or unnamed:
        yield Skip(
            reason=f"People cannot be compared across splits of {', '.join([*alone, *unnamed])}.",
            needs="a folder with one file for each split and a column that names people: --data NAME=FOLDER,unit=COL",
        )


def _unit(parts: tuple[Split, ...]) -> str | None:
    """The unit column that all files of the splits have in common."""
    columns = {records.unit_column for part in parts for records in part.files}
    return columns.pop() if len(columns) == 1 else None


def _shards(part: Split) -> tuple[Shard, ...]:
    return tuple(shard for records in part.files for shard in records.shards)


def _finding(subject: Subject, name: str, shared: list[Across]) -> Finding:
    first = shared[0]
    return Finding(
        severity=Severity.INFO,
        basis=Basis.OBSERVED,
        summary=f"{first.people:,} people of {name} are in {first.split} and in {first.other}. Scores on the "
        f"{first.split} split are partly on people whose other records were trained on."
        if first.other == "train"
        else f"{first.people:,} people of {name} are in {first.split} and in {first.other}.",
        evidence=tuple(
            Evidence(
                source="data",
                where=f"{name}: {pair.split} against {pair.other}",
                what=f"{pair.people:,} ids in both; {pair.split} has {pair.records:,} records",
            )
            for pair in shared
        ),
        remedy=REMEDY,
        claims=subject.claims_of(dataset=name),
    )
