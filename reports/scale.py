"""The logarithmic axis of a picture, in percent of its width, with a marked zone for "no finite ε" at the end."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

NO_GUARANTEE_ABOVE = 50.0
LARGEST_DECADE = 6  # values beyond 10^6 are drawn at the end of the finite part; their number is printed beside


@dataclass(frozen=True)
class LogScale:
    """Places ε on [start, end] percent; beyond `end` lies the zone of ε = ∞, whose middle is `infinite`."""

    low: float
    high: float
    start: float = 1.5
    end: float = 88.0
    infinite: float = 94.0

    def at(self, epsilon: float) -> float:
        """Percent of the width; strictly increasing in log ε between `low` and `high`, clamped outside."""
        if math.isinf(epsilon):
            return self.infinite
        inside = min(max(epsilon, self.low), self.high)
        share = math.log(inside / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, at_most: int = 6) -> list[tuple[float, str]]:
        """(place, label) of the decades, thinned to `at_most`."""
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        step = max(1, math.ceil((last - first) / at_most))
        return [(self.at(10.0**d), _decade(d)) for d in range(first, last + 1, step)]


def scale_for(epsilons: Iterable[float]) -> LogScale:
    """Whole decades around the finite positive values; always holds 1 and 100, so that 50 can be marked."""
    finite = [e for e in epsilons if 0 < e < math.inf]
    first = math.floor(math.log10(min([*finite, 1.0])) + 1e-9)
    last = math.ceil(math.log10(max([*finite, 100.0])) - 1e-9)
    return LogScale(low=10.0 ** max(first, -3), high=10.0 ** min(last, LARGEST_DECADE))


def _decade(exponent: int) -> str:
    return f"{10**exponent:,}" if exponent >= 0 else f"{10.0**exponent:g}"
