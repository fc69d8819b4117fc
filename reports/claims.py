"""Claims as the report shows them: what the corrected ε is, which claim stands for many, one section a mechanism."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from reports.ladder_svg import Mark, mark_for
from reports.numbers import as_float, bracket, delta, number
from reports.scale import LogScale, scale_for
from reports.wording import LEVELS, RELATIONS, STANDINGS

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Beside:
    """A figure shown beside a rung, and what it is worth there."""

    label: str
    value: str
    standing: str


@dataclass(frozen=True)
class Row:
    """One rung, ready to show."""

    ident: str
    label: str
    value: str
    unit: str
    delta: str
    group_size: int | None
    note: int
    mark: Mark | None
    unavailable: str | None
    beside: tuple[Beside, ...]


@dataclass(frozen=True)
class Ladder:
    """A claim with its rungs."""

    anchor: str
    claim: Json
    level: str
    claimed: str
    claimed_at: float
    corrected: Json | None
    corrected_value: str
    rows: tuple[Row, ...]

    @property
    def waived(self) -> tuple[str, ...]:
        """The check of each waived finding of high severity that the verdict leaves out."""
        return tuple(self.claim.get("waived", ()))

    @property
    def delta(self) -> str:
        """The δ that all rungs share, or nothing where they differ."""
        deltas = {row.delta for row in self.rows if row.delta}
        return deltas.pop() if len(deltas) == 1 else ""


@dataclass(frozen=True)
class Cell:
    """One rung of one claim in the table of ladders."""

    value: str
    note: int
    remark: str  # what of the label or of the reason is this claim's own


@dataclass(frozen=True)
class GridRow:
    """One kind of rung over all claims of a mechanism; None where a claim's ladder lacks it."""

    label: str
    unit: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class MechanismSection:
    """All claims made with one mechanism; `shown` stands for them, `table` is dataset × ε, `grid` rung × claim."""

    anchor: str
    name: str
    shown: Ladder
    ladders: tuple[Ladder, ...]
    grid: tuple[GridRow, ...]
    epsilons: tuple[str, ...]
    table: tuple[tuple[str, tuple[tuple[Ladder, ...], ...]], ...]
    levels: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Note:
    """How a rung was got; shared by all rungs got the same way."""

    method: str
    relation: str
    assumption: str


class Notes:
    """Numbers each way of getting a rung once."""

    def __init__(self) -> None:
        self._numbers: dict[Note, int] = {}

    def number_of(self, rung: Json) -> int:
        note = Note(rung["method"], RELATIONS[rung["neighboring_relation"]], rung["assumption"])
        return self._numbers.setdefault(note, len(self._numbers) + 1)

    def items(self) -> list[tuple[int, Note]]:
        return [(n, note) for note, n in self._numbers.items()]


def corrected_rung(ladder: Sequence[Json]) -> Json | None:
    """The rung that carries the corrected ε: the last one with a bracket, for each keeps the corrections above it.

    None where no rung beside the claimed one has a bracket.
    """
    available = [r for r in ladder if r["unavailable"] is None and r["id"] != "claimed"]
    return available[-1] if available else None


def _size(rung: Json) -> tuple[float, float]:
    return as_float(rung["epsilon_lower"]), as_float(rung["epsilon_upper"])


def badness(ladder: Ladder) -> tuple[int, int, float, str]:
    """Sorts the claim that stands for many first: worst level, most rungs computed, furthest from the claim."""
    computed = sum(row.mark is not None for row in ladder.rows)
    ratio = 0.0
    if ladder.corrected is not None:
        ratio = as_float(ladder.corrected["epsilon_lower"]) / max(as_float(ladder.claim["epsilon"]), 1e-12)
    return list(LEVELS).index(ladder.level), -computed, -ratio, ladder.anchor


def scale_of(claims: Iterable[Json]) -> LogScale:
    """One axis for all ladders of a report, so that they can be compared."""
    values = [as_float(c["epsilon"]) for c in claims]
    for claim in claims:
        values += [v for r in claim["ladder"] if r["unavailable"] is None for v in _size(r)]
    return scale_for(v for v in values if not math.isinf(v))


def read_claims(claims: Sequence[Json], scale: LogScale) -> tuple[list[Ladder], Ladder | None, Notes]:
    """Every claim's ladder, the one that stands for the paper, and the notes, which start with that one's."""
    notes = Notes()
    worst = min(ladders(claims, scale, Notes()), key=badness, default=None)
    for rung in worst.claim["ladder"] if worst else ():
        notes.number_of(rung)
    shown = ladders(claims, scale, notes)
    return shown, min(shown, key=badness, default=None), notes


