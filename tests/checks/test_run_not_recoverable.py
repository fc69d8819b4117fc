"""How much an obstacle to repeating a run weighs."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.cards import load_card
from audit.check import all_checks
from audit.run import put
from audit.subject import Subject
from audit.types import Fact, Known, Severity, Status

CASES = Path(__file__).parent.parent / "cases/run-not-recoverable"


@pytest.mark.parametrize(
    ("case", "severity"),
    [
        ("patched-dependency", Severity.MEDIUM),  # what was accounted for cannot be known
        ("other-checkpoint", Severity.MEDIUM),
        ("source-missing", Severity.LOW),  # it stands but is hard to repeat
        ("only-observed", Severity.LOW),
    ],
)
def test_severity_follows_from_what_cannot_be_known(case: str, severity: Severity) -> None:
    subject = Subject(load_card(CASES / "bad" / case / "card.toml"))
    (finding,) = put(all_checks()["run-not-recoverable"], subject).findings
    assert finding.severity is severity


def test_steps_known_only_by_hearsay_are_no_obstacle() -> None:
    card = load_card(CASES / "bad/other-checkpoint/card.toml")
    hearsay = Fact[int](value=400_000, where="a talk", known=Known.SECONDARY)
    mechanism = card.mechanism[0].model_copy(update={"steps_of_released_checkpoint": hearsay})
    subject = Subject(card.model_copy(update={"mechanism": (mechanism,)}))
    assert put(all_checks()["run-not-recoverable"], subject).status is Status.SKIPPED
