"""What a bound on records per person would keep, and what it would make of ε at the same noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from audit.accounting.bracket import Bracket

SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
Price = Callable[[int], Bracket]  # group size -> ε
Calibrate = Callable[[int], float | None]  # group size -> noise multiplier, None where none suffices


@dataclass(frozen=True)
class Cap:
    """At most `max_records` of each person kept; ε and noise for a whole person. None: not asked, or not known."""

    max_records: int
    records_kept: int | None
    people_affected: int | None
    epsilon_lower: float | None = None
    epsilon_upper: float | None = None
    noise_multiplier: float | None = None


def kept(histogram: Mapping[int, int], most: int) -> tuple[int, int]:
    """Records kept, and people who lose some, when each person keeps at most `most` records."""
    records = sum(min(size, most) * people for size, people in histogram.items())
    return records, sum(people for size, people in histogram.items() if size > most)


def caps(
    histogram: Mapping[int, int] | None,
    heaviest: int,
    price: Price | None = None,
    calibrate: Calibrate | None = None,
) -> Iterator[Cap]:
    """K = 1, 2, 4, … below `heaviest`, and `heaviest` itself: no cap. No histogram: what is kept is not known."""
    for most in [size for size in SIZES if size < heaviest] + [heaviest]:
        records, people = kept(histogram, most) if histogram else (None, None)
        bracket = price(most) if price else None
        yield Cap(
            most,
            records,
            people,
            bracket.lower if bracket else None,
            bracket.upper if bracket else None,
            calibrate(most) if calibrate else None,
        )
