"""Balancing to the smallest class: how many training records one raw record can move, and what that costs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.accounting.black_box import group_delta
from audit.cards import load_card
from audit.check import all_checks
from audit.run import put
from audit.subject import Subject
from audit.types import Basis, Fact, Known

BAD = Path(__file__).parent.parent / "cases/preprocessing-not-stable/bad"
EPSILONS = st.floats(1e-3, 30)
DELTAS = st.floats(1e-12, 1e-3)


@given(EPSILONS, DELTAS, st.integers(1, 12))
def test_the_group_bound_is_the_chain_of_neighbours(epsilon: float, delta: float, size: int) -> None:
    """Oracle: walk from D to D' one record at a time, P_k <= e^ε P_{k-1} + δ, in exact arithmetic."""
    with mpmath.workdps(60):
        walked = mpmath.mpf(0)
        for _ in range(size):
            walked = mpmath.e ** mpmath.mpf(epsilon) * walked + mpmath.mpf(delta)
        assert float(walked) == pytest.approx(group_delta(epsilon, delta, size), rel=1e-9)


@given(st.lists(st.integers(1, 6), min_size=2, max_size=6), st.data())
def test_one_record_moves_at_most_as_many_as_there_are_classes(counts: list[int], data: st.DataObject) -> None:
    """The claim the check rests on, over class counts: records kept with and without one more record."""
    grown = data.draw(st.integers(0, len(counts) - 1))
    after = [count + (i == grown) for i, count in enumerate(counts)]
    assert abs(len(after) * min(after) - len(counts) * min(counts)) <= len(counts)


def test_a_lone_smallest_class_reaches_that_number() -> None:
    assert 3 * min(3, 9, 9) - 3 * min(2, 9, 9) == 3


def test_claims_that_share_a_target_share_one_line_of_evidence() -> None:
    card = load_card(BAD / "five-classes" / "card.toml")
    (claim,) = card.claim
    twice = card.model_copy(update={"claim": (claim, claim.model_copy(update={"id": "again"}))})
    (finding,) = put(all_checks()["preprocessing-not-stable"], Subject(twice)).findings
    lines = [e.what for e in finding.evidence if e.source == "accounting"]
    assert len(lines) == 1
    assert "m-claim, again" in lines[0]
    assert "no guarantee is left" in lines[0]  # e^32 · 1e-6 is above 1


def test_a_small_epsilon_leaves_a_guarantee_with_both_figures() -> None:
    card = load_card(BAD / "five-classes" / "card.toml")
    epsilons = Fact[tuple[float, ...]](value=(0.5,), where="section 4", known=Known.PAPER)
    claim = card.claim[0].model_copy(update={"epsilons": epsilons})
    subject = Subject(card.model_copy(update={"claim": (claim,)}))
    (finding,) = put(all_checks()["preprocessing-not-stable"], subject).findings
    expected = 1e-6 * sum(mpmath.exp(0.5 * i) for i in range(5))
    assert f"at worst (2.5, {float(expected):.3g})" in finding.evidence[1].what


def test_no_bound_is_made_of_an_infinite_epsilon() -> None:
    card = load_card(BAD / "five-classes" / "card.toml")
    epsilons = Fact[tuple[float, ...]](value=(float("inf"),), where="section 4", known=Known.PAPER)
    claim = card.claim[0].model_copy(update={"epsilons": epsilons})
    subject = Subject(card.model_copy(update={"claim": (claim,)}))
    (finding,) = put(all_checks()["preprocessing-not-stable"], subject).findings
    assert not [e for e in finding.evidence if e.source == "accounting"]


def test_without_the_number_of_classes_nothing_is_called_computed() -> None:
    subject = Subject(load_card(BAD / "classes-unknown" / "card.toml"))
    (finding,) = put(all_checks()["preprocessing-not-stable"], subject).findings
    assert finding.basis is Basis.READ
    assert Counter(e.source for e in finding.evidence)["accounting"] == 0
