"""Measures of training steps, one table a mechanism: a row a probe, a column a variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.numbers import as_float

Json = Mapping[str, Any]
STATUSES = {
    "holds": ("holds", "clean"),
    "violated": ("violated", "found"),
    "not-judged": ("not judged", "skipped"),
    "failed": ("broke", "failed"),
}
VARIANTS = {"as-published": "behaviour as published", "corrected": "corrected"}


@dataclass(frozen=True)
class Cell:
    """What one probe measured on one step."""

    status: str
    style: str  # the chip's
    measured: str
    figures: tuple[str, ...]
    summary: str
    witness: str | None
    confidence: str


@dataclass(frozen=True)
class Table:
    """The steps of a mechanism beside each other."""

    anchor: str
    title: str
    columns: tuple[tuple[str, str, str | None], ...]  # variant, step, error
    rows: tuple[tuple[str, str, tuple[Cell | None, ...]], ...]  # probe, question, a cell a column


def probe_tables(probed: Sequence[Json]) -> list[Table]:
    """One table a mechanism (or step without one), in the order of the result."""
    groups: dict[str, list[Json]] = {}
    for step in probed:
        groups.setdefault(step["mechanism"] or step["step"], []).append(step)
    return [_table(place, name, steps) for place, (name, steps) in enumerate(groups.items(), 1)]


def _table(place: int, name: str, steps: Sequence[Json]) -> Table:
    answers = [{answer["probe"]: answer for answer in step["answers"]} for step in steps]
    questions = {probe: answer["question"] for found in answers for probe, answer in found.items()}
    return Table(
        anchor=f"probes-{place}",
        title=name,
        columns=tuple((VARIANTS.get(s["variant"], s["variant"] or "step"), s["step"], s["error"]) for s in steps),
        rows=tuple(
            (probe, question, tuple(_cell(found[probe]) if probe in found else None for found in answers))
            for probe, question in questions.items()
        ),
    )


def _cell(answer: Json) -> Cell:
    status, style = STATUSES[answer["status"]]
    return Cell(
        status=status,
        style=style,
        measured=_measured(answer),
        figures=tuple(f"{name}: {_number(value)}" for name, value in answer["figures"].items()),
        summary=answer["summary"],
        witness=answer["witness"] if answer["status"] == "violated" else None,
        confidence=f"{answer['trials']:,} trials; {answer['confidence']}",
    )


def _measured(answer: Json) -> str:
    if answer["value"] is None:
        return ""
    bound = "" if answer["bound"] is None else f" (bound {_number(answer['bound'])})"
    return f"{answer['statistic']}: {_number(answer['value'])}{bound}"


def _number(value: float | str) -> str:
    return "∞" if as_float(value) == float("inf") else f"{as_float(value):.5g}"