def ladders(claims: Sequence[Json], scale: LogScale, notes: Notes) -> list[Ladder]:
    anchors = _anchors([c["id"] for c in claims])
    return [_ladder(claim, anchor, scale, notes) for claim, anchor in zip(claims, anchors, strict=True)]


def _ladder(claim: Json, anchor: str, scale: LogScale, notes: Notes) -> Ladder:
    claimed = as_float(claim["epsilon"])
    corrected = corrected_rung(claim["ladder"])
    return Ladder(
        anchor=anchor,
        claim=claim,
        level=claim["verdict_level"],
        claimed=number(claimed),
        claimed_at=scale.at(claimed),
        corrected=corrected,
        corrected_value=bracket(*_size(corrected)) if corrected else "unknown",
        rows=tuple(_row(rung, scale, claimed, notes) for rung in claim["ladder"]),
    )


def _row(rung: Json, scale: LogScale, claimed: float, notes: Notes) -> Row:
    gone = rung["unavailable"]
    return Row(
        ident=rung["id"],
        label=rung["label"],
        value="not computed" if gone is not None else bracket(*_size(rung)),
        unit=rung["privacy_unit"],
        delta="" if rung["delta"] is None else delta(rung["delta"]),
        group_size=rung["group_size"],
        note=notes.number_of(rung),
        mark=mark_for(rung, scale, claimed),
        unavailable=gone,
        beside=tuple(
            Beside(b["label"], number(as_float(b["epsilon"])), STANDINGS[b["standing"]]) for b in rung.get("beside", ())
        ),
    )


def mechanism_sections(shown: Sequence[Ladder]) -> list[MechanismSection]:
    """One section a mechanism, in alphabetical order."""

    def mechanism(ladder: Ladder) -> str:
        return str(ladder.claim["mechanism"])

    return [_section(name, list(group)) for name, group in groupby(sorted(shown, key=mechanism), key=mechanism)]


def _section(name: str, group: list[Ladder]) -> MechanismSection:
    worst = min(group, key=badness)
    epsilons = sorted({as_float(item.claim["epsilon"]) for item in group})
    datasets = list(dict.fromkeys(item.claim["dataset"] for item in group))
    cells = {
        (d, e): tuple(i for i in group if (i.claim["dataset"], as_float(i.claim["epsilon"])) == (d, e))
        for d in datasets
        for e in epsilons
    }
    counts = [(level, sum(item.level == level for item in group)) for level in LEVELS]
    return MechanismSection(
        anchor="mechanism-" + _slug(name),
        name=name,
        shown=worst,
        ladders=tuple(group),
        grid=_grid(group),
        epsilons=tuple(number(e) for e in epsilons),
        table=tuple((d, tuple(cells[d, e] for e in epsilons)) for d in datasets),
        levels=tuple((level, count) for level, count in counts if count),
    )


def _grid(group: Sequence[Ladder]) -> tuple[GridRow, ...]:
    """The ladders side by side, in the order of the longest."""
    longest = max(group, key=lambda item: len(item.rows))
    idents = dict.fromkeys(row.ident for item in (longest, *group) for row in item.rows)
    return tuple(_grid_row([next((r for r in item.rows if r.ident == i), None) for item in group]) for i in idents)


def _grid_row(rows: Sequence[Row | None]) -> GridRow:
    """Where the labels differ after a colon, the first half names the row and the second stands in the cell."""
    known = [row for row in rows if row is not None]
    labels, units = {row.label for row in known}, {row.unit for row in known}
    shared = known[0].label if len(labels) == 1 else known[0].label.partition(":")[0]
    return GridRow(
        label=shared,
        unit=units.pop() if len(units) == 1 else "",
        cells=tuple(_cell(row, shared) if row else None for row in rows),
    )


def _cell(row: Row, shared: str) -> Cell:
    own = "" if row.ident == "claimed" else row.label.removeprefix(shared).lstrip(": ")
    return Cell(row.value, row.note, row.unavailable or own)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-") or "x"


def _anchors(idents: Sequence[str]) -> list[str]:
    """One anchor an id, in the id's own letters; a clash gets a number."""
    seen: dict[str, int] = {}
    anchors = []
    for ident in idents:
        slug = "claim-" + _slug(ident)
        seen[slug] = seen.get(slug, 0) + 1
        anchors.append(slug if seen[slug] == 1 else f"{slug}~{seen[slug]}")
    return anchors
