"""Makes the compact golden folders beside this file from full ones: python tests/golden/compact.py GOLDEN_ROOT

Arrays are dropped or cut to one record, never changed. The full folders are not part of the repository.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
GRADIENTS = (
    "word_embedding.weight",
    "lm_head.bias",
    "time_embed.0.weight",
    "input_transformers.shared.weight",
    "output_down_proj.2.weight",
)
# folder -> file -> arrays kept (None: all)
KEPT: dict[str, dict[str, tuple[str, ...] | None]] = {
    "diffuseq": {
        "weights.npz": None,
        "inputs.npz": None,
        "forward.npz": None,
        "schedule_T10.npz": None,
        "schedule_T2000.npz": None,
        "schedule_T2000_respaced20.npz": None,
        "schedule_other.npz": None,
        "sampler.npz": None,
        "q_T50.npz": None,
        "p_mean_variance_T50.npz": None,
        "losses_T50.npz": None,
        "losses_T2000.npz": None,
        "grads_T50_f64.npz": GRADIENTS,
        "sampling.npz": None,
    },
    "genie": {
        "weights.npz": None,
        "inputs.npz": None,
        "forward.npz": None,
        "schedule_T10.npz": None,
        "schedule_T50.npz": None,
        "q_T50.npz": None,
        "p_mean_variance_T50.npz": None,
        "losses_T50.npz": None,
        "grads_T50_f64.npz": GRADIENTS,
        "sampling.npz": (
            "x_init",
            "step_noise",
            "ddpm_clamp",
            "ddpm_clamp_ids",
            "ddpm_clamp_interval3",
            "ddpm_clamp_sigmasmall",
            "ddim_noclamp_eta1",
            "p_sample_loop_noise_start6_final",
        ),
    },
    "seqdiffuseq": {
        "weights.npz": None,
        "inputs.npz": (
            "input_ids",
            "attention_mask",
            "decoder_input_ids",
            "decoder_attention_mask",
            "x_t",
            "noise_emb",
            "noise_q",
            "self_conditions",
        ),
        "forward.npz": ("model_t", "x0_sc_f32", "encoder_hidden", "logits_f32", "time_embedding"),
        "losses_T50.npz": None,
        "grads_T50_sc_f64.npz": ("lm_head.bias", "time_embed.0.weight", "input_transformers.shared.weight"),
        "adaptive_T50.npz": (
            "ts",
            "losses",
            "loss_masks",
            "stride_granu",
            "saved_loss_history_step12",
            "step12_alphas_cumprod",
            "step16_alphas_cumprod",
            "step16_posterior_log_variance_clipped",
        ),
        "alpha_cumprod_T50.npy": None,
    },
}
CHAIN = ("x_init", "noise_stream", "ddpm_sigmasmall", "ddpm_sigmasmall_ids")


def main(root: Path) -> None:
    for folder, files in KEPT.items():
        out = fresh(HERE / folder)
        shutil.copyfile(root / folder / "config.json", out / "config.json")
        write_meanings(root / folder, out, files)
        for file, names in files.items():
            if file.endswith(".npy"):
                shutil.copyfile(root / folder / file, out / file)
            else:
                arrays = np.load(root / folder / file)
                save(out / file, {name: arrays[name] for name in arrays if names is None or name in names})
    one_record_chain(root / "seqdiffuseq", fresh(HERE / "seqdiffuseq-chain"))


def one_record_chain(source: Path, out: Path) -> None:
    """SeqDiffuSeq's published sampler for the first record; weights and settings are those of `seqdiffuseq`."""
    inputs, sampling = np.load(source / "inputs.npz"), np.load(source / "sampling.npz")
    save(out / "inputs.npz", {name: inputs[name][:1] for name in ("input_ids", "attention_mask")})
    chain = {name: sampling[name] for name in CHAIN}
    steps = len(chain["ddpm_sigmasmall"])
    cut = {
        name: array[:1] if name in ("x_init", "ddpm_sigmasmall_ids") else array[:steps, :1]
        for name, array in chain.items()
    }
    save(out / "sampling.npz", cut)
    draws = json.loads((source / "rng_order.json").read_text())
    kept = {
        call: [{"call": draw["call"]} for draw in calls]
        for call, calls in draws.items()
        if call.endswith("ddpm_sigmasmall")
    }
    (out / "rng_order.json").write_text(json.dumps(kept) + "\n")


def write_meanings(source: Path, out: Path, files: dict[str, tuple[str, ...] | None]) -> None:
    """The documented meanings that carry options: seeds, gaps, lengths of chains."""
    entries = json.loads((source / "manifest.json").read_text())
    kept = [
        {"file": entry["file"], "name": entry["name"], "meaning": entry["meaning"]}
        for entry in entries
        if entry["file"] in ("sampler.npz", "sampling.npz") and entry["file"] in files
        if files[entry["file"]] is None or entry["name"] in files[entry["file"]]
    ]
    if kept:
        (out / "manifest.json").write_text(json.dumps(kept, indent=0) + "\n")


def save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    np.savez_compressed(path, **arrays)


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    main(Path(sys.argv[1]))
