"""Ours against the originals' numbers, and the runner against numbers that were tampered with or are missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reimpl import denoising
from reimpl.parity.golden import GoldenError
from reimpl.parity.report import table
from reimpl.parity.run import parity

COMPACT = Path(__file__).parent.parent / "golden"
NAMES = ("diffuseq", "genie", "seqdiffuseq")


def failed(result: Any) -> list[str]:
    return [f"{c.array}: {c.max_abs_diff} > {c.tolerance} {c.why}" for c in result.arrays if not c.passed]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", NAMES)
def test_ours_equals_the_original_on_the_compact_numbers(name: str, attention: str) -> None:
    result = parity(name, COMPACT / name, (attention,))
    assert not failed(result)
    assert len(result.arrays) == result.outputs >= 40


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("name", NAMES)
def test_ours_equals_the_original_on_the_full_numbers(golden: Path, name: str, attention: str) -> None:
    result = parity(name, golden / name, (attention,))
    assert not failed(result)
    assert len(result.arrays) >= 0.95 * result.outputs


def test_the_published_seqdiffuseq_chain_equals_the_original(tmp_path: Path) -> None:
    for file in [*(COMPACT / "seqdiffuseq-chain").iterdir(), *(COMPACT / "seqdiffuseq").glob("[cw]*")]:
        shutil.copy(file, tmp_path)
    result = parity("seqdiffuseq", tmp_path)
    assert not failed(result)
    assert [c.array for c in result.arrays] == ["sampling.npz:ddpm_sigmasmall", "sampling.npz:ddpm_sigmasmall_ids"]


def test_the_compact_numbers_stay_small_and_hold_numbers_only() -> None:
    for name in NAMES:
        folders = [COMPACT / name, COMPACT / f"{name}-chain"]
        files = [file for folder in folders if folder.is_dir() for file in folder.iterdir()]
        assert sum(file.stat().st_size for file in files) <= 1_500_000
        for file in files:
            arrays = dict(np.load(file)) if file.suffix == ".npz" else {}
            assert all(array.dtype.kind in "fiub" for array in arrays.values())


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[str], Path]:
    return lambda name: Path(shutil.copytree(COMPACT / name, tmp_path / name))


def rewrite(folder: Path, file: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    np.savez(folder / file, **change(dict(np.load(folder / file))))


@pytest.mark.parametrize(
    ("file", "array", "shift"),
    [
        ("forward.npz", "x0_f32", 3e-5),
        ("forward.npz", "x0_f64", 1e-7),
        ("forward.npz", "rounded_ids", 1),
        ("schedule_T10.npz", "posterior_mean_coef1", 1e-10),
        ("sampler.npz", "weights_after_update", 1e-15),
        ("losses_T50.npz", "loss_f32", 1e-3),
        ("grads_T50_f64.npz", "lm_head.bias", 1e-3),
        ("sampling.npz", "ddpm_clamp", 3e-4),
    ],
)
def test_a_number_moved_beyond_its_tolerance_fails_alone(
    copied: Callable[[str], Path], file: str, array: str, shift: float
) -> None:
    folder = copied("diffuseq")

    def moved(arrays: dict[str, Any]) -> dict[str, Any]:
        changed = arrays[array].copy()
        changed.flat[-1] += type(changed.flat[-1])(shift)
        return arrays | {array: changed}

    rewrite(folder, file, moved)
    assert [line.partition(": ")[0] for line in failed(parity("diffuseq", folder, ("sdpa",)))] == [f"{file}:{array}"]


def test_arrays_that_a_folder_lacks_are_listed_with_the_reason(copied: Callable[[str], Path]) -> None:
    folder = copied("diffuseq")
    rewrite(folder, "forward.npz", lambda arrays: {k: v for k, v in arrays.items() if k != "logits_f32"})
    rewrite(folder, "inputs.npz", lambda arrays: {k: v for k, v in arrays.items() if k != "x_start_q"})
    rewrite(folder, "sampling.npz", lambda arrays: {k: v for k, v in arrays.items() if k != "step_noise"})
    result = parity("diffuseq", folder, ("sdpa",))
    assert not failed(result)
    assert result.not_compared["forward.npz:logits_f32"] == "the folder lacks it"
    assert result.not_compared["q_T50.npz:q_mean"] == "needs inputs.npz:x_start_q, which the folder lacks"
    assert result.not_compared["sampling.npz:ddpm_clamp"] == "needs sampling.npz:step_noise, which the folder lacks"
    assert result.outputs > len(result.arrays)


def test_an_array_that_no_rule_knows_is_listed(copied: Callable[[str], Path]) -> None:
    folder = copied("genie")
    rewrite(folder, "forward.npz", lambda arrays: arrays | {"surprise": np.zeros(3)})
    np.savez(folder / "surprise.npz", a=np.zeros(2))
    result = parity("genie", folder, ("sdpa",))
    assert {result.not_compared[a] for a in ("forward.npz:surprise", "surprise.npz:a")} == {"no rule for this array"}


def test_not_a_number_in_a_golden_array_is_a_failure(copied: Callable[[str], Path]) -> None:
    folder = copied("genie")
    rewrite(folder, "forward.npz", lambda arrays: arrays | {"x0_f32": np.full_like(arrays["x0_f32"], np.nan)})
    result = parity("genie", folder, ("sdpa",))
    assert failed(result)[0].startswith("forward.npz:x0_f32: None")
    assert "NaN" not in json.dumps(result.as_json())


def test_original_numbers_cut_to_two_records_are_compared_as_well(copied: Callable[[str], Path]) -> None:
    """Records are independent, so half a batch of the original's numbers is a golden folder of another size."""
    folder = copied("diffuseq")
    (folder / "grads_T50_f64.npz").unlink()  # a mean over the batch
    batch = len(np.load(folder / "inputs.npz")["input_ids"])

    def cut(arrays: dict[str, Any]) -> dict[str, Any]:
        kept = {name: array for name, array in arrays.items() if "grad_norm" not in name and "topp" not in name}
        axes = {name: array.shape.index(batch) if batch in array.shape[:2] else None for name, array in kept.items()}
        return {name: a if axes[name] is None else a.take([0, 2], axes[name]) for name, a in kept.items()}

    for file in ("inputs.npz", "forward.npz", "q_T50.npz", "p_mean_variance_T50.npz", "losses_T50.npz"):
        rewrite(folder, file, cut)
    rewrite(folder, "losses_T2000.npz", cut)
    rewrite(folder, "sampling.npz", cut_chains)
    result = parity("diffuseq", folder, ("sdpa",))
    assert not failed(result)
    assert len(result.arrays) == result.outputs


