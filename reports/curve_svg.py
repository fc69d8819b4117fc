"""ε for a person with k records, over how many people hold k: two panels on one logarithmic axis of k."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reports.numbers import as_float, bracket
from reports.scale import NO_GUARANTEE_ABOVE, LogScale, scale_for

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Bar:
    """Persons who hold between `first` and `last` records; places in percent."""

    x: float
    width: float
    height: float
    first: int
    last: int
    persons: int

    @property
    def span(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"


@dataclass(frozen=True)
class Curve:
    """Geometry in percent of each panel; y grows downwards."""

    band: str  # polygon of the bracket, "x,y x,y …"
    line: str  # upper ends
    points: tuple[tuple[float, float, str], ...]  # x, y, what it says
    claimed_y: float
    limit_y: float
    endless: float  # height of the zone of ε = ∞, at the top
    table: tuple[tuple[int, str], ...]  # k, bracket
    k_ticks: tuple[tuple[float, str], ...]
    epsilon_ticks: tuple[tuple[float, str], ...]
    bars: tuple[Bar, ...]
    person_ticks: tuple[tuple[float, str], ...]


def curve_for(claim: Json, counts: Json | None) -> Curve | None:
    """The picture of a claim's ε(k); None without a curve. `counts` are measured records per person."""
    points = claim["curve"]
    if not points:
        return None
    brackets = [(p["group_size"], as_float(p["epsilon_lower"]), as_float(p["epsilon_upper"])) for p in points]
    claimed = as_float(claim["epsilon"])
    y = scale_for([claimed, *(e for _, *pair in brackets for e in pair)])
    most = max([k for k, _, _ in brackets] + ([counts["max"]] if counts else []))
    x = LogScale(low=1.0, high=float(max(most, 2)), start=3.0, end=96.0)
    lows = [(x.at(k), _down(y, low)) for k, low, _ in brackets]
    highs = [(x.at(k), _down(y, high)) for k, _, high in brackets]
    bars, ticks = _bars(counts["histogram"], x) if counts else ((), ())
    return Curve(
        band=_path(lows + highs[::-1]),
        line=_path(highs),
        points=tuple((x.at(k), _down(y, high), f"{k}: ε {bracket(low, high)}") for k, low, high in brackets),
        claimed_y=_down(y, claimed),
        limit_y=_down(y, NO_GUARANTEE_ABOVE),
        endless=round(100 - y.end, 2),
        table=tuple((k, bracket(low, high)) for k, low, high in brackets),
        k_ticks=tuple((x.at(k), f"{k:,}") for k in _one_two_five(most)),
        epsilon_ticks=tuple((round(100 - at, 2), label) for at, label in y.ticks(5)),
        bars=bars,
        person_ticks=ticks,
    )


def _down(scale: LogScale, epsilon: float) -> float:
    return round(100 - scale.at(epsilon), 2)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in points)


def _one_two_five(most: int) -> list[int]:
    decades = range(len(str(most)))
    steps = (1, 2, 5) if most < 1000 else (1,)
    return [s * 10**d for d in decades for s in steps if s * 10**d <= most]


def _bars(histogram: Mapping[str, int], x: LogScale) -> tuple[tuple[Bar, ...], tuple[tuple[float, str], ...]]:
    """Bars of doubling width (1, 2–3, 4–7, …), their heights logarithmic in the number of persons."""
    bins: dict[int, int] = {}
    for records, persons in histogram.items():
        power = int(records).bit_length() - 1
        bins[power] = bins.get(power, 0) + persons
    top = math.ceil(math.log10(max(bins.values())) + 1e-9) or 1
    bars = tuple(_bar(power, persons, x, top) for power, persons in sorted(bins.items()))
    return bars, tuple((round(100 - _height(10**d, top), 2), f"{10**d:,}") for d in range(top + 1))


def _bar(power: int, persons: int, x: LogScale, top: int) -> Bar:
    first, last = 2**power, 2 ** (power + 1) - 1
    start, end = x.at(first), x.at(last + 1)
    return Bar(start, round(max(end - start - 0.4, 0.6), 2), _height(persons, top), first, last, persons)


def _height(persons: int, top: int) -> float:
    """Percent of the panel; one person still shows."""
    return round(6 + 88 * math.log10(persons) / top, 2)
