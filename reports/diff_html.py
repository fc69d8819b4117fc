"""Two results compared, as one page. Reads the JSON form of a comparison (`audit diff --format json`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reports import wording
from reports.html import checked, environment
from reports.numbers import as_float, bracket

Json = Mapping[str, Any]


def render(diff: Json) -> str:
    """The page; same comparison, same bytes.

    Raises:
        ReportError: another version of the format, or a part of it is missing.
    """
    return checked(diff, lambda: environment().get_template("diff.html.j2").render(_view(diff)))


def _view(diff: Json) -> dict[str, Any]:
    return {
        "words": wording,
        "diff": diff,
        "epsilon": _epsilon,
        "came": [f for f in diff["findings"] if f["old"] is None],
        "went": [f for f in diff["findings"] if f["new"] is None],
        "moved": [f for f in diff["findings"] if f["old"] and f["new"]],
        "versions": _unequal(diff["old"]["versions"], diff["new"]["versions"]),
        "inputs": _unequal(diff["old"]["inputs"], diff["new"]["inputs"]),
    }


def _epsilon(side: Json | None) -> str:
    if side is None:
        return "no such rung"
    if side["unavailable"] is not None:
        return "not computed"
    return bracket(as_float(side["epsilon_lower"]), as_float(side["epsilon_upper"]))


def _unequal(old: Mapping[str, str], new: Mapping[str, str]) -> Sequence[tuple[str, str, str]]:
    names = sorted({*old, *new})
    return [(name, old.get(name, "none"), new.get(name, "none")) for name in names if old.get(name) != new.get(name)]
