"""A short name for a finding that stays when its wording, its numbers or its line numbers move."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]
_LINES = re.compile(r"(?<=[\w)]):\d[\d,:-]*")
_COMMIT = re.compile(r"\b[0-9a-f]{7,40}\b")


def fingerprints(outcomes: Sequence[Json], claims: Sequence[Json]) -> dict[tuple[str, int], str]:
    """(check, place among its findings) -> 16 hex digits, unique within a result.

    It is made of the check, the mechanisms and data sets the finding bears on, and where its first evidence
    stands without line numbers and commits. Findings alike in all of these are numbered in their order.
    """
    made: dict[tuple[str, int], str] = {}
    seen: dict[str, int] = {}
    for outcome in outcomes:
        for place, finding in enumerate(outcome["findings"]):
            key = _key(outcome["check"], finding, claims)
            seen[key] = seen.get(key, 0) + 1
            made[outcome["check"], place] = hashlib.sha256(f"{key}\0{seen[key]}".encode()).hexdigest()[:16]
    return made


def _key(check: str, finding: Json, claims: Sequence[Json]) -> str:
    hit = [claim for claim in claims if claim["id"] in set(finding["claims"])]
    first = finding["evidence"][0]
    where = _COMMIT.sub("", _LINES.sub("", first["where"]))
    mechanisms = sorted({claim["mechanism"] for claim in hit})
    datasets = sorted({claim["dataset"] for claim in hit})
    return "\0".join([check, *mechanisms, "\1", *datasets, "\1", first["source"], where])
