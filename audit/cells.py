"""Values of a record as what they stand for: a text, or the id of a unit; anything else is refused by its place."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from audit.formats import ABSENT, kind_of, rows
from audit.shards import Shard

Cells = tuple[str | None, ...]


@dataclass(frozen=True)
class Columns:
    """Which columns hold what; None where there is no such column, or it is not wanted."""

    text: str | None = None
    unit: str | None = None
    name: str | None = None
    email: str | None = None

    @property
    def named(self) -> dict[str, str]:
        """Role -> column, in the order text, unit, name, email."""
        return {role: column for role, column in vars(self).items() if column is not None}


def cells(shards: Sequence[Shard], columns: Columns) -> Iterator[Cells]:
    """Of each record the values of `columns.named`, in file order; no text is "", no id is None.

    Raises:
        RecordsError: at the first record that is not well formed, whose text is no string, whose id is neither
            a string nor a number, or whose id is of another kind than those before.
    """
    wanted = columns.named
    kinds: dict[str, str] = {}
    for shard in shards:
        for place, values in rows(shard, list(wanted.values())):
            found: list[str | None] = []
            for (role, column), value in zip(wanted.items(), values, strict=True):
                if role == "text":
                    found.append(value if type(value) is str else text_of(shard, place, column, value))
                elif type(value) is str and kinds.get(role) == "a string":
                    found.append(value or None)
                else:
                    found.append(_id_of_one_kind(shard, place, column, value, role, kinds))
            yield tuple(found)


def _id_of_one_kind(
    shard: Shard, place: str, column: str, value: Any, role: str, kinds: dict[str, str]
) -> str | None:
    ident, kind = id_of(shard, place, column, value)
    if kind and kinds.setdefault(role, kind) != kind:
        shard.refuse(place, f"mixed types: {column!r} is {kind} here and {kinds[role]} before")
    return ident


def text_of(shard: Shard, place: str, column: str, value: Any) -> str:
    """The text; null is "", a key that is left out is refused."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if value is ABSENT:
        shard.refuse(place, f"has no {column!r}, which other records have; expected a string (or null)")
    shard.refuse(place, f"mixed types: {column!r} is {kind_of(value)}; expected a string")


def id_of(shard: Shard, place: str, column: str, value: Any) -> tuple[str | None, str | None]:
    """The id as text, and its kind; a missing id has neither. 7.0 is 7, as a column with gaps may have it."""
    if value is None or value is ABSENT or value == "" or value != value:
        return None, None
    if isinstance(value, str):
        return value, kind_of(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value):
        shard.refuse(place, f"{column!r} is {kind_of(value)}; expected an id: a string or a number")
    return str(int(value) if value == int(value) else value), kind_of(value)
