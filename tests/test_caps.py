"""A claim's caps follow the measured people and the claim's own training; an assumed number is a rung that says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from audit.accounting.calibration import epsilon_curve
from audit.caps import cap_results
from audit.cards import load_card
from audit.ladder import claim_result
from audit.setting import Setting, settings
from audit.types import Sampler
from audit.users import count_units

CASES = Path(__file__).resolve().parent / "cases"
OWNERS = ["a"] * 5 + ["b"] * 2 + ["c"]


@pytest.fixture(scope="module")
def setting() -> Setting:
    """A priced claim on eight records of three people, made cheap: every record in every one of ten steps."""
    card = load_card(CASES / "epsilon-understated" / "good" / "enough-noise" / "card.toml")
    first = next(iter(settings(card, {card.dataset[0].name: count_units(OWNERS)})))
    return replace(
        first,
        sampler_accounted=Sampler.POISSON,
        sampler_coded=None,
        sampling_probability=1.0,
        steps_accounted=10,
        steps_run=None,
        noise_multiplier=5.0,
        one_record_per_person=False,
        unit_is_person=False,
        delta=1e-5,
        epsilon=4.0,
        channels=(),
        selection=None,
    )


def test_caps_are_below_the_heaviest_person_and_priced_at_the_claims_noise(setting: Setting) -> None:
    found = cap_results(setting, 5.0, None)
    kept = [(cap.max_records, cap.records_kept, cap.people_affected) for cap in found]
    assert kept == [(1, 3, 2), (2, 5, 1), (4, 7, 1)]
    for cap, there in zip(found, epsilon_curve(5.0, 1.0, 10, 1e-5, [1, 2, 4]), strict=True):
        assert cap.epsilon_lower <= there.upper
        assert cap.epsilon_upper >= there.lower
        assert cap.epsilon_upper / cap.epsilon_lower < 1.01


def test_the_noise_of_a_cap_gives_a_person_the_claim(setting: Setting) -> None:
    for cap in cap_results(setting, 5.0, None):
        assert cap.noise_multiplier is not None
        (there,) = epsilon_curve(cap.noise_multiplier, 1.0, 10, 1e-5, [cap.max_records])
        assert there.upper <= 4.0
        assert there.lower > 3.9


@pytest.mark.parametrize(
    "change", [{"counts": None}, {"unit_is_person": True}, {"sampler_accounted": Sampler.SHUFFLE_EACH_EPOCH}]
)
def test_there_is_no_table_where_nothing_can_be_capped_or_priced(setting: Setting, change: dict[str, object]) -> None:
    assert cap_results(replace(setting, **change), 5.0, None) == ()  # type: ignore[arg-type]


def test_an_assumed_number_is_a_rung_that_says_so(setting: Setting) -> None:
    supposed = claim_result(replace(setting, counts=None, assumed_max_records=3))
    (rung,) = [rung for rung in supposed.ladder if rung.id == "person-assumed"]
    assert (rung.group_size, rung.privacy_unit) == (3, "all records of one person")
    assert "(assumed)" in rung.label
    assert "not measured" in rung.assumption
    assert supposed.caps == ()
    measured = claim_result(replace(setting, assumed_max_records=3))
    assert not [rung for rung in measured.ladder if rung.id == "person-assumed"]
    assert measured.caps == cap_results(setting, 5.0, None)
