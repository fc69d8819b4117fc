"""Numbers keep what the result says; sentences about ε agree with the mathematics."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.numbers import bracket, delta, number, share
from reports.wording import advantage_cap, answer, attack_cap, limit, odds, warning

SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


@given(st.floats(min_value=1e-300, max_value=1e300))
def test_a_printed_number_reads_back_as_the_number(value: float) -> None:
    text = number(value).replace(",", "")
    mantissa, _, power = text.partition("\u00a0×\u00a010")
    assert float(Decimal(mantissa).scaleb(int(power.translate(SUPERSCRIPTS) or 0))) == value


@pytest.mark.parametrize(
    ("exact", "shown"),
    [(6.465377901338334e-07, "6.466e-7"), (2.371e-06, "2.371e-6"), (1 / 41, "0.0244"), (1e-5, "1e-5")],
)
def test_delta_is_rounded_up_if_at_all(exact: float, shown: str) -> None:
    text = delta(exact).replace("\u00a0×\u00a010", "e").translate(SUPERSCRIPTS)
    assert text == shown
    assert float(text) >= exact


@pytest.mark.parametrize(
    ("lower", "upper", "text"),
    [
        (8.0, 8.0, "8"),
        (2.97, 2.98, "2.97 – 2.98"),
        (36.5, math.inf, "≥\u00a036.5"),
        (0.0, math.inf, "no bound"),
        (math.inf, math.inf, "∞"),
        (0.0, 121600.0, "0 – 121,600"),
    ],
)
def test_a_bracket_reads_as_what_is_known(lower: float, upper: float, text: str) -> None:
    assert bracket(lower, upper) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.9999, "over 99.9 %"), (1e-6, "under 0.1 %"), (0.7771, "77.7 %")],
)
def test_a_share_is_never_rounded_to_certainty(value: float, text: str) -> None:
    assert share(value) == text


rates = st.floats(min_value=1e-5, max_value=0.5)


@given(st.floats(min_value=0, max_value=600), st.floats(min_value=0, max_value=0.1), rates)
def test_no_attack_exceeds_what_both_inequalities_of_dp_allow(epsilon: float, delta: float, rate: float) -> None:
    """Oracle: TPR ≤ e^ε FPR + δ, and 1 − FPR ≤ e^ε (1 − TPR) + δ with equality for at least one."""
    cap = attack_cap(epsilon, delta, rate)
    forward = math.exp(epsilon) * rate + delta - cap
    backward = math.exp(epsilon) * (1 - cap) + delta - (1 - rate)
    slack = 1e-9 * math.exp(epsilon)
    assert forward >= -slack
    assert backward >= -slack
    assert rate <= cap + 1e-12
    assert cap <= 1
    assert min(forward, backward) <= slack + 1e-9


def test_infinite_epsilon_excludes_no_attack() -> None:
    assert attack_cap(math.inf, 1e-6, 0.001) == 1.0
    assert odds(math.inf) == "no limit"


def test_odds_are_e_to_the_epsilon() -> None:
    assert odds(1.0) == "up to 2.72 times"
    assert odds(8.0) == "up to 2,980 times"
    assert odds(230.2) == "up to a factor with 100 digits"


def test_the_answer_takes_the_worst_level_there_is() -> None:
    levels = {"broken": 0, "weaker": 0, "unknown": 0, "holds": 0}
    assert answer({**levels, "broken": 1, "holds": 3}) == ("No.", "1 of 4 claims does not hold as worded")
    assert answer({**levels, "weaker": 2, "holds": 3})[0] == "Less than it reads."
    assert answer({**levels, "unknown": 1, "holds": 3})[0] == "It cannot be told."
    assert answer({**levels, "holds": 1}) == ("Yes, as far as checked.", "No check found anything against the claim")
    assert answer({**levels, "broken": 6}) == ("No.", "None of the 6 claims holds as worded")
    assert answer({**levels, "broken": 1}) == ("No.", "The claim does not hold as worded")


def test_an_answer_never_says_that_nothing_was_found_where_something_is_waived() -> None:
    levels = {"broken": 0, "weaker": 0, "unknown": 0, "holds": 1}
    short, said = answer(levels, waived={"b-flaw", "a-flaw"})
    assert short == "Yes, but for what is waived."
    assert said == "The claim holds, as far as checked, but for what is waived of high severity: a-flaw, b-flaw"
    assert answer({**levels, "holds": 2}, waived={"a-flaw"})[1].startswith("All 2 claims hold, as far as checked, but")
    assert answer(levels, person=False, waived={"a-flaw"}) == (
        "Not known for a person.",
        "The claim holds, as far as checked, but for what is waived of high severity: a-flaw",
    )
    assert answer({**levels, "broken": 1}, waived={"a-flaw"}) == answer({**levels, "broken": 1})


@given(st.floats(min_value=0.001, max_value=1e4), st.floats(min_value=1, max_value=100))
def test_a_bracket_is_warned_of_when_its_upper_end_guarantees_nothing(lower: float, factor: float) -> None:
    upper = lower * factor
    said = warning(lower, upper)
    assert (said is not None) == (upper > 50)
    assert "no upper limit is proved" in (warning(min(lower, 50), math.inf) or "")
    assert "no finite ε" in (warning(math.inf, math.inf) or "")


@given(st.floats(min_value=0, max_value=30), st.floats(min_value=0, max_value=0.1))
def test_the_advantage_is_the_largest_gap_between_the_two_rates(epsilon: float, delta: float) -> None:
    """Oracle: the largest TPR − FPR over a fine grid of FPR, by the cap at each."""
    grid = [10 ** (-16 + 16 * n / 4000) for n in range(4001)]
    best = max(attack_cap(epsilon, delta, rate) - rate for rate in grid)
    assert best <= advantage_cap(epsilon, delta) + 1e-9
    assert best >= advantage_cap(epsilon, delta) - 0.01


@given(st.floats(min_value=1e-6, max_value=0.999))
def test_a_limit_in_words_is_never_below_the_limit(value: float) -> None:
    text = limit(value).removeprefix("at most ").removesuffix("\u00a0%")
    mantissa, _, power = text.partition("\u00a0×\u00a010")
    percent = Decimal(mantissa).scaleb(int(power.translate(SUPERSCRIPTS) or 0))
    assert Decimal(repr(100 * value)) <= percent <= Decimal("1.02") * Decimal(repr(100 * value))


def test_a_limit_that_excludes_next_to_nothing_is_called_that() -> None:
    assert limit(1.0) == "no limit"
    assert "no useful limit" in limit(0.9995)
