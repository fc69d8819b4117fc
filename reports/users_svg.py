"""How many people hold how many records, both axes logarithmic, with ε(k) over it and the claimed ε as a line."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reports.numbers import as_float, bracket, number
from reports.scale import LogScale, scale_for

Json = Mapping[str, Any]
Place = tuple[float, float]

WIDTH, HEIGHT = 720, 320
LEFT, RIGHT, TOP, BOTTOM = 64, 656, 24, 270  # of the panel
ENDLESS = 8  # above the panel's top: where an ε of ∞, or one beyond the axis, is drawn


def users_svg(counts: Json, claim: Json | None = None) -> str:
    """The picture as one `<svg>`. `counts` is UnitCounts as JSON, `claim` a ClaimResult as JSON or None.

    Bars double in width (1, 2–3, 4–7 … records); their heights are logarithmic in people, and one person still
    shows. Same input, same bytes; nothing but numbers of the input is written.
    """
    points = [
        (int(p["group_size"]), as_float(p["epsilon_lower"]), as_float(p["epsilon_upper"]))
        for p in (claim["curve"] if claim else ())
        if int(p["group_size"]) <= int(counts["max"])
    ]
    claimed = as_float(claim["epsilon"]) if claim and points else None
    parts = [*_people(counts), *(_epsilon(points, claimed, int(counts["max"])) if points and claimed else ())]
    label = _description(counts, points, claimed)
    return (
        f'<svg class="users" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}" font-size="12" '
        f'fill="currentColor" style="display:block;width:100%;max-width:46rem;height:auto">{"".join(parts)}</svg>'
    )


def bins(histogram: Mapping[Any, int]) -> list[tuple[int, int, int]]:
    """(first, last, people) for 1, 2–3, 4–7, … records, where there are people."""
    found: dict[int, int] = {}
    for records, people in histogram.items():
        power = int(records).bit_length() - 1
        found[power] = found.get(power, 0) + int(people)
    return [(2**power, 2 ** (power + 1) - 1, people) for power, people in sorted(found.items())]


def _across(records: float, most: int) -> float:
    """Where a number of records lies; the last bin ends at the right edge."""
    end = 2 ** int(most).bit_length()
    return round(LEFT + (RIGHT - LEFT) * math.log(records) / math.log(end), 1)


def _people(counts: Json) -> Iterator[str]:
    found, most = bins(counts["histogram"]), int(counts["max"])
    decades = max(1, math.ceil(math.log10(max(people for *_, people in found)) + 1e-9))

    def height(people: float) -> float:
        return round(6 + (BOTTOM - TOP - 6) * math.log10(people) / decades, 1)

    for power in range(decades + 1):
        y = BOTTOM - height(10**power)
        yield f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y:g}" y2="{y:g}" stroke="currentColor" stroke-opacity=".15"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:g}" text-anchor="end">{10**power:,}</text>'
    for first, last, people in found:
        x, end = _across(first, most), _across(last + 1, most)
        says = f"{_span(first, last)}: {people:,} people"
        yield (
            f'<rect x="{x:g}" y="{BOTTOM - height(people):g}" width="{max(end - x - 1, 1):g}" '
            f'height="{height(people):g}" fill-opacity=".35"><title>{says}</title></rect>'
        )
        yield f'<text x="{x:g}" y="{BOTTOM + 16}">{first:,}</text>'
    yield f'<text x="{LEFT}" y="{TOP - 10}" text-anchor="end">people</text>'
    yield f'<text x="{RIGHT}" y="{HEIGHT - 8}" text-anchor="end">records a person holds</text>'


def _epsilon(points: Sequence[tuple[int, float, float]], claimed: float, most: int) -> Iterator[str]:
    scale = scale_for([claimed, *(e for _, *pair in points for e in pair)])
    lows = [(_across(k, most), _up(scale, low)) for k, low, _ in points]
    highs = [(_across(k, most), _up(scale, high)) for k, _, high in points]
    yield f'<polygon points="{_path(lows + highs[::-1])}" fill="var(--blue, currentColor)" fill-opacity=".2"/>'
    yield f'<polyline points="{_path(highs)}" fill="none" stroke="var(--blue, currentColor)" stroke-width="2"/>'
    for (x, y), (k, low, high) in zip(highs, points, strict=True):
        says = f"{k:,} records: ε {bracket(low, high)}"
        yield f'<circle cx="{x:g}" cy="{y:g}" r="3.5" fill="var(--blue, currentColor)"><title>{says}</title></circle>'
    for _, exponent in _decades(scale):
        y = _up(scale, 10.0**exponent)
        yield f'<text x="{RIGHT + 6}" y="{y + 4:g}" fill="var(--blue, currentColor)">{number(10.0**exponent)}</text>'
    y = _up(scale, claimed)
    ends = f'x1="{LEFT}" x2="{RIGHT}" y1="{y:g}" y2="{y:g}"'
    yield f'<line class="claimed" {ends} stroke="currentColor" stroke-dasharray="6 4"/>'
    yield f'<text x="{RIGHT}" y="{y - 5:g}" text-anchor="end">claimed ε = {number(claimed)}</text>'
    yield f'<text x="{RIGHT + 6}" y="{TOP - 10}" fill="var(--blue, currentColor)">ε</text>'


def _decades(scale: LogScale) -> Iterator[tuple[int, int]]:
    yield from enumerate(range(round(math.log10(scale.low)), round(math.log10(scale.high)) + 1))


def _up(scale: LogScale, epsilon: float) -> float:
    if math.isinf(epsilon):
        return TOP - ENDLESS
    share = (scale.at(epsilon) - scale.start) / (scale.end - scale.start)
    return round(BOTTOM - (BOTTOM - TOP) * share, 1)


def _path(points: Sequence[Place]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _span(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def _description(counts: Json, points: Sequence[tuple[int, float, float]], claimed: float | None) -> str:
    people = "; ".join(f"{_span(first, last)}: {n:,}" for first, last, n in bins(counts["histogram"]))
    if not points or claimed is None:
        return f"People by records held. {people}."
    epsilons = "; ".join(f"{k:,}: {bracket(low, high)}" for k, low, high in points)
    return f"People by records held. {people}. ε by records held. {epsilons}. Claimed ε: {number(claimed)}."