def cut_chains(arrays: dict[str, Any]) -> dict[str, Any]:
    kept = {name: array for name, array in arrays.items() if "topp" not in name}
    steps_first = {name for name, array in kept.items() if array.ndim == 4}
    return {name: array[:, [0, 2]] if name in steps_first else array[[0, 2]] for name, array in kept.items()}


SETTINGS = {
    "bert_config": {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "intermediate_size": 40,
        "max_position_embeddings": 30,
        "layer_norm_eps": 1e-12,
        "attention_probs_dropout_prob": 0.0,
    },
    "model": {"vocab_size": 61, "input_dims": 10, "hidden_t_dim": 14, "logits_mode": 1, "dropout": 0.0},
    "seq_len": 11,
    "diffusion": {"noise_schedule": "sqrt", "sigma_small": False},
}


def test_sizes_timesteps_and_gaps_are_read_from_the_folder(make: Callable[..., Any], tmp_path: Path) -> None:
    sizes = {"vocab_size": 61, "hidden_size": 24, "num_layers": 3, "num_heads": 3, "intermediate_size": 40}
    sizes |= {"max_positions": 30, "embedding_size": 10, "time_size": 14, "length": 11, "num_timesteps": 14}
    tiny = make("diffuseq", **sizes, attention="eager")
    (tmp_path / "config.json").write_text(json.dumps(SETTINGS))
    np.savez(tmp_path / "weights.npz", **{key: value.numpy() for key, value in tiny.model.state_dict().items()})
    inputs = {**tiny.batch, "x_t": tiny.x_t, "noise_emb": tiny.noise["noise_start"], "noise_q": tiny.noise["noise_q"]}
    np.savez(tmp_path / "inputs.npz", **{key: value.numpy() for key, value in inputs.items()})
    process, t = tiny.config.process(), torch.tensor([0, 5, 9, 13])
    with torch.no_grad():
        x_0 = tiny.model(tiny.x_t, denoising.network_time(process, t))
        mse = tiny.module.loss(tiny.model, process, tiny.batch, t, **tiny.noise).mse
    noise = torch.randn(14, *tiny.x_t.shape)
    draws = iter([tiny.x_t, *noise])
    options = {"steps": range(13, -1, -4), "method": "ddim"}
    chain = list(tiny.module.sample(tiny.model, process, tiny.source, noise=draws, **options))
    np.savez(tmp_path / "forward.npz", model_t=denoising.network_time(process, t).numpy(), x0_f32=x_0.numpy())
    np.savez(tmp_path / "losses_T14.npz", t=t.numpy(), weights=np.ones(4, np.float32), mse_f32=mse.numpy())
    np.savez(tmp_path / "schedule_T14.npz", alphas_cumprod=process.alpha_bar, betas=process.betas)
    arrays = {"x_init": tiny.x_t, "step_noise": noise, "ddim_clamp_gap4": torch.stack(chain)}
    np.savez(tmp_path / "sampling.npz", **{key: value.numpy() for key, value in arrays.items()})
    result = parity("diffuseq", tmp_path, ("eager",))
    assert not failed(result)
    assert {c.array for c in result.arrays} == {
        "forward.npz:x0_f32",
        "losses_T14.npz:mse_f32",
        "schedule_T14.npz:alphas_cumprod",
        "schedule_T14.npz:betas",
        "sampling.npz:ddim_clamp_gap4",
    }


def test_the_table_says_how_much_was_compared(copied: Callable[[str], Path]) -> None:
    text = table(parity("seqdiffuseq", copied("seqdiffuseq"), ("sdpa",)))
    assert "pass  forward.npz:x0_sc_f32" in text
    assert "input: the weights: weights.npz (" in text
    assert text.endswith("seqdiffuseq (sdpa): 44 of 44 output arrays compared, 44 within tolerance")


def test_a_folder_that_cannot_be_used_is_refused_in_one_line(copied: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(GoldenError, match="no such folder; expected a golden folder"):
        parity("genie", tmp_path / "nowhere")
    folder = copied("genie")
    shutil.copy(COMPACT / "diffuseq" / "weights.npz", folder)
    with pytest.raises(GoldenError, match=r"weights\.npz: state_dict: .* keys missing"):
        parity("genie", folder)
    (folder / "weights.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(GoldenError, match=r"weights\.npz: truncated, or not an array file"):
        parity("genie", folder)
    (folder / "weights.npz").unlink()
    with pytest.raises(GoldenError, match=r"weights\.npz is missing"):
        parity("genie", folder)


def test_pickled_arrays_are_never_loaded(copied: Callable[[str], Path]) -> None:
    folder = copied("genie")
    np.savez(folder / "forward.npz", x0_f32=np.array([{"code": 1}], dtype=object))
    with pytest.raises(GoldenError, match=r"forward\.npz: truncated, or not an array file"):
        parity("genie", folder)
