"""A small paper of one mechanism, one dataset and one claim, put to one check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from audit.check import all_checks
from audit.subject import Subject
from audit.types import ClaimResult, Finding, PaperCard, Skip

Answers = list[Finding | Skip]


def fact(value: Any, known: str = "code") -> dict[str, Any]:
    """A fact of the card; a dict that is one already is left as it is."""
    if isinstance(value, dict) and "known" in value:
        return value
    return {"value": value, "where": "train.py:1", "known": known}


def facts(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if name == "kind" else fact(value) for name, value in values.items()}


def paper(
    mechanism: Mapping[str, Any],
    dataset: Mapping[str, Any],
    claim: Mapping[str, Any],
    observation: tuple[dict[str, Any], ...] = (),
) -> PaperCard:
    claim = {"epsilons": (8.0,), "delta": 1e-6} | dict(claim)
    return PaperCard.model_validate(
        {
            "version": 1,
            "id": "small",
            "title": "A small paper",
            "citation": "Made for a test",
            "about": "-",
            "caveat": "-",
            "sources": ({"id": "paper", "kind": "paper", "citation": "-", "read": "full text"},),
            "mechanism": ({"id": "m", "model": "a small model"} | facts(mechanism),),
            "dataset": ({"name": "reviews", "manifest": "reviews"} | facts(dataset),),
            "claim": (
                {"id": "c", "mechanism": "m", "datasets": ("reviews",), "wording": "the paper claims"} | facts(claim),
            ),
            "observation": observation,
        }
    )


def ladder(epsilon: float, **rungs: tuple[float, float]) -> ClaimResult:
    """A priced claim; each rung is (lower, upper), its id written with underscores."""
    return ClaimResult.model_validate(
        {
            "id": f"c/reviews/{epsilon:g}",
            "label": f"a small model on reviews, ε = {epsilon:g}",
            "wording": "the paper claims",
            "mechanism": "m",
            "dataset": "reviews",
            "epsilon": epsilon,
            "delta": 1e-6,
            "privacy_unit": "one record",
            "verdict": "-",
            "verdict_level": "unknown",
            "ladder": tuple(
                {
                    "id": name.replace("_", "-"),
                    "label": name,
                    "epsilon_lower": lower,
                    "epsilon_upper": upper,
                    "delta": 1e-6,
                    "privacy_unit": "one record",
                    "neighboring_relation": "add-or-remove-one",
                    "method": "by hand",
                    "assumption": "-",
                }
                for name, (lower, upper) in rungs.items()
            ),
        }
    )


@pytest.fixture
def priced() -> Callable[..., ClaimResult]:
    return ladder


@pytest.fixture
def ask() -> Callable[..., Answers]:
    """Put one check to a small paper: `ask(ident, mechanism={...}, dataset={...}, claim={...}, …)`."""

    def put(
        ident: str,
        *,
        mechanism: Mapping[str, Any] | None = None,
        dataset: Mapping[str, Any] | None = None,
        claim: Mapping[str, Any] | None = None,
        observation: tuple[dict[str, Any], ...] = (),
        data: Mapping[str, Any] | None = None,
        claims: tuple[ClaimResult, ...] = (),
    ) -> Answers:
        card = paper(mechanism or {}, dataset or {}, claim or {}, observation)
        return list(all_checks()[ident].run(Subject(card, {}, data or {}, {}, None, claims)))

    return put
