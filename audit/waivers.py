"""Waivers of a card: findings that its authors accept for a time, shown with their reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal

from audit.types import Outcome, Waiver, WaiverUse


def apply(
    waivers: Sequence[Waiver], outcomes: Iterable[Outcome], today: date
) -> tuple[tuple[Outcome, ...], tuple[WaiverUse, ...]]:
    """Outcomes with the waivers that hold on `today`, and what became of every waiver.

    A waiver holds up to and including its day of expiry. It hides nothing: the findings stay, with who
    waived them and why. Of several for one check the one that expires last counts.
    """
    judged = list(outcomes)
    valid = {w.check: w for w in sorted(waivers, key=lambda w: w.expires) if w.expires >= today.isoformat()}
    marked = tuple(
        outcome.model_copy(update={"waiver": valid.get(outcome.check)}) if outcome.findings else outcome
        for outcome in judged
    )
    used = {outcome.waiver for outcome in marked if outcome.waiver is not None}
    return marked, tuple(WaiverUse(waiver=w, state=_state(w, w in used, today)) for w in waivers)


def _state(waiver: Waiver, used: bool, today: date) -> Literal["holds", "expired", "unused"]:
    if waiver.expires < today.isoformat():
        return "expired"
    return "holds" if used else "unused"
