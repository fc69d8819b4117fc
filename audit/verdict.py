"""A claim's ladder in one sentence that a non-expert understands. Speaks of the claim, never of people."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

from audit.setting import Setting
from audit.types import ClaimResult, Finding, Outcome, Rung, Severity

Level = Literal["holds", "weaker", "broken", "unknown"]

MEANINGLESS = 50.0  # above this ε no meaningful guarantee is left
SLACK = 1.01  # calibration tolerances leave recomputed figures this close to the claim


def verdict(setting: Setting, rungs: Sequence[Rung]) -> tuple[Level, str]:
    """How the claim stands and one sentence that says so."""
    by_id = {rung.id: rung for rung in rungs}
    if "channels" in by_id:
        return "broken", _broken(setting, by_id["channels"])
    level, sentence = _of_training(setting, rungs)
    if level == "holds" and "selection" in by_id:
        return "weaker", (
            f"ε = {setting.epsilon:g} covers the training, not the choice made on private data: for the records that "
            "choose no bound follows."
        )
    together = by_id.get("with-counts")
    if level == "holds" and together is not None and (together.epsilon_lower or 0.0) > setting.epsilon * SLACK:
        return "weaker", (
            f"ε = {setting.epsilon:g} covers the training, not the noised counts released beside it: together it is "
            f"{_bracket(together)}."
        )
    return level, sentence


def with_findings(
    claims: Sequence[ClaimResult], outcomes: Iterable[Outcome], mechanisms: int
) -> tuple[ClaimResult, ...]:
    """The claims as findings of high severity leave them: what holds by its ladder, or holds in part, does not.

    One that names no claim, as of code or of a ledger, bears on the paper's only mechanism; of several `mechanisms` it
    may be any, and a claim that would hold cannot be judged. A waived finding changes no level, but what would hold
    holds but for it, and the claim says so.
    """
    high = [
        (outcome, finding) for outcome in outcomes for finding in outcome.findings if finding.severity is Severity.HIGH
    ]
    counted = [(outcome.check, finding) for outcome, finding in high if outcome.waiver is None]
    waived = [(outcome.check, finding) for outcome, finding in high if outcome.waiver is not None]
    left = (_left_by(claim, counted, alone=mechanisms == 1) for claim in claims)
    return tuple(_but_for(claim, waived) for claim in left)


def _but_for(claim: ClaimResult, waived: Iterable[tuple[str, Finding]]) -> ClaimResult:
    """The claim with the waived findings that its verdict leaves out; one that fails anyhow leaves nothing out."""
    checks = tuple(check for check, found in waived if claim.id in found.claims or not found.claims)
    if not checks or claim.verdict_level not in ("holds", "weaker"):
        return claim
    count = f"{len(checks)} waived finding{'s' * (len(checks) > 1)}"
    said = f"But for {count} of high severity ({', '.join(sorted(set(checks)))}): {claim.verdict}"
    return claim.model_copy(update={"waived": checks, "verdict": said})


def _left_by(claim: ClaimResult, high: Iterable[tuple[str, Finding]], *, alone: bool) -> ClaimResult:
    bear = {check for check, found in high if claim.id in found.claims or (alone and not found.claims)}
    may = {check for check, found in high if not found.claims}
    if bear and claim.verdict_level in ("holds", "weaker"):
        unbounded = any(rung.id == "channels" for rung in claim.ladder)
        so = ": what was not priced has no upper bound" if unbounded else ""
        said = f"ε = {claim.epsilon:g} does not hold as worded, by {_named(bear)}{so}."
        return claim.model_copy(update={"verdict_level": "broken", "verdict": said})
    if may and claim.verdict_level == "holds":
        said = f"ε = {claim.epsilon:g} may not hold, by {_named(may)} that may bear on another mechanism alone."
        return claim.model_copy(update={"verdict_level": "unknown", "verdict": said})
    return claim


def _named(checks: Collection[str]) -> str:
    listed = f"of high severity ({', '.join(sorted(checks))})"
    return f"a finding {listed}" if len(checks) == 1 else f"findings {listed}"


def _of_training(setting: Setting, rungs: Sequence[Rung]) -> tuple[Level, str]:
    """How the claim stands as far as the training goes."""
    by_id = {rung.id: rung for rung in rungs}
    other = ("claimed", "selection", "with-counts")
    priced = [rung for rung in rungs if rung.epsilon_upper is not None and rung.id not in other]
    if not priced:
        return "unknown", f"ε = {setting.epsilon:g} cannot be recomputed: {_lower_first(_why(rungs))}"
    last = priced[-1]
    lower, upper = last.epsilon_lower or 0.0, last.epsilon_upper or 0.0
    supposed = by_id.get("person-k2") if setting.counts is None else None
    at_record = [rung for rung in priced if rung.id in ("recomputed", "steps-as-run", "sampler-as-coded")][-1]
    if (at_record.epsilon_lower or 0.0) > setting.epsilon * SLACK:
        return "broken", f"ε = {setting.epsilon:g} does not hold for one record: there it is {_bracket(at_record)}."
    if supposed is not None and supposed.epsilon_lower is not None:
        return _supposed(setting, at_record, supposed)
    if lower > setting.epsilon * SLACK:
        return "weaker", f"ε = {setting.epsilon:g} does not reach {last.privacy_unit}: there ε is {_bracket(last)}."
    if upper > setting.epsilon * SLACK:
        return "unknown", f"ε = {setting.epsilon:g} may not hold: for {last.privacy_unit} it is {_bracket(last)}."
    return "holds", f"ε = {setting.epsilon:g} holds for {last.privacy_unit}, as far as the sources read say."


def _supposed(setting: Setting, at_record: Rung, supposed: Rung) -> tuple[Level, str]:
    """Nobody measured how many records a person holds: the claim for a record, and what two records would make it."""
    return (
        "weaker",
        f"ε = {setting.epsilon:g} covers {at_record.privacy_unit}, not a person: for a person with 2 records it is "
        f"{_bracket(supposed)}, and how many records people hold was not measured.",
    )


def _broken(setting: Setting, rung: Rung) -> str:
    first, *more = setting.channels
    others = f" ({len(more)} more such channel{'s' if len(more) > 1 else ''} below)" if more else ""
    if rung.epsilon_lower is not None and math.isinf(rung.epsilon_lower):
        certain = next(channel for channel in setting.channels if channel.certain)
        what = "training" if setting.trained else "votes"
        return f"No finite ε: {certain.what}, without noise, beside the {what} that ε = {setting.epsilon:g} covers."
    return f"ε = {setting.epsilon:g} does not follow: {first.what}, outside what was accounted{others}."


def _bracket(rung: Rung) -> str:
    lower, upper = rung.epsilon_lower or 0.0, rung.epsilon_upper or 0.0
    if math.isinf(upper):
        return f"at least {lower:.3g}"
    tight = f"{lower:.3g}" == f"{upper:.3g}" or upper - lower < 0.01 * upper
    text = f"{upper:.3g}" if tight else f"between {lower:.3g} and {upper:.3g}"
    return f"{text}, no meaningful guarantee" if lower > MEANINGLESS else text


def _why(rungs: Sequence[Rung]) -> str:
    return next((rung.unavailable for rung in rungs if rung.unavailable), "nothing to compute from.")


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
