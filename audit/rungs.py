"""Rungs of a computed ladder as evidence for findings."""

from __future__ import annotations

from audit.types import ClaimResult, Evidence, Rung


def rung_of(claim: ClaimResult, ident: str) -> Rung | None:
    """The claim's rung of that id, or None where it was not computed."""
    return next((rung for rung in claim.ladder if rung.id == ident and rung.unavailable is None), None)


def bracket_text(rung: Rung) -> str:
    """The rung's ε in words: "between 2.97 and 2.99", or "at least 28.8" where no upper bound is known."""
    lower, upper = rung.epsilon_lower, rung.epsilon_upper
    assert lower is not None  # only available rungs come here
    assert upper is not None
    if lower == float("inf"):
        return "not finite"
    if upper == float("inf"):
        return f"at least {lower:.4g}"
    return f"{lower:.4g}" if lower == upper else f"between {lower:.4g} and {upper:.4g}"


def noise_text(claim: ClaimResult) -> str:
    """What the claim's ladder supposes about noise that is not stated; empty where it is stated."""
    return ", for the smallest noise that would give the claim as accounted" if claim.noise_multiplier_derived else ""


def from_rung(claim: ClaimResult, rung: Rung) -> Evidence:
    """One rung beside the claim it corrects."""
    return Evidence(
        source="accounting",
        where=f"rung {rung.id} ({rung.method})"[:600],
        what=f"{claim.label}: ε is {bracket_text(rung)} at δ = {rung.delta:.3g}, for {rung.privacy_unit}"
        f"{noise_text(claim)}.",
    )
