"""How firm a finding on selection is."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.cards import load_card
from audit.check import all_checks
from audit.run import put
from audit.subject import Subject
from audit.types import Basis

BAD = Path(__file__).parent.parent / "cases/selection-unaccounted/bad"


@pytest.mark.parametrize(
    ("case", "basis", "said"),
    [("best-checkpoint", Basis.READ, "is not part of"), ("cost-not-mentioned", Basis.SILENCE, "is not said to be")],
)
def test_a_cost_left_out_is_read_and_a_cost_not_mentioned_is_silence(case: str, basis: Basis, said: str) -> None:
    (finding,) = put(all_checks()["selection-unaccounted"], Subject(load_card(BAD / case / "card.toml"))).findings
    assert finding.basis is basis
    assert said in finding.summary
