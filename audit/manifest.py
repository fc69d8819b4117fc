"""`audit manifest`: a manifest from data, with what only its owner knows left to fill in; as TOML or Croissant."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from audit.formats import column_names, rows
from audit.records import Records, records_at, require_columns
from audit.shards import HUB, RecordsError, Shard
from audit.splits import split_named
from audit.types import Manifest

FILL_IN = "fill in: "
LOOKED_AT = 1000  # records from which a column's type is told
KINDS = {str: "text", int: "integer", float: "number", bool: "boolean"}
HEAD = (
    "# Made by `audit manifest` from the data. Columns, counts and checksums were measured; replace what begins with",
    f'# "{FILL_IN.strip()}" by what you know, and check the result with `audit validate`.',
)


def manifest_of(
    path: str, name: str, text: str | None = None, unit: str | None = None, label: str | None = None
) -> Manifest:
    """What the data at `path` are: columns with types, records, people, splits, SHA-256 of each file.

    Raises:
        RecordsError: a file that cannot be read, a column that is not there, a name without a letter or digit.
    """
    ident = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not ident:
        raise RecordsError(f"{name!r}: expected a name with a letter or a digit")
    data = records_at(Path(path), ident, text, unit)
    for shard in data.shards:
        require_columns(shard, {"label": label})
    return Manifest(
        version=1,
        id=ident,
        name=name,
        kind="private",
        source=f"{FILL_IN}where the data come from, an address where there is one",
        licence=f"{FILL_IN}the licence they are under",
        how_to_get=f"{FILL_IN}how somebody else gets them",
        obtainable=False,
        sha256={} if data.shards[0].format == HUB else {shard.name: shard.sha256() for shard in data.shards},
        text_column=text,
        unit_column=unit,
        unit_note=_unit_note(data),
        label_column=label,
        columns=_columns(data.shards[0]),
        splits=_splits(data),
        records=data.records,
        persons=data.counts.units if data.counts is not None else None,
    )


def _unit_note(data: Records) -> str:
    counts = data.counts
    if counts is None:
        return f"{FILL_IN}why no column names the person, and how many records one person can hold"
    missing = f"; {counts.missing:,} records have no id" if counts.missing else ""
    return (
        f"{FILL_IN}who {data.unit_column} names; measured: {counts.units:,} ids, the most records of one "
        f"{counts.max:,}, 99th percentile {counts.p99:.6g}{missing}"
    )


def _columns(shard: Shard) -> dict[str, Any]:
    """Name -> type of the first records' values; several types, or none, are "other"."""
    names = column_names(shard)
    seen: dict[str, Counter[str]] = {column: Counter() for column in names}
    for _, values in islice(rows(shard, names), LOOKED_AT):
        for column, value in zip(names, values, strict=True):
            if type(value) in KINDS:
                seen[column][KINDS[type(value)]] += 1
            elif value is not None and isinstance(value, list | dict | bytes):
                seen[column]["other"] += 1
    return {column: _kind(found) for column, found in seen.items()}


def _kind(found: Mapping[str, int]) -> str:
    if set(found) == {"integer", "number"}:
        return "number"
    return next(iter(found)) if len(found) == 1 else "other"


def _splits(data: Records) -> dict[str, int]:
    """Records of each split, where every file is named for one."""
    totals: dict[str, int] = {}
    for shard in data.shards:
        split = split_named(shard.name)
        if split is None:
            return {}
        totals[split] = totals.get(split, 0) + sum(1 for _ in rows(shard, []))
    return totals


def to_toml(manifest: Manifest) -> str:
    """The manifest as TOML that `audit validate` accepts."""
    return "\n".join((*HEAD, *_toml_lines(manifest.model_dump(mode="json", exclude_none=True)))) + "\n"


def _toml_lines(data: Mapping[str, Any]) -> Iterator[str]:
    tables = {key: value for key, value in data.items() if isinstance(value, dict) and value}
    for key, value in data.items():
        if not isinstance(value, dict | list):
            yield f"{key} = {_toml_value(value)}"
    for name, table in tables.items():
        yield ""
        yield f"[{name}]"
        yield from (f"{_toml_value(key)} = {_toml_value(value)}" for key, value in table.items())


def _toml_value(value: str | int | bool) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
