"""Schedules against closed forms, Bayes' rule and composed single steps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reimpl.schedules import NOISE_SCHEDULES, AdaptiveSchedule, Process, evenly_spaced, named_betas

chains = st.builds(Process.named, st.sampled_from(NOISE_SCHEDULES), st.integers(25, 300))


def test_the_sqrt_schedule_is_its_closed_form_but_for_the_last_step() -> None:
    process = Process.named("sqrt", 2000)
    signal = [1 - math.sqrt(step / 2000 + 1e-4) for step in range(2001)]
    closed = np.array(signal[1:]) / signal[0]
    assert np.abs(process.alpha_bar - closed)[:-1].max() < 1e-14
    assert process.betas[-1] == 0.999  # f(1) < 0, so the step is capped
    assert process.alpha_bar[0] == pytest.approx(0.985359, abs=5e-7)
    assert process.alpha_bar[1998] == pytest.approx(2.0204e-4, rel=1e-5)
    assert process.alpha_bar[1999] == pytest.approx(2.0204e-7, rel=1e-5)


@given(chains)
def test_alpha_bar_decreases_within_zero_and_one(process: Process) -> None:
    assert (np.diff(process.alpha_bar) < 0).all()
    assert process.alpha_bar[0] < 1
    assert process.alpha_bar[-1] > 0


@given(chains, st.integers(2, 25))
def test_the_marginal_of_q_equals_composed_single_steps(process: Process, steps: int) -> None:
    for chain in (process, process.respaced(steps)):
        share, variance = 1.0, 0.0
        for t, beta in enumerate(chain.betas):
            share, variance = share * math.sqrt(1 - beta), (1 - beta) * variance + beta
            assert chain.sqrt_alpha_bar[t] == pytest.approx(share, rel=1e-9)
            assert chain.one_minus_alpha_bar[t] == pytest.approx(variance, rel=1e-9)


@given(chains, st.data())
def test_the_posterior_is_bayes_rule(process: Process, data: st.DataObject) -> None:
    t = data.draw(st.integers(1, process.num_timesteps - 1))
    beta, before = process.betas[t], process.alpha_bar[t - 1]
    precision = (1 - beta) / beta + 1 / (1 - before)  # of x_{t-1} under q(x_t | x_{t-1}) q(x_{t-1} | x_0)
    assert process.posterior_variance[t] == pytest.approx(1 / precision, rel=1e-6)
    assert process.posterior_mean_x_t[t] == pytest.approx(math.sqrt(1 - beta) / beta / precision, rel=1e-6)
    assert process.posterior_mean_x_0[t] == pytest.approx(math.sqrt(before) / (1 - before) / precision, rel=1e-6)


@given(chains, st.integers(2, 25))
def test_respacing_keeps_alpha_bar_and_the_original_indices(process: Process, steps: int) -> None:
    spaced = process.respaced(steps)
    assert len(spaced.timestep_map) == steps
    assert spaced.timestep_map[0] == 0
    assert spaced.timestep_map[-1] == process.num_timesteps - 1
    assert np.allclose(spaced.alpha_bar, process.alpha_bar[spaced.timestep_map], rtol=1e-9)
    assert spaced.num_original == process.num_timesteps


def test_evenly_spaced_indices_are_the_rounded_fractions() -> None:
    assert evenly_spaced(10, 4) == [0, 3, 6, 9]
    assert evenly_spaced(5, 5) == [0, 1, 2, 3, 4]


def test_both_fixed_variances_take_the_second_posterior_variance_first() -> None:
    process = Process.named("sqrt", 30)
    second = process.posterior_variance[1]
    assert np.exp(process.fixed_small_log[0]) == pytest.approx(second)
    assert process.fixed_large[0] == second
    assert (process.fixed_large[1:] == process.betas[1:]).all()
    assert process.posterior_variance[0] == 0


def test_the_flattened_variance_reads_row_t_over_l_and_column_t_modulo_l() -> None:
    length, steps = 7, 60
    tables = np.linspace(0.9, 1.05, length)[None] * np.linspace(0.94, 0.05, steps)[:, None]
    start = Process.named("sqrt", steps).per_position(length, flatten_variance=True, keep_initial_betas=True)
    process = start.with_alpha_bar(tables)
    for t in range(steps):
        expected = process.posterior_variance[max(1, t // length), t % length]
        assert np.exp(process.fixed_small_log[t]) == pytest.approx(expected)


def test_without_the_quirk_every_position_has_its_own_variance() -> None:
    process = Process.named("sqrt", 20).per_position(3, flatten_variance=False, keep_initial_betas=False)
    assert process.fixed_small_log.shape == (20, 3)
    assert (process.fixed_large[1:] == process.betas[1:]).all()


def test_fixed_large_keeps_the_first_betas_only_with_the_quirk() -> None:
    table = np.tile(np.linspace(0.9, 0.1, 20)[:, None], (1, 3))
    full = Process.named("sqrt", 20)
    stale = full.per_position(3, flatten_variance=False, keep_initial_betas=True).with_alpha_bar(table)
    fresh = full.per_position(3, flatten_variance=False, keep_initial_betas=False).with_alpha_bar(table)
    assert np.allclose(stale.fixed_large[1:, 1], full.betas[1:])
    assert np.allclose(fresh.fixed_large[1:, 1], 1 - table[1:, 1] / table[:-1, 1])


def test_unknown_names_and_shapes_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="noise_schedule: expected one of sqrt"):
        named_betas("sigmoid", 10)
    with pytest.raises(ValueError, match="steps: expected 2 to 10; got 11"):
        Process.named("sqrt", 10).respaced(11)
    with pytest.raises(ValueError, match=r"alpha_bar: expected shape \(10, 3\)"):
        per_position(10, 3).with_alpha_bar(np.ones((9, 3)))


def per_position(steps: int, length: int) -> Process:
    full = Process.named("sqrt", steps).respaced(steps)
    return full.per_position(length, flatten_variance=True, keep_initial_betas=True)


histories = st.lists(st.tuples(st.integers(0, 39), st.floats(0, 5), st.booleans()), max_size=60)


@settings(max_examples=50)
@given(histories)
def test_an_adapted_schedule_never_rises_and_spares_the_first_position(
    history: list[tuple[int, float, bool]],
) -> None:
    start = per_position(40, 4)
    schedule = AdaptiveSchedule(start, granularity=5, stride=1)
    for t, loss, present in history:
        schedule.add([t], np.full((1, 4), loss * present), np.full((1, 4), present))
    adapted = schedule.update().alpha_bar
    assert (adapted[:, 0] == start.alpha_bar[:, 0]).all()
    assert (np.diff(adapted, axis=0) <= 0).all()
    assert adapted.min() >= start.alpha_bar.min()
    assert adapted.max() <= start.alpha_bar.max()


def test_timesteps_move_to_where_the_loss_changes() -> None:
    schedule = AdaptiveSchedule(per_position(40, 2), granularity=5, stride=1)
    schedule.sums[:] = np.array([0, 0, 0, 0, 9, 9, 9, 9.0])[:, None]  # all of the change is around t = 20
    before = schedule.process.alpha_bar[:, 1]
    band = (before[15:20].mean(), before[20:25].mean())
    after = schedule.update().alpha_bar[:, 1]
    assert ((after <= band[0]) & (after >= band[1])).mean() > 0.9


def test_the_history_restarts_after_an_update_with_one_count_each() -> None:
    schedule = AdaptiveSchedule(per_position(20, 3), granularity=5, stride=4)
    first = schedule.sums.copy()
    assert (first[:, 0] == [0, 0.5 / 3, 1 / 3, 0.5]).all()
    schedule.add([0, 19, 19], np.ones((3, 3)), np.ones((3, 3), dtype=bool))
    assert (schedule.counts[:, 0] == [2, 1, 1, 3]).all()
    schedule.update()
    assert (schedule.sums == first).all()
    assert (schedule.counts == 1).all()


def test_updates_are_due_at_multiples_of_the_stride_from_the_third_on() -> None:
    schedule = AdaptiveSchedule(per_position(20, 3), granularity=5, stride=4)
    assert [step for step in range(22) if schedule.is_due(step)] == [12, 16, 20]


@pytest.mark.parametrize("granularity", [0, 3, 20])
def test_a_schedule_refuses_bins_that_do_not_cut_its_timesteps_whole(granularity: int) -> None:
    with pytest.raises(ValueError, match=f"cuts 20 timesteps into two whole bins or more; got {granularity}"):
        AdaptiveSchedule(per_position(20, 3), granularity=granularity)
