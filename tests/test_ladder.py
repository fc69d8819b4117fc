"""The ladder of one claim, held against reference values that were found elsewhere."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from audit.channels import Channel
from audit.ladder import _by, claim_result
from audit.setting import Setting
from audit.types import ClaimResult, NeighboringRelation, Rung, Sampler, UnitCounts
from audit.users import count_units

SMALL = Setting(
    ident="c/reviews/3",
    label="a small model on reviews, ε = 3",
    wording="the paper claims",
    mechanism="m",
    dataset="reviews",
    epsilon=3.0,
    delta=1 / 130000,
    privacy_unit="one review",
    unit_is_person=False,
    relation=NeighboringRelation.ADD_OR_REMOVE_ONE,
    records=13000,
    batch_size=32,
    sampling_probability=32 / 13000,
    steps_accounted=20000,
    steps_run=None,
    noise_multiplier=0.803223,
    accountant="pld",
    sampler_accounted=Sampler.POISSON,
    sampler_coded=None,
    counts=None,
    one_record_per_person=False,
    several_per_person=False,
    balanced_classes=None,
    channels=(),
    selection=None,
)
YELP = replace(
    SMALL,
    epsilon=4.0,
    delta=3.640468437434577e-08,
    records=1_900_000,
    batch_size=4096,
    sampling_probability=4096 / 1_900_000,
    steps_accounted=2319,
    noise_multiplier=0.635376,
)
CHOICE = Channel("the best checkpoint is kept", "train.py:7")
LABELS = Channel("the label counts are released exactly", "generate.py:3", certain=True)


def people_with(records: int) -> UnitCounts:
    """A hundred people, each with that many records."""
    return count_units(str(person) for person in range(100) for _ in range(records))


def rung(claim: ClaimResult, ident: str) -> Rung:
    (found,) = (r for r in claim.ladder if r.id == ident)
    return found


def beside(found: Rung, standing: str) -> float:
    (value,) = (c.epsilon for c in found.beside if c.standing == standing)
    return value


@pytest.mark.parametrize(("size", "epsilon"), [(2, 6.58602), (4, 15.2005), (8, 37.53), (16, 100.955)])
def test_a_person_with_k_records_has_the_reference_epsilon(size: int, epsilon: float) -> None:
    found = rung(claim_result(replace(SMALL, counts=people_with(size))), "person-max")
    assert found.group_size == size
    assert found.epsilon_lower == pytest.approx(epsilon, rel=0.01)
    assert found.epsilon_upper == pytest.approx(epsilon, rel=0.01)


@pytest.mark.parametrize(
    ("setting", "naive", "tight", "below"), [(SMALL, 11.92, 15.2005, True), (YELP, 15.95, 12.9263, False)]
)
def test_k_times_epsilon_stands_beside_and_bounds_nothing(
    setting: Setting, naive: float, tight: float, below: bool
) -> None:
    found = rung(claim_result(replace(setting, counts=people_with(4))), "person-max")
    shown = beside(found, "no bound")
    assert shown == pytest.approx(naive, rel=0.002)
    assert found.epsilon_upper == pytest.approx(tight, rel=0.01)
    assert found.epsilon_lower is not None
    assert (shown < found.epsilon_lower) is below


def test_group_privacy_from_outside_is_never_below_the_tight_value() -> None:
    for size in (2, 4):
        found = rung(claim_result(replace(SMALL, counts=people_with(size))), "person-max")
        assert found.epsilon_upper is not None
        assert beside(found, "looser bound") > found.epsilon_upper


def test_exact_label_counts_leave_no_finite_epsilon_and_noised_ones_cost_little() -> None:
    for setting, reference in ((SMALL, 3.00961), (YELP, 4.00962)):
        found = rung(claim_result(replace(setting, channels=(LABELS,))), "channels")
        assert found.epsilon_lower == math.inf
        assert beside(found, "price of mending") == pytest.approx(reference, abs=0.012)


def test_a_choice_on_private_data_is_a_rung_of_its_own_with_the_price_of_paying_for_it() -> None:
    for setting, reference in ((SMALL, 6.20254), (YELP, 7.05363)):
        claim = claim_result(replace(setting, selection=CHOICE))
        found = rung(claim, "selection")
        assert found.epsilon_upper == math.inf
        assert found.epsilon_lower == rung(claim, "recomputed").epsilon_lower
        assert CHOICE.where in found.assumption
        assert beside(found, "price of mending") == pytest.approx(reference, rel=0.01)


def test_a_choice_weakens_a_claim_that_else_holds() -> None:
    assert claim_result(SMALL).verdict_level == "holds"
    claim = claim_result(replace(SMALL, selection=CHOICE))
    assert claim.verdict_level == "weaker"
    assert "no bound" in claim.verdict


def test_balancing_keeps_the_person_that_the_rung_above_reached() -> None:
    """Two supposed records of a person, each of which moves up to five training records, are a group of ten."""
    claim = claim_result(replace(SMALL, several_per_person=True, balanced_classes=5, selection=CHOICE))
    person, balanced = rung(claim, "person-k2"), rung(claim, "preprocessing")
    ten = rung(claim_result(replace(SMALL, assumed_max_records=10)), "person-assumed")
    assert (balanced.group_size, balanced.epsilon_upper) == (10, ten.epsilon_upper)
    assert balanced.epsilon_lower == person.epsilon_lower
    assert balanced.label.endswith(": a person with 2 records")
    assert balanced.privacy_unit == person.privacy_unit == rung(claim, "selection").privacy_unit


def test_balancing_where_no_person_is_known_is_a_rung_of_the_record() -> None:
    claim = claim_result(replace(SMALL, balanced_classes=5))
    balanced = rung(claim, "preprocessing")
    assert balanced.group_size == 5
    assert balanced.epsilon_lower == rung(claim, "recomputed").epsilon_lower
    assert balanced.label.endswith(": one record")
    assert balanced.privacy_unit == "one record of the data before balancing"


def test_what_the_accounting_leaves_out_comes_after_the_choice() -> None:
    claim = claim_result(replace(SMALL, selection=CHOICE, channels=(LABELS,)))
    assert [r.id for r in claim.ladder] == ["claimed", "recomputed", "selection", "channels"]
    assert claim.verdict_level == "broken"


def test_a_rung_says_what_its_epsilon_means_to_an_attacker() -> None:
    claim = claim_result(replace(SMALL, counts=people_with(4)))
    record, person = rung(claim, "recomputed").attack, rung(claim, "person-max").attack
    assert record is not None
    assert person is not None
    assert "curve" in record.source
    assert record.advantage == pytest.approx(0.259, abs=6e-4)  # measured in another implementation
    assert record.tpr_at_fpr["0.001"] == pytest.approx(0.0081, abs=1e-4)
    assert record.tpr_at_fpr["0.01"] == pytest.approx(0.050, abs=6e-4)
    assert person.advantage > record.advantage
    assert rung(claim, "claimed").attack is None


def test_fewer_steps_than_accounted_cost_less() -> None:
    claim = claim_result(replace(SMALL, steps_run=5000))
    assert rung(claim, "steps-as-run").epsilon_upper < rung(claim, "recomputed").epsilon_lower


def test_an_earlier_price_changes_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("prices")
    setting = replace(SMALL, counts=people_with(2), selection=CHOICE, channels=(LABELS,))
    fresh = claim_result(setting)
    assert claim_result(setting, folder) == fresh
    assert any(folder.iterdir())
    assert claim_result(setting, folder) == fresh


@pytest.mark.parametrize(
    ("accountant", "said"),
    [
        ("prv", "gives the claim by the accountant prv, which adds 0.01 to ε (derived)"),
        ("gdp", "by the accountant pld (derived)"),
    ],
)
def test_noise_that_is_not_stated_is_said_to_follow_from_an_accountant(accountant: str, said: str) -> None:
    assert said in f"gives the claim {_by(replace(SMALL, accountant=accountant))}"


def test_the_curve_and_the_rung_of_a_person_agree_where_the_loop_runs_fewer_steps() -> None:
    result = claim_result(replace(SMALL, steps_run=5000, several_per_person=True))
    (rung,) = (rung for rung in result.ladder if rung.id == "person-k2")
    (point,) = (point for point in result.curve if point.group_size == 2)
    assert rung.epsilon_lower is not None
    assert rung.epsilon_upper is not None
    assert rung.epsilon_lower * 0.999 <= point.epsilon_upper <= rung.epsilon_upper * 1.001
