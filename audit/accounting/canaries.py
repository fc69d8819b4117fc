"""What a canary audit has shown, or could have shown (Steinke, Nasr & Jagielski, arXiv 2305.08846)."""

from __future__ import annotations

import math

import numpy as np
from scipy import optimize, special, stats

from audit.accounting.inputs import (
    AccountingInputError,
    require_count,
    require_positive,
    require_probability,
)
from audit.accounting.pairs import Floats

_LARGEST = 100.0


def one_run_lower_bound(canaries: int, guesses: int, correct: int, delta: float, significance: float = 0.05) -> float:
    """Largest epsilon that one run refutes at `significance`: canaries included by fair coins, guessed at.

    p = P[B >= v] + 2 m delta max_i P[v > B >= v - i] / i, B ~ Binomial(r, e^eps / (1 + e^eps)), for m
    canaries, r guesses and v correct ones; epsilon is refuted while p is at most `significance`.
    """
    require_count("canaries", canaries)
    require_count("guesses", guesses, most=canaries)
    require_count("correct", correct, least=0, most=guesses)
    _require_significance(significance)
    if not 0 <= delta < 1:
        raise AccountingInputError(f"delta = {delta!r}: expected a number from 0 to below 1")

    def excess(epsilon: float) -> float:
        return p_value(canaries, guesses, correct, epsilon, delta) - significance

    if excess(0.0) > 0:
        return 0.0
    if excess(_LARGEST) <= 0:
        return _LARGEST
    return float(optimize.brentq(excess, 0.0, _LARGEST, xtol=1e-10))


def p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Chance of at least `correct` right guesses under (epsilon, delta)-DP, at most 1."""
    rate = float(special.expit(epsilon))
    tail = float(stats.binom.sf(correct - 1, guesses, rate))
    if delta == 0 or correct == 0:
        return min(tail, 1.0)
    below = stats.binom.pmf(np.arange(correct - 1, -1, -1), guesses, rate)
    means: Floats = np.cumsum(below) / np.arange(1, correct + 1)
    return min(1.0, tail + 2 * canaries * delta * float(means.max()))


def ceiling(canaries: int, delta: float, significance: float = 0.05) -> float:
    """The bound perfect guessing of every canary would give: no audit of this size can show more."""
    return one_run_lower_bound(canaries, canaries, canaries, delta, significance)


def expected_lower_bound(canaries: int, guesses: int, gdp_mu: float, delta: float, significance: float = 0.05) -> float:
    """Bound at the expected number of right guesses of an ideal attack on a mu-GDP mechanism.

    Each canary scores N(mu, 1) if included and N(0, 1) if not; the attacker guesses the `guesses` canaries
    whose scores lie furthest from mu / 2. `guesses` must be fixed before the audit.
    """
    require_count("canaries", canaries)
    require_count("guesses", guesses, most=canaries)
    require_positive("gdp_mu", gdp_mu)
    correct = math.floor(guesses * expected_accuracy(guesses / canaries, gdp_mu))
    return one_run_lower_bound(canaries, guesses, correct, delta, significance)


def expected_accuracy(guessed_share: float, gdp_mu: float) -> float:
    """Share of right guesses when only the `guessed_share` of canaries with the clearest scores is guessed."""
    half = gdp_mu / 2

    def spare(threshold: float) -> float:
        return float(special.ndtr(half - threshold) + special.ndtr(-half - threshold)) - guessed_share

    threshold = 0.0 if guessed_share >= 1 else optimize.brentq(spare, 0.0, half + 40)
    return float(special.ndtr(half - threshold)) / guessed_share


def many_runs_lower_bound(
    true_positives: int, members: int, false_positives: int, non_members: int, delta: float, significance: float = 0.05
) -> float:
    """Lower bound from many independent runs: log((TPR_low - delta) / FPR_high), Clopper-Pearson limits."""
    require_count("members", members)
    require_count("true_positives", true_positives, least=0, most=members)
    require_count("non_members", non_members)
    require_count("false_positives", false_positives, least=0, most=non_members)
    _require_significance(significance)
    half = significance / 2
    if true_positives == 0 or false_positives == non_members:
        return 0.0
    low = float(stats.beta.ppf(half, true_positives, members - true_positives + 1))
    high = float(stats.beta.ppf(1 - half, false_positives + 1, non_members - false_positives))
    return max(0.0, math.log((low - delta) / high)) if low > delta else 0.0


def _require_significance(value: float) -> None:
    require_probability("significance", value)
    require_positive("significance", value)
