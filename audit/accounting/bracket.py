"""An epsilon between two bounds, with the routes that gave them."""

from __future__ import annotations

import math
from dataclasses import dataclass


def _require_ordered(lower: float, upper: float, what: str) -> None:
    if math.isnan(lower) or math.isnan(upper) or lower < 0 or lower > upper:
        raise ValueError(f"{what}: expected 0 <= lower <= upper, got [{lower}, {upper}]")


@dataclass(frozen=True)
class Route:
    """What one accountant found. A side it says nothing about is 0 (lower) or infinity (upper)."""

    method: str
    lower: float
    upper: float

    def __post_init__(self) -> None:
        _require_ordered(self.lower, self.upper, f"route {self.method}")


@dataclass(frozen=True)
class Bracket:
    """Epsilon is at least `lower` and at most `upper`; infinity is legal and its cause is in `assumptions`.

    `agree` is False where the routes contradict each other beyond their tolerance; the bracket then
    spans all of them and chooses none.
    """

    lower: float
    upper: float
    method: str
    assumptions: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    agree: bool = True

    def __post_init__(self) -> None:
        _require_ordered(self.lower, self.upper, f"bracket by {self.method}")
        if not self.method:
            raise ValueError("bracket: expected the method that gave it, got an empty string")
