"""The private step against a loop over single records in plain autograd, and against the original code's numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from reimpl import dpsgd
from reimpl.bookkeeping import BookKeeper, supports
from reimpl.checkpoints import model_module
from reimpl.diffusion import Diffusion
from reimpl.trainable import Example

MODELS = ("diffuseq", "seqdiffuseq", "genie")
WAYS = ("book-keeping", "hooks")
NO_DROPOUT = ("dropout", "attention_dropout", "encoder_dropout", "activation_dropout")


def trainable(make: Callable[..., Any], name: str, **changes: Any) -> tuple[Diffusion, dict[str, Tensor]]:
    """A tiny model in train mode without dropout, and a batch in which a padding row of an embedding is met."""
    known = model_module(name).Config.__dataclass_fields__
    tiny = make(name, **{key: 0.0 for key in NO_DROPOUT if key in known}, **changes)
    batch = {key: value.clone() for key, value in tiny.batch.items()}
    if name == "seqdiffuseq":
        batch["input_ids"][0, 1] = tiny.config.padding_idx
    return Diffusion(name, tiny.model.train(), None), batch


def draws(model: Diffusion, count: int = 4, seed: int = 3) -> dict[str, Tensor]:
    return dict(model.draw(count, torch.Generator().manual_seed(seed)))


def step_for(model: Diffusion, clip_norm: float = 0.5, noise: float = 0.0, **options: Any) -> dpsgd.PrivateStep:
    return dpsgd.PrivateStep(model, dpsgd.Mechanism(clip_norm, noise, 4.0), **options)


def clipped(step: dpsgd.PrivateStep, batch: Mapping[str, Tensor], drawn: Mapping[str, Tensor]) -> Tensor:
    total = step.zeros()
    step.accumulate(total, batch, drawn)
    return dpsgd.flat(total)


def one_by_one(model: Diffusion, batch: Mapping[str, Tensor], drawn: Mapping[str, Tensor], clip_norm: float) -> Tensor:
    """The oracle: each record alone through autograd, scaled to the clip norm, added up."""
    parameters = [p for p in model.module.parameters() if p.requires_grad]
    total = torch.zeros(sum(p.numel() for p in parameters))
    for row in range(len(drawn["t"])):
        only = slice(row, row + 1)
        loss = model.per_record_loss(
            model.module, {k: v[only] for k, v in batch.items()}, {k: v[only] for k, v in drawn.items()}
        )
        found = torch.autograd.grad(loss.sum(), parameters, allow_unused=True)
        gradient = torch.cat([torch.zeros(p.numel()) if g is None else g.reshape(-1)
                              for p, g in zip(parameters, found, strict=True)])  # fmt: skip
        total += gradient * min(1.0, clip_norm / float(gradient.double().norm()))
    return total


def distance(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("clip_norm", [0.05, 1e6])
@pytest.mark.parametrize("by", WAYS)
def test_a_batch_sums_to_what_one_record_at_a_time_sums_to(make: Any, name: str, clip_norm: float, by: str) -> None:
    changes = {} if name == "seqdiffuseq" else {"position_ids_shared": False}
    model, batch = trainable(make, name, **changes)
    drawn = draws(model)
    if name == "seqdiffuseq":
        drawn["self_conditioned"] = torch.tensor([True, False, True, False])
    expected = one_by_one(model, batch, drawn, clip_norm)
    assert distance(clipped(step_for(model, clip_norm, by=by), batch, drawn), expected) <= 1e-5


@pytest.mark.parametrize("by", WAYS)
def test_what_is_frozen_takes_no_part_in_norm_and_sum(make: Any, by: str) -> None:
    model, batch = trainable(make, "diffuseq", position_ids_shared=False)
    for name in ("word_embedding.weight", "LayerNorm.bias", "input_up_proj.0.weight"):
        model.module.get_parameter(name).requires_grad_(False)
    drawn = draws(model)
    expected = one_by_one(model, batch, drawn, 0.05)
    assert distance(clipped(step_for(model, 0.05, by=by), batch, drawn), expected) <= 1e-5


@pytest.mark.parametrize("by", WAYS)
def test_a_record_with_an_infinite_loss_leaves_the_sum_of_the_others(make: Any, by: str) -> None:
    model, batch = trainable(make, "genie", position_ids_shared=False)
    drawn = draws(model)
    without = [{k: v[1:] for k, v in part.items()} for part in (batch, drawn)]
    step = step_for(model, by=by)
    expected = clipped(step, *without)
    drawn["noise_q"][0] = float("inf")
    assert distance(clipped(step, batch, drawn), expected) <= 1e-5


@pytest.mark.parametrize("name", ["diffuseq", "genie"])
def test_a_position_table_shared_by_the_batch_sums_to_something_else(make: Any, name: str) -> None:
    model, batch = trainable(make, name, position_ids_shared=True)
    drawn = draws(model)
    expected = one_by_one(model, batch, drawn, 0.5)
    assert distance(clipped(step_for(model, batch_shared_positions=True), batch, drawn), expected) > 1e-3


def test_stock_hooks_count_a_module_once_for_each_of_its_names(make: Any) -> None:
    model, batch = trainable(make, "seqdiffuseq")
    drawn = draws(model)
    expected = one_by_one(model, batch, drawn, 1e6)
    assert distance(clipped(step_for(model, 1e6, stock_hooks=True), batch, drawn), expected) > 1e-3


@pytest.mark.parametrize("name", ["diffuseq", "genie"])
@pytest.mark.parametrize("by", WAYS)
def test_a_shared_position_table_is_refused_unless_it_is_asked_for(make: Any, name: str, by: str) -> None:
    model, batch = trainable(make, name, position_ids_shared=True)
    with pytest.raises(ValueError, match="saw another batch"):
        clipped(step_for(model, by=by), batch, draws(model))


def test_book_keeping_refuses_a_layer_it_does_not_know() -> None:
    class Scaled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line, self.scale = torch.nn.Linear(2, 1), torch.nn.Parameter(torch.ones(1))

    assert not supports(Scaled())
    with pytest.raises(ValueError, match="Linear, Embedding and LayerNorm only"):
        BookKeeper(Scaled())


@pytest.mark.parametrize("name", ["diffuseq", "genie"])
def test_one_record_moves_the_corrected_sum_by_no_more_than_the_clip_norm(make: Any, name: str) -> None:
    model, batch = trainable(make, name, position_ids_shared=False)
    drawn = draws(model) | {"weight": torch.tensor([1.0, 1.0, 1.0, 1000.0])}
    step = step_for(model, 0.1)
    without = [{k: v[:3] for k, v in part.items()} for part in (batch, drawn)]
    assert (clipped(step, batch, drawn) - clipped(step, *without)).norm() <= 0.1 * (1 + 1e-5)


@pytest.mark.parametrize("name", ["diffuseq", "genie"])
def test_one_record_moves_the_published_sum_by_more_than_the_clip_norm(make: Any, name: str) -> None:
    model, batch = trainable(make, name, position_ids_shared=True)
    drawn = draws(model) | {"weight": torch.tensor([1.0, 1.0, 1.0, 1000.0])}
    step = step_for(model, 0.1, batch_shared_positions=True)
    without = [{k: v[:3] for k, v in part.items()} for part in (batch, drawn)]
    assert (clipped(step, batch, drawn) - clipped(step, *without)).norm() > 0.15


def test_physical_batches_add_up_to_the_logical_one(make: Any) -> None:
    model, batch = trainable(make, "genie", position_ids_shared=False)
    drawn, step = draws(model), step_for(model)
    total = step.zeros()
    for part in (slice(0, 1), slice(1, 4)):
        step.accumulate(total, {k: v[part] for k, v in batch.items()}, {k: v[part] for k, v in drawn.items()})
    assert distance(dpsgd.flat(total), clipped(step, batch, drawn)) <= 1e-5


@pytest.mark.parametrize(("below", "within"), [(dpsgd.ONE_THREAD_BELOW, 1), (0, 2)])
def test_a_small_model_steps_on_one_thread_and_gives_the_others_back(
    make: Any, monkeypatch: pytest.MonkeyPatch, below: int, within: int
) -> None:
    monkeypatch.setattr(dpsgd, "ONE_THREAD_BELOW", below)
    model, batch = trainable(make, "genie", position_ids_shared=False)
    seen: list[int] = []

    def collate(_: Any) -> dict[str, Tensor]:
        seen.append(torch.get_num_threads())
        return batch

    monkeypatch.setattr(model, "collate", collate)
    step, before = step_for(model), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        step.clipped_sum([Example("", "")] * 4, torch.Generator().manual_seed(0))
        assert (seen, torch.get_num_threads()) == ([within], 2)
    finally:
        torch.set_num_threads(before)


def golden_batch(name: str, arrays: Mapping[str, Any], which: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    def take(key: str) -> Tensor:
        return torch.from_numpy(arrays[f"{which}_{key}"])

    if name == "diffuseq":
        batch = {"input_ids": take("ids"), "input_mask": take("mask")}
    elif name == "genie":
        source = take("src")
        batch = {"src_input_ids": source, "src_attention_mask": (source != 0).long(), "tgt_input_ids": take("tgt")}
    else:
        batch = {"input_ids": take("src"), "attention_mask": take("am"), "decoder_input_ids": take("tgt")}
    weight = take("w").float() if f"{which}_w" in arrays else torch.ones(8)
    return batch, {"t": take("t"), "weight": weight, "noise_start": take("n_emb"), "noise_q": take("n_q")}


@pytest.mark.parametrize("which", ["D", "Dswap"])
@pytest.mark.parametrize("variant", ["fork", "correct"])
@pytest.mark.parametrize("name", MODELS)
def test_the_clipped_sum_is_that_of_the_original_code(golden: Path, name: str, variant: str, which: str) -> None:
    folder, published = golden / name, variant == "fork"
    arrays, weights = np.load(folder / "dp_sensitivity.npz"), np.load(folder / "weights.npz")
    code = model_module(name)
    config = code.Config.from_published(json.loads((folder / "config.json").read_text()))
    config = replace(config, **{key: 0.0 for key in NO_DROPOUT if hasattr(config, key)})
    if name != "seqdiffuseq":
        config = replace(config, position_ids_shared=published)
    module = code.Model.from_published({key: torch.from_numpy(weights[key]) for key in weights}, config).train()
    names = [str(parameter) for parameter in arrays["param_names"]]
    for key, parameter in module.named_parameters():
        parameter.requires_grad_(key in names)
    step = step_for(Diffusion(name, module, None), 1.0, batch_shared_positions=published, stock_hooks=published)
    total = step.zeros()
    step.accumulate(total, *golden_batch(name, arrays, which))
    ours = dpsgd.flat({key: total[key] for key in names})
    assert distance(ours, torch.from_numpy(arrays[f"{variant}_clipped_sum_{which}"])) <= 1e-4
    other = "correct" if published else "fork"
    assert distance(ours, torch.from_numpy(arrays[f"{other}_clipped_sum_{which}"])) > 1e-3


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 6), st.floats(1e-3, 1e3), st.floats(1e-6, 1e6), st.integers(0, 2**31))
def test_clipped_gradients_never_add_up_to_more_than_one_clip_norm_a_record(
    records: int, clip_norm: float, scale: float, seed: int
) -> None:
    rng = torch.Generator().manual_seed(seed)
    gradients = {
        "a": scale * torch.randn(records, 3, 2, generator=rng),
        "b": scale * torch.randn(records, generator=rng),
    }
    total = dpsgd.flat(dpsgd.clipped_sums(gradients, clip_norm))
    assert total.norm() <= records * clip_norm * (1 + 1e-5)
    single = [dpsgd.flat(dpsgd.clipped_sums({k: g[i : i + 1] for k, g in gradients.items()}, clip_norm))
              for i in range(records)]  # fmt: skip
    assert torch.allclose(total, torch.stack(single).sum(0), atol=1e-4 * clip_norm * records)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_record_without_a_finite_gradient_contributes_nothing(bad: float) -> None:
    good = torch.tensor([[3.0, 4.0], [0.3, 0.4]])
    with_bad = torch.cat([good, torch.tensor([[bad, 1.0]])])
    assert torch.equal(dpsgd.clipped_sums({"a": with_bad}, 1.0)["a"], dpsgd.clipped_sums({"a": good}, 1.0)["a"])


def test_noise_has_the_standard_deviation_of_noise_multiplier_times_clip_norm(make: Any) -> None:
    model, _ = trainable(make, "diffuseq", position_ids_shared=False)
    step = step_for(model, clip_norm=0.5, noise=3.0)
    generator = torch.Generator().manual_seed(1)
    noise = torch.cat([dpsgd.flat(step.add_noise(step.zeros(), generator)) for _ in range(60)])
    deviations = float(noise.std() / 1.5 - 1) * (2 * len(noise)) ** 0.5  # in standard errors
    assert abs(deviations) < 5
    assert (2 * len(noise)) ** -0.5 < 0.002, "enough draws to see one percent"
    assert abs(float(noise.mean())) < 5 * 1.5 / len(noise) ** 0.5


def test_an_empty_batch_is_all_noise_and_moves_the_weights(make: Any) -> None:
    model, _ = trainable(make, "genie", position_ids_shared=False)
    optimizer = torch.optim.SGD(model.module.parameters(), lr=1.0)
    step = dpsgd.PrivateStep(model, dpsgd.Mechanism(1.0, 2.0, 8.0), optimizer)
    before = {name: p.detach().clone() for name, p in step.parameters.items()}
    total = step.clipped_sum([], torch.Generator().manual_seed(1))
    assert not dpsgd.flat(total).any()
    noisy = step.add_noise(total, torch.Generator().manual_seed(2))
    step.update(noisy)
    moved = dpsgd.flat({name: before[name] - p.detach() for name, p in step.parameters.items()})
    assert torch.allclose(moved, dpsgd.flat(noisy) / 8, atol=1e-5)


def test_the_update_divides_by_the_expected_batch_whatever_was_drawn(make: Any) -> None:
    model, batch = trainable(make, "genie", position_ids_shared=False)
    optimizer = torch.optim.SGD(model.module.parameters(), lr=1.0)
    step = dpsgd.PrivateStep(model, dpsgd.Mechanism(1.0, 0.0, 100.0), optimizer)
    before = dpsgd.flat({name: p.detach().clone() for name, p in step.parameters.items()})
    total = step.zeros()
    step.accumulate(total, batch, draws(model))
    step.update(total)
    after = dpsgd.flat({name: p.detach() for name, p in step.parameters.items()})
    assert torch.allclose(before - after, dpsgd.flat(total) / 100, atol=1e-6)


def test_poisson_batches_have_a_binomial_size_and_every_record_its_own_coin() -> None:
    entropy, records, q, steps = dpsgd.Entropy(5), 50, 0.1, 4000
    batches = [dpsgd.poisson_batch(records, q, entropy.generator("sampling", step)) for step in range(steps)]
    sizes = np.array([len(batch) for batch in batches])
    counts = np.bincount(np.concatenate(batches).astype(int), minlength=records)
    error = (records * q * (1 - q) / steps) ** 0.5
    assert abs(sizes.mean() - records * q) < 5 * error
    assert abs(sizes.var() / (records * q * (1 - q)) - 1) < 0.15
    assert np.abs(counts - steps * q).max() < 5 * (steps * q * (1 - q)) ** 0.5


def test_random_numbers_repeat_with_a_seed_and_never_without() -> None:
    def first(entropy: dpsgd.Entropy, purpose: str, step: int) -> float:
        return float(torch.rand(1, generator=entropy.generator(purpose, step)))

    seeded = [first(dpsgd.Entropy(7), purpose, step) for purpose in ("noise", "sampling") for step in (0, 1)]
    assert seeded == [first(dpsgd.Entropy(7), purpose, step) for purpose in ("noise", "sampling") for step in (0, 1)]
    assert len(set(seeded)) == 4
    assert first(dpsgd.Entropy(), "noise", 0) != first(dpsgd.Entropy(), "noise", 0)
    assert dpsgd.Entropy().kind == "os-entropy"
    assert dpsgd.Entropy(7).kind == "fixed-seed"
