"""A claim's ladder in one sentence that a non-expert understands. Speaks of the claim, never of people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from audit.setting import Setting
from audit.types import Rung

Level = Literal["holds", "weaker", "broken", "unknown"]

MEANINGLESS = 50.0  # above this ε no meaningful guarantee is left
SLACK = 1.01  # calibration tolerances leave recomputed figures this close to the claim


def verdict(setting: Setting, rungs: Sequence[Rung]) -> tuple[Level, str]:
    """How the claim stands and one sentence that says so."""
    by_id = {rung.id: rung for rung in rungs}
    if "channels" in by_id:
        return "broken", _broken(setting, by_id["channels"])
    priced = [rung for rung in rungs if rung.epsilon_upper is not None and rung.id != "claimed"]
    if not priced:
        return "unknown", f"ε = {setting.epsilon:g} cannot be recomputed: {_lower_first(_why(rungs))}"
    last = priced[-1]
    lower, upper = last.epsilon_lower or 0.0, last.epsilon_upper or 0.0
    if lower > setting.epsilon * SLACK:
        return "weaker", f"ε = {setting.epsilon:g} does not reach {last.privacy_unit}: there ε is {_span(lower, upper)}."
    if any(rung.unavailable for rung in rungs):
        return "unknown", f"ε = {setting.epsilon:g} was recomputed for one record, and for a person it is not known."
    if upper > setting.epsilon * SLACK:
        return "unknown", f"ε = {setting.epsilon:g} may not hold: for {last.privacy_unit} it is {_span(lower, upper)}."
    return "holds", f"ε = {setting.epsilon:g} holds for {last.privacy_unit}, as far as the sources read say."


def _broken(setting: Setting, rung: Rung) -> str:
    first, *more = setting.channels
    others = f" ({len(more)} more such channel{'s' if len(more) > 1 else ''} below)" if more else ""
    if rung.epsilon_lower is not None and math.isinf(rung.epsilon_lower):
        certain = next(channel for channel in setting.channels if channel.certain)
        return f"No finite ε: {certain.what}, without noise, beside the training that ε = {setting.epsilon:g} covers."
    return f"ε = {setting.epsilon:g} does not follow: {first.what}, outside what was accounted{others}."


def _span(lower: float, upper: float) -> str:
    if math.isinf(upper):
        return f"at least {lower:.3g}"
    text = f"{upper:.3g}" if f"{lower:.2g}" == f"{upper:.2g}" else f"between {lower:.3g} and {upper:.3g}"
    return f"{text}, no meaningful guarantee" if lower > MEANINGLESS else text


def _why(rungs: Sequence[Rung]) -> str:
    return next((rung.unavailable for rung in rungs if rung.unavailable), "nothing to compute from.")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
