"""What every accountant promises, whatever it computes with; each subclass runs the same contract."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from dp_accounting import dp_event

from audit.accounting import mechanisms as m
from audit.accounting.accountants import epsilon
from audit.accounting.inputs import AccountingInputError, UnknownMechanismError
from audit.accounting.routes import ROUTES, Question
from audit.accounting.steps import ADD_OR_REMOVE_ONE

DELTA = 1e-6


class Contract:
    """The contract. `slack` is the width an accountant's own bracket may have."""

    accountant: str
    slack = 1e-9
    groups = True

    def price(self, event: dp_event.DpEvent, delta: float = DELTA, k: int = 1) -> float:
        return epsilon(event, delta, group_size=k, accountant=self.accountant).upper

    def assert_rises(self, prices: list[float]) -> None:
        assert all(math.isfinite(price) for price in prices)
        assert all(later >= earlier - self.slack for earlier, later in pairwise(prices))
        assert prices[-1] > prices[0] + self.slack

    def test_releasing_nothing_costs_nothing(self) -> None:
        assert self.price(m.nothing()) == 0
        assert self.price(m.composed([m.nothing(), m.dp_sgd(1.0, 0.0, 100)])) == 0

    def test_one_release_without_noise_costs_everything(self) -> None:
        assert self.price(m.composed([m.dp_sgd(1.0, 0.01, 10), m.not_private()])) == math.inf

    def test_less_noise_costs_more(self) -> None:
        self.assert_rises([self.price(m.dp_sgd(noise, 0.01, 500)) for noise in (4.0, 2.0, 1.0, 0.7)])

    def test_a_larger_sampling_probability_costs_more(self) -> None:
        self.assert_rises([self.price(m.dp_sgd(1.0, q, 500)) for q in (0.002, 0.01, 0.05, 1.0)])

    def test_more_steps_cost_more(self) -> None:
        self.assert_rises([self.price(m.dp_sgd(1.0, 0.01, steps)) for steps in (100, 400, 1600)])

    def test_a_smaller_delta_costs_more(self) -> None:
        self.assert_rises([self.price(m.dp_sgd(1.0, 0.01, 500), delta) for delta in (1e-3, 1e-5, 1e-9)])

    def test_a_larger_group_costs_more_or_is_refused(self) -> None:
        if not self.groups:
            with pytest.raises(UnknownMechanismError):
                self.price(m.dp_sgd(1.0, 0.01, 500), k=2)
            return
        self.assert_rises([self.price(m.dp_sgd(1.0, 0.01, 500), k=k) for k in (1, 2, 4)])

    def test_the_order_of_composition_does_not_matter(self) -> None:
        parts = [m.dp_sgd(1.0, 0.01, 300), m.gaussian(5.0), m.dp_sgd(2.0, 0.05, 100)]
        prices = [self.price(m.composed(order)) for order in (parts, parts[::-1])]
        assert prices[0] == pytest.approx(prices[1], abs=max(1e-6, self.slack))

    def test_composing_costs_at_least_each_part(self) -> None:
        parts = [m.dp_sgd(1.0, 0.01, 300), m.gaussian(5.0)]
        assert self.price(m.composed(parts)) >= max(self.price(part) for part in parts) - self.slack

    def test_repeating_is_composing_with_itself(self) -> None:
        twice = self.price(m.composed([m.dp_sgd(1.0, 0.01, 200)] * 2))
        assert twice == pytest.approx(self.price(m.dp_sgd(1.0, 0.01, 400)), abs=max(2e-3, 2 * self.slack))

    def test_an_unknown_mechanism_is_refused(self) -> None:
        with pytest.raises(UnknownMechanismError):
            self.price(dp_event.UnsupportedDpEvent())

    def test_impossible_inputs_are_refused(self) -> None:
        for delta in (0.0, 1.0, -1e-5, math.nan):
            with pytest.raises(AccountingInputError):
                self.price(m.gaussian(1.0), delta)
        for k in (0, -1, 1.5, math.nan, math.inf):
            with pytest.raises(AccountingInputError):
                self.price(m.gaussian(1.0), k=k)  # type: ignore[arg-type]


class TestContour(Contract):
    accountant = "contour"


class TestPld(Contract):
    accountant = "pld"
    slack = 2e-3


class TestRdp(Contract):
    accountant = "rdp"


class TestRdpOld(Contract):
    accountant = "rdp-old"
    groups = False


class TestPrv(Contract):
    accountant = "prv"
    groups = False
    slack = 0.01


class TestAllTogether(Contract):
    accountant = "all"
    slack = 2e-3

    def test_the_bracket_holds_every_route_that_is_tight(self) -> None:
        bracket = epsilon(m.dp_sgd(1.0, 0.01, 500), DELTA)
        lower, estimate, upper = (epsilon(m.dp_sgd(1.0, 0.01, 500), DELTA, accountant="contour").lower,) * 3
        prv = epsilon(m.dp_sgd(1.0, 0.01, 500), DELTA, accountant="prv")
        assert prv.lower <= lower <= estimate <= upper <= prv.upper
        assert bracket.lower <= estimate <= bracket.upper
        assert bracket.upper - bracket.lower < 1e-3


@pytest.mark.parametrize("name", ["contour", "pld"])
@pytest.mark.parametrize("k", [1, 3])
def test_either_direction_alone_costs_no_more_than_both(name: str, k: int) -> None:
    question = Question(m.dp_sgd(0.8, 0.02, 300), DELTA, k, ADD_OR_REMOVE_ONE)
    both = ROUTES[name](question).upper
    for one in question.directions:
        alone = Question(m.dp_sgd(0.8, 0.02, 300), DELTA, k, ADD_OR_REMOVE_ONE)
        alone.__dict__["directions"] = (one,)
        assert ROUTES[name](alone).upper <= both
