"""Membership inference from synthetic text: the attacks, and the rate that is reported."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from reimpl.membership import (
    Canary,
    bigram_scores,
    clopper_pearson,
    membership,
    neighbour_scores,
    tpr_at_fpr,
)

RANDOM = np.random.RandomState(3)
WORDS = [f"w{number}" for number in range(400)]


def sentence() -> str:
    return " ".join(RANDOM.choice(WORDS, 12))


@pytest.fixture
def planted() -> list[Canary]:
    return [Canary(sentence(), number % 4 == 0) for number in range(400)]


def test_a_generator_that_repeats_its_canaries_is_found(planted: list[Canary]) -> None:
    synthetic = [sentence() for _ in range(200)] + [canary.text for canary in planted if canary.member]
    found = membership(planted, synthetic)
    for attack in ("n-gram", "nearest-neighbour"):
        assert found[attack]["tpr"] > 0.9
        assert found[attack]["fpr"] <= 0.01


def test_a_generator_that_never_saw_them_gives_no_more_than_chance(planted: list[Canary]) -> None:
    found = membership(planted, [sentence() for _ in range(300)])
    for attack in ("n-gram", "nearest-neighbour"):
        assert found[attack]["tpr_low"] <= 0.03
    assert "does not show" in found["what_a_null_result_does_not_show"]


def test_what_a_reference_text_says_as_well_is_no_evidence(planted: list[Canary]) -> None:
    copied = [canary.text for canary in planted if canary.member]
    assert membership(planted, copied)["n-gram"]["tpr"] > 0.9
    calibrated = membership(planted, copied, copied)
    assert calibrated["n-gram"]["tpr"] == 0.0
    assert calibrated["calibrated_by_reference"]


@pytest.mark.parametrize("members", [(True, True), (False, False)])
def test_one_kind_of_canary_alone_is_refused(members: tuple[bool, bool]) -> None:
    with pytest.raises(ValueError, match="members and others"):
        membership([Canary("a b", member) for member in members], ["a b"])
    with pytest.raises(ValueError, match="at least one word"):
        membership([Canary("a b", True), Canary("…", False)], ["a b"])


def test_the_bigram_score_is_the_mean_log_probability() -> None:
    # two texts "a b": P(a | start) and P(b | a), with 0.1 of a count for each of 4 words: start, a, b and the unseen
    expected = np.mean([math.log(2.1 / 2.4), math.log(2.1 / 2.4)])
    assert bigram_scores(["a b"], ["a b", "a b"])[0] == pytest.approx(expected)
    unseen = np.mean([math.log(0.1 / 2.4), math.log(1 / 4)])
    assert bigram_scores(["x y"], ["a b", "a b"])[0] == pytest.approx(unseen)


def test_the_neighbour_score_is_the_mean_jaccard_similarity_of_the_nearest() -> None:
    far, half, same = "x y", "a z", "a b"
    assert neighbour_scores(["a b"], [same])[0] == 1.0
    assert neighbour_scores(["a b"], [far, half])[0] == pytest.approx((0 + 1 / 3) / 2)
    assert neighbour_scores(["a b"], [same] * 25 + [far] * 1000)[0] == 1.0  # only the nearest 25 count


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=40),
    st.lists(st.integers(0, 20), min_size=1, max_size=250),
    st.sampled_from([0.0, 0.01, 0.1]),
)
def test_the_false_positive_rate_is_never_above_what_was_asked(
    members: list[int], others: list[int], fpr: float
) -> None:
    found = tpr_at_fpr(np.array(members, float), np.array(others, float), fpr)
    assert found["fpr"] <= fpr
    assert 0 <= found["tpr_low"] <= found["tpr"] <= found["tpr_high"] <= 1
    # no threshold among the scores does better within that rate
    for threshold in {*members, *others}:
        if np.mean(np.array(others) > threshold) <= fpr:
            assert np.mean(np.array(members) > threshold) <= found["tpr"]


@given(st.integers(1, 60), st.data())
def test_the_interval_is_where_the_binomial_tails_are_two_and_a_half_percent(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    low, high = clopper_pearson(hits, trials)
    if hits:
        assert binom.sf(hits - 1, trials, low) == pytest.approx(0.025, abs=1e-9)
    if hits < trials:
        assert binom.cdf(hits, trials, high) == pytest.approx(0.025, abs=1e-9)
