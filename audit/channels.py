"""Ways in which private data reaches a release outside the accounted mechanism, as the card's facts name them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from audit.training import value
from audit.types import Fact, Mechanism


@dataclass(frozen=True)
class Channel:
    """One such way. `certain`: neighbours can be told apart with certainty, so ε is ∞ and not only unbounded."""

    what: str
    where: str
    certain: bool = False


# field of Mechanism, the value that opens the channel, what it does, whether it tells neighbours apart for certain
_BY_VALUE = (
    ("label_distribution", "exact", "the label counts are released exactly", True),
    ("timestep_sampler", "loss-aware", "un-noised losses choose timesteps and loss weights", False),
    ("noise_schedule", "adaptive-private", "the noise schedule is fitted to un-noised losses", False),
    ("position_gradient", "batch-shared", "each record's position gradient holds the whole batch", False),
    ("loss_reduction", "batch-token-mean", "each record's gradient is scaled by the other records", False),
)
_BY_PRESENCE = (
    ("noise_seed", "the seed behind noise and sampling is published"),
    ("raw_statistics_released", "un-noised statistics are part of the release"),
)


def channels(mechanism: Mechanism) -> Iterator[Channel]:
    """The open channels of a mechanism, in a fixed order. Nothing here rests on secondary facts."""
    for name, bad, what, certain in _BY_VALUE:
        fact: Fact[Any] | None = getattr(mechanism, name)
        if fact is not None and value(fact) == bad:
            yield Channel(what, fact.where, certain)
    for name, what in _BY_PRESENCE:
        fact = getattr(mechanism, name)
        if fact is not None and value(fact) is not None:
            yield Channel(what, fact.where)


def selection(mechanism: Mechanism) -> Channel | None:
    """A choice on private data outside the accounting. It exposes the records that choose, not those trained on."""
    chosen = mechanism.selection
    accounted = mechanism.selection_accounted is not None and value(mechanism.selection_accounted) is True
    if chosen is None or value(chosen) is None or accounted:
        return None
    return Channel("checkpoints or settings are chosen on private data outside the budget", chosen.where)
