"""Timestep samplers against their stated distributions, and the embedding against its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from reimpl.timesteps import FixedWeights, LossAware, Uniform, UniformLossWeighted, timestep_embedding

T, HISTORY = 8, 3


def warmed(kind: type[LossAware] = LossAware) -> LossAware:
    """A sampler whose last three losses at t are t + 1, t + 2, t + 3 (older ones are forgotten)."""
    sampler = kind(T, history=HISTORY)
    for age in range(5):
        sampler.update(range(T), [t + age - 1.0 for t in range(T)])
    return sampler


def stated() -> np.ndarray:
    moments = np.array([math.sqrt(((t + 1) ** 2 + (t + 2) ** 2 + (t + 3) ** 2) / 3) for t in range(T)])
    return 0.999 * moments / moments.sum() + 0.001 / T


def test_loss_aware_draws_follow_the_stated_distribution() -> None:
    t, _ = warmed().draw(40_000, np.random.default_rng(3))
    assert chisquare(np.bincount(t, minlength=T), stated() * len(t)).pvalue > 1e-3


def test_loss_aware_weights_are_one_over_t_times_p() -> None:
    t, weights = warmed().draw(100, np.random.default_rng(0))
    assert weights == pytest.approx(1 / (T * stated()[t]), rel=1e-6)


def test_sampling_stays_uniform_until_every_timestep_has_its_history() -> None:
    sampler = LossAware(T, history=HISTORY)
    for _ in range(HISTORY):
        sampler.update(range(T - 1), range(1, T))
    assert (sampler.weights == 1).all()
    t, weights = sampler.draw(8_000, np.random.default_rng(1))
    assert chisquare(np.bincount(t, minlength=T)).pvalue > 1e-3
    assert (weights == 1).all()


@given(st.lists(st.tuples(st.integers(0, T - 1), st.floats(0, 100)), max_size=80))
def test_the_history_is_the_last_losses_of_each_timestep(updates: list[tuple[int, float]]) -> None:
    sampler = LossAware(T, history=HISTORY)
    for t, loss in updates:
        sampler.update([t], [loss])
    for t in range(T):
        last = [loss for step, loss in updates if step == t][-HISTORY:]
        assert list(sampler.losses[t, : len(last)]) == last


def test_no_sampler_moves_the_expected_loss() -> None:
    losses = np.arange(T) ** 2.0
    for sampler in (Uniform(T), FixedWeights(T), warmed()):
        t, weights = sampler.draw(200_000, np.random.default_rng(5))
        assert (weights * losses[t]).mean() == pytest.approx(losses.mean(), rel=0.02)


def test_fixed_weights_draw_the_second_half_half_as_often() -> None:
    t, _ = FixedWeights(T).draw(30_000, np.random.default_rng(2))
    assert chisquare([(t < T // 2).sum(), (t >= T // 2).sum()], [20_000, 10_000]).pvalue > 1e-3


def test_uniform2_draws_uniformly_and_its_weights_average_one_in_the_batch() -> None:
    t, weights = warmed(UniformLossWeighted).draw(20_000, np.random.default_rng(4))
    assert chisquare(np.bincount(t, minlength=T)).pvalue > 1e-3
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    assert weights / weights[0] == pytest.approx(stated()[t] / stated()[t[0]], rel=1e-5)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=5), st.integers(1, 8).map(lambda half: 2 * half))
def test_the_embedding_is_cosines_then_sines_of_geometric_frequencies(taus: list[float], size: int) -> None:
    phi = timestep_embedding(torch.tensor(taus), size)
    for row, tau in zip(phi.tolist(), torch.tensor(taus).tolist(), strict=True):
        angles = [tau * 10000 ** (-2 * k / size) for k in range(size // 2)]
        assert row == pytest.approx([math.cos(a) for a in angles] + [math.sin(a) for a in angles], abs=2e-4)
