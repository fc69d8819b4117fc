"""Every reference value, found elsewhere by one to three routes, is met through the public functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dp_accounting.privacy_accountant import NeighboringRelation

from audit.accounting import black_box, canaries, contour, histogram, pld, random_allocation, shuffle, tradeoff, tuning
from audit.accounting import mechanisms as m
from audit.accounting.accountants import epsilon
from audit.accounting.bracket import Bracket
from audit.accounting.routes import Question
from audit.accounting.sampling import Schedule, epsilon_for_sampler

ENTRIES = json.loads((Path(__file__).parent / "reference.json").read_text(encoding="utf-8"))
Inputs = dict[str, Any]


def training(i: Inputs) -> Any:
    return m.dp_sgd(i["sigma"], i["q"], i["steps"])


def shuffled(i: Inputs, sampler: str) -> Bracket:
    schedule = Schedule(sampler, batch_size=1, records=i.get("steps_per_epoch", 1), epochs=i["epochs"])
    return epsilon_for_sampler(schedule, i["sigma"], i["delta"])


def one_step_delta(i: Inputs) -> Bracket:
    question = Question(m.dp_sgd(i["sigma"], i["q"], 1), 1e-9, i["k"], NeighboringRelation.ADD_OR_REMOVE_ONE)
    removing = question.directions[0]
    value, bound = contour.delta(removing, i["eps"]), pld.deltas(removing, [i["eps"]])[0]
    return Bracket(min(value, bound), bound, "delta")


def fixed_size(i: Inputs) -> Bracket:
    schedule = Schedule("fixed-size", batch_size=i["B"], records=i["N"], steps=i["steps"])
    return epsilon_for_sampler(schedule, i["sigma"], i["delta"], group_size=i["k"])


def one_run(i: Inputs) -> float:
    return canaries.one_run_lower_bound(i["m"], i["guesses"], i["correct"], i["delta"], i["p"])


REPLACE = NeighboringRelation.REPLACE_ONE
TWO_SIDED: dict[str, Callable[[Inputs], Bracket]] = {
    "example_poisson": lambda i: epsilon(training(i), i["delta"]),
    "group_poisson_mog": lambda i: epsilon(training(i), i["delta"], group_size=i["k"]),
    "group_fixed_size_wor_addremove": fixed_size,
    "example_poisson_replace_one": lambda i: epsilon(training(i), i["delta"], neighboring_relation=REPLACE),
    "deterministic_batches_zero_out": lambda i: shuffled(i, "deterministic"),
    "train_plus_laplace_histogram": lambda i: epsilon(
        histogram.with_laplace_histogram(training(i), i["laplace_eps"]), i["delta"]
    ),
    "gaussian": lambda i: epsilon(m.gaussian(i["sigma"]), i["delta"]),
    "mog_one_step_delta": one_step_delta,
}
ONE_SIDED: dict[str, Callable[[Inputs], float]] = {
    "example_poisson_rdp": lambda i: epsilon(training(i), i["delta"], accountant="rdp").upper,
    "example_poisson_rdp_old_conversion": lambda i: epsilon(training(i), i["delta"], accountant="rdp-old").upper,
    "group_blackbox_single_point": lambda i: black_box.group_delta(i["eps"], i["delta"], i["k"]),
    "shuffle_persistent_lower_bound": lambda i: shuffled(i, "shuffle-once").lower,
    "shuffle_dynamic_lower_bound": lambda i: shuffled(i, "shuffle-each-epoch").lower,
    "hyperparam_geometric": lambda i: (
        epsilon(tuning.best_of_random_runs(training(i), i["mean_trials"]), i["delta"]).upper
    ),
    "random_allocation_1_of_n": lambda i: random_allocation.epsilon(i["sigma"], i["n"], i["epochs"], i["delta"]).upper,
    "one_run_audit": one_run,
    "tpr_at_fpr_from_point": lambda i: tradeoff.tpr_from_point(i["eps"], i["delta"], i["fpr"]),
}


def test_every_kind_of_entry_is_priced() -> None:
    assert {entry["kind"] for entry in ENTRIES} == TWO_SIDED.keys() | ONE_SIDED.keys()


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e["kind"] in TWO_SIDED], ids=lambda entry: entry["id"])
def test_both_ends_of_the_bracket_meet_the_reference(entry: dict[str, Any]) -> None:
    bracket = TWO_SIDED[entry["kind"]](entry["inputs"])
    assert bracket.agree
    assert bracket.lower == pytest.approx(entry["expected"], abs=entry["abs_tol"])
    assert bracket.upper == pytest.approx(entry["expected"], abs=entry["abs_tol"])


@pytest.mark.parametrize("entry", [e for e in ENTRIES if e["kind"] in ONE_SIDED], ids=lambda entry: entry["id"])
def test_the_bound_meets_the_reference(entry: dict[str, Any]) -> None:
    assert ONE_SIDED[entry["kind"]](entry["inputs"]) == pytest.approx(entry["expected"], abs=entry["abs_tol"])


def test_group_curve_of_the_small_setting_reads_as_published() -> None:
    training_run = m.dp_sgd(0.803223, 32 / 13000, 20000)
    found = [epsilon(training_run, 1 / 130000, group_size=k) for k in (1, 2, 4, 8, 16)]
    assert [float(f"{b.lower:.3g}") for b in found] == [2.98, 6.59, 15.2, 37.5, 101]
    assert [float(f"{b.upper:.3g}") for b in found] == [2.98, 6.59, 15.2, 37.5, 101]


def test_k_epsilon_bounds_nothing_from_either_side() -> None:
    small = epsilon(m.dp_sgd(0.803223, 32 / 13000, 20000), 1 / 130000, group_size=4)
    large = epsilon(m.dp_sgd(0.635376, 4096 / 1.9e6, 2319), 3.640468437434577e-08, group_size=4)
    assert black_box.naive_epsilon(2.98042, 4) < small.lower
    assert black_box.naive_epsilon(3.98845, 4) > large.upper


def test_deterministic_order_bounds_the_shuffles() -> None:
    assert shuffle.persistent_shuffle_lower(0.803223, 49, 406, 1 / 130000) <= shuffle.deterministic_epsilon(
        0.803223, 49, 1 / 130000
    )
