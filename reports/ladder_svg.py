"""Where the marks of a ladder go. The words stay in HTML, so that they wrap and are read out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reports.numbers import as_float
from reports.scale import LogScale

NARROWEST_BAR = 1.0  # percent; a tighter bracket is drawn as a dot


@dataclass(frozen=True)
class Mark:
    """One bracket on the axis, in percent of its width.

    ring: what was claimed · dot: a bracket too tight to see · bar: a bracket · open: only a lower end is known ·
    infinite: no finite ε.
    """

    kind: Literal["ring", "dot", "bar", "open", "infinite"]
    x: float
    end: float

    @property
    def width(self) -> float:
        return round(self.end - self.x, 2)


def mark_for(rung: Mapping[str, Any], scale: LogScale, claimed: float) -> Mark | None:
    """The mark of a rung, None where it is unavailable. An arrow to ∞ starts at the claimed ε."""
    if rung["unavailable"] is not None:
        return None
    lower, upper = as_float(rung["epsilon_lower"]), as_float(rung["epsilon_upper"])
    if math.isinf(lower):
        return Mark("infinite", scale.at(claimed), scale.infinite)
    if math.isinf(upper):
        return Mark("open", scale.at(lower), scale.infinite)
    start, end = scale.at(lower), scale.at(upper)
    if rung["id"] == "claimed":
        return Mark("ring", start, end)
    if end - start < NARROWEST_BAR:
        middle = round((start + end) / 2, 2)
        return Mark("dot", middle, middle)
    return Mark("bar", start, end)
