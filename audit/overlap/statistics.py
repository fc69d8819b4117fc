"""Shares with the uncertainty that comes from counting."""

from __future__ import annotations

from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Share:
    """`count` of `of`, with the exact binomial interval (Clopper and Pearson 1934) at 95 % confidence."""

    count: int
    of: int
    lower: float
    upper: float

    @property
    def value(self) -> float:
        return self.count / self.of if self.of else 0.0


def share(count: int, of: int) -> Share:
    """The share and its interval; of nothing, the whole range from 0 to 1.

    Raises:
        ValueError: more counted than there are.
    """
    from scipy.special import betaincinv

    if not 0 <= count <= of:
        raise ValueError(f"expected a count between 0 and {of}")
    tail = (1 - CONFIDENCE) / 2
    lower = float(betaincinv(count, of - count + 1, tail)) if count else 0.0
    upper = float(betaincinv(count + 1, of - count, 1 - tail)) if count < of else 1.0
    return Share(count, of, lower, upper)
