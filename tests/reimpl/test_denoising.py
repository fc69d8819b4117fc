"""Noising, rounding and reverse steps against brute force and known identities."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reimpl import denoising
from reimpl.schedules import Process

PROCESS = Process.named("sqrt", 50)
seeds = st.integers(0, 2**31)


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seeds, st.integers(0, 49))
def test_partial_noising_leaves_the_source_untouched(seed: int, t: int) -> None:
    x_start, noise, mask = normal(seed, 3, 6, 4), normal(seed + 1, 3, 6, 4), normal(seed + 2, 3, 6) > 0
    x_t = denoising.q_sample(PROCESS, x_start, torch.full((3,), t), noise, mask.long())
    plain = denoising.q_sample(PROCESS, x_start, torch.full((3,), t), noise)
    assert torch.equal(x_t[~mask], x_start[~mask])
    assert torch.equal(x_t[mask], plain[mask])


def test_q_samples_have_the_stated_mean_and_variance() -> None:
    t = torch.full((20_000,), 20)
    x_t = denoising.q_sample(PROCESS, torch.full((20_000, 1, 1), 2.0), t, normal(0, 20_000, 1, 1))
    assert float(x_t.mean()) == pytest.approx(2 * np.sqrt(PROCESS.alpha_bar[20]), abs=0.02)
    assert float(x_t.var()) == pytest.approx(1 - PROCESS.alpha_bar[20], rel=0.03)


@given(seeds, st.integers(1, 40))
def test_rounding_finds_the_nearest_row_whatever_the_block(seed: int, block: int) -> None:
    embedding, x_0 = normal(seed, 23, 5), normal(seed + 1, 2, 7, 5)
    rounded = denoising.round_to_embeddings(x_0, embedding, block=block)
    brute = ((x_0[..., None, :] - embedding) ** 2).sum(-1)
    assert torch.equal(rounded.ids, brute.argmin(-1))
    assert torch.equal(rounded.x_0, embedding[brute.argmin(-1)])
    assert torch.allclose(rounded.neg_sq_distance, -brute.min(-1).values)


@given(seeds)
def test_rounding_twice_is_rounding_once(seed: int) -> None:
    embedding = normal(seed, 30, 4)
    once = denoising.round_to_embeddings(normal(seed + 1, 2, 5, 4), embedding)
    twice = denoising.round_to_embeddings(once.x_0, embedding)
    assert torch.equal(twice.x_0, once.x_0)
    assert torch.equal(twice.ids, once.ids)


def test_equal_distances_round_to_the_lower_id() -> None:
    embedding = torch.tensor([[5.0], [1.0], [-1.0], [1.0]])
    for block in (1, 2, 4):
        assert denoising.round_to_embeddings(torch.zeros(1, 1, 1), embedding, block=block).ids.item() == 1


@given(seeds, st.integers(1, 49))
def test_ddim_with_eta_one_is_an_ancestral_step_with_the_small_variance(seed: int, step: int) -> None:
    x_0, x_t, z = (normal(seed + i, 2, 3, 4) for i in range(3))
    t = torch.full((2,), step)
    p = denoising.p_mean_variance(PROCESS, x_0, x_t, t, "fixed_small")
    ours = denoising.ddim_step(PROCESS, x_0, x_t, t, z, eta=1.0)
    assert torch.allclose(ours, denoising.ancestral_step(p, t, z), atol=2e-3)  # float32 coefficients, 1/abar large


@given(seeds, st.integers(1, 48))
def test_deterministic_ddim_follows_the_path_of_one_noise_draw(seed: int, step: int) -> None:
    x_0, z = normal(seed, 2, 3, 4), normal(seed + 1, 2, 3, 4)
    t = torch.full((2,), step)
    x_t = denoising.q_sample(PROCESS, x_0, t, z)
    back = denoising.ddim_step(PROCESS, x_0, x_t, t, z)
    assert torch.allclose(back, denoising.q_sample(PROCESS, x_0, t - 1, z), atol=1e-4)
    forth = denoising.ddim_reverse_step(PROCESS, x_0, x_t, t)
    assert torch.allclose(forth, denoising.q_sample(PROCESS, x_0, t + 1, z), atol=1e-4)
    assert torch.allclose(denoising.predicted_noise(PROCESS, x_0, x_t, t), z, atol=1e-3)


def test_clean_ddim_lands_on_the_next_kept_timestep_and_at_last_on_x_0() -> None:
    x_0, z = normal(0, 2, 3, 4), normal(1, 2, 3, 4)
    t, kept = torch.full((2,), 40), torch.full((2,), 12)
    x_t = denoising.q_sample(PROCESS, x_0, t, z)
    skipped = denoising.ddim_step(PROCESS, x_0, x_t, t, z, previous=kept)
    assert torch.allclose(skipped, denoising.q_sample(PROCESS, x_0, kept, z), atol=1e-4)
    assert torch.allclose(denoising.ddim_step(PROCESS, x_0, x_t, t, z, previous=kept * 0 - 1), x_0, atol=1e-6)


def test_the_last_ancestral_step_adds_no_noise() -> None:
    x_0, x_t = normal(0, 2, 3, 4), normal(1, 2, 3, 4)
    t = torch.tensor([0, 1])
    p = denoising.p_mean_variance(PROCESS, x_0, x_t, t, "fixed_large")
    step = denoising.ancestral_step(p, t, torch.ones_like(x_t))
    assert torch.equal(step[0], p.mean[0])
    assert torch.allclose(step[1] - p.mean[1], torch.tensor(PROCESS.betas[1]).sqrt(), atol=1e-6)


@settings(max_examples=20)
@given(seeds, st.floats(0.3, 2))
def test_truncated_noise_stays_within_top_p(seed: int, top_p: float) -> None:
    draws = denoising.Draws(torch.Generator().manual_seed(seed), torch.zeros(1))
    assert draws.truncated((200,), top_p).abs().max() <= top_p


def test_a_generator_draws_the_same_noise_twice() -> None:
    first, second = (denoising.Draws(torch.Generator().manual_seed(1), torch.zeros(1)) for _ in range(2))
    assert torch.equal(first.normal((3, 2)), second.normal((3, 2)))
    assert first.uniform() == second.uniform()


def test_replayed_noise_of_the_wrong_shape_or_length_is_refused() -> None:
    draws = denoising.Draws(iter([torch.zeros(2, 3), torch.zeros(4)]), torch.zeros(1))
    draws.normal((2, 3))
    with pytest.raises(ValueError, match=r"noise: draw 2: expected shape \(2, 3\); got shape \(4,\)"):
        draws.normal((2, 3))
    with pytest.raises(ValueError, match=r"noise: draw 3: .* got nothing left"):
        draws.normal((2, 3))


def test_the_network_is_told_the_original_index_rescaled_to_a_thousand() -> None:
    spaced = Process.named("sqrt", 2000).respaced(20)
    assert denoising.network_time(spaced, torch.tensor([0, 1, 19])).tolist() == [0, 52.5, 999.5]


def test_chains_visit_every_gap_from_the_end_the_model_counts_from() -> None:
    assert denoising.descending(10, None) == list(range(9, -1, -1))
    assert denoising.descending(10, 5) == [8, 6, 4, 2, 0]
    assert denoising.descending(10, 5, from_last=True) == [9, 7, 5, 3, 1]
    assert denoising.descending(10, [7, 2]) == [7, 2]
    with pytest.raises(ValueError, match="steps: expected 1 to 10; got 0"):
        denoising.descending(10, 0)


def test_coefficients_follow_the_process_they_are_asked_of() -> None:
    x = torch.zeros(1, 1, 1)
    for process, step in zip((PROCESS, Process.named("cosine", 50)), count(3), strict=False):
        row = denoising.coefficient(process, "alpha_bar", torch.tensor([step]), x)
        assert row.item() == pytest.approx(process.alpha_bar[step])
