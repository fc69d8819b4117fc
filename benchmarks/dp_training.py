"""Cost of one private step: what Opacus offers, book-keeping, and training without privacy.

    python benchmarks/dp_training.py [--sizes tiny middle] [--models diffuseq] [--rounds 5]

Forward, backward and clipped sum of one physical batch of 16 on one thread, CPU seconds, ways interleaved; peak memory
of two steps in a process of its own, above what it held before them. `difference`: relative L2 of the clipped sum to
a loop over single records. "refuses": the way raises on this model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from opacus.grad_sample.grad_sample_module_fast_gradient_clipping import GradSampleModuleFastGradientClipping
from opacus.grad_sample.gsm_exp_weights import GradSampleModuleExpandedWeights
from torch import Tensor

from reimpl import dpsgd, probe_steps
from reimpl.checkpoints import model_module
from reimpl.diffusion import Diffusion

WAYS = ("non-private", "book-keeping", "hooks", "expanded weights", "ghost")
BATCH, CLIP_NORM = 16, 0.5
STILL = {"dropout": 0.0, "attention_dropout": 0.0, "encoder_dropout": 0.0, "activation_dropout": 0.0}
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 256, "ffn_size": 256, "num_heads": 2, "num_layers": 2,
             "encoder_layers": 2, "decoder_layers": 2, "vocab_size": 2000, "length": 32},
    "middle": {"hidden_size": 256, "intermediate_size": 1024, "ffn_size": 1024, "num_heads": 4, "num_layers": 4,
               "encoder_layers": 2, "decoder_layers": 2, "vocab_size": 8000, "length": 64},
    "published": {},
}  # fmt: skip


def trainable(model: str, size: str) -> Diffusion:
    code = model_module(model)
    known = code.Config.__dataclass_fields__
    settings = {k: v for k, v in {**SIZES[size], **STILL}.items() if k in known}
    if "position_ids_shared" in known:
        settings["position_ids_shared"] = False
    torch.manual_seed(0)
    return Diffusion(model, code.Model(code.Config(**settings)).train(), probe_steps.tokenizer())


def batch_of(made: Diffusion, count: int = BATCH) -> tuple[Any, Any]:
    loop = probe_steps.loop(made.name)
    return made.collate(loop.records[:count]), made.draw(count, torch.Generator().manual_seed(1))


class Way:
    """One way to a clipped sum. `run()` gives it as a vector; for ghost and expanded weights Opacus' own clipping."""

    def __init__(self, name: str, made: Diffusion) -> None:
        self.name, self.made = name, made
        self.module: Any = None
        self.step: Any = None
        if name == "expanded weights":
            self.module = GradSampleModuleExpandedWeights(made.module, loss_reduction="sum")
        elif name == "ghost":
            self.module = GradSampleModuleFastGradientClipping(
                made.module, loss_reduction="sum", max_grad_norm=CLIP_NORM, use_ghost_clipping=True
            )
        else:
            clip = None if name == "non-private" else CLIP_NORM
            by = None if name == "non-private" else name
            self.step = dpsgd.PrivateStep(made, dpsgd.Mechanism(clip, 0.0, BATCH), by=by)
        self.parameters = {n: p for n, p in made.module.named_parameters() if p.requires_grad}

    def run(self, batch: Any, drawn: Any) -> Tensor:
        if self.step is not None:
            total = self.step.zeros()
            self.step.accumulate(total, batch, drawn)
            return dpsgd.flat(total)
        losses = self.made.per_record_loss(self.made.module, batch, drawn)
        if self.name == "ghost":
            losses.sum().backward(retain_graph=True)
            factor = self.module.get_clipping_coef()
            self.made.module.zero_grad()
            self.module.disable_hooks()
            (factor * losses).sum().backward()
            self.module.enable_hooks()
            return self._taken({n: p.grad for n, p in self.parameters.items()})
        losses.sum().backward()
        rows = {n: p.grad_sample for n, p in self.parameters.items()}
        return self._taken(dpsgd.clipped_sums(rows, CLIP_NORM))

    def _taken(self, found: dict[str, Any]) -> Tensor:
        for parameter in self.parameters.values():
            parameter.grad, parameter.grad_sample = None, None  # type: ignore[attr-defined]
        return dpsgd.flat(found)

    def close(self) -> None:
        if self.step is not None:
            self.step.close()
        elif hasattr(self.module, "remove_hooks"):
            self.module.remove_hooks()


def one_by_one(made: Diffusion, batch: Any, drawn: Any) -> Tensor:
    """The clipped sum in plain autograd, a record at a time."""
    parameters = [p for p in made.module.parameters() if p.requires_grad]
    total = torch.zeros(sum(p.numel() for p in parameters))
    for row in range(BATCH):
        one = [{k: v[row : row + 1] for k, v in part.items()} for part in (batch, drawn)]
        found = torch.autograd.grad(made.per_record_loss(made.module, *one).sum(), parameters, allow_unused=True)
        zeros = (torch.zeros_like(p) for p in parameters)
        gradient = torch.cat([(z if g is None else g).reshape(-1) for g, z in zip(found, zeros, strict=True)])
        total += gradient * min(1.0, CLIP_NORM / (float(gradient.double().norm()) + 1e-6))
    return total


def peak_megabytes(model: str, size: str, way: str) -> float:
    """In a process of its own: the most held in two steps above what was held before them."""
    command = [sys.executable, __file__, "--memory", model, size, way]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return float(json.loads(done.stdout)) if done.returncode == 0 else float("nan")


def memory(model: str, size: str, way: str) -> None:
    made = trainable(model, size)
    batch, drawn = batch_of(made)
    one = Way(way, made)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak counts from here
    before = held("VmRSS")
    for _ in range(2):
        one.run(batch, drawn)
    print(json.dumps((held("VmHWM") - before) / 1024))


def held(what: str) -> int:
    """Kilobytes of this process, now (VmRSS) or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what))


def compare(model: str, size: str, rounds: int) -> None:
    made = trainable(model, size)
    batch, drawn = batch_of(made)
    exact, seconds, off = one_by_one(made, batch, drawn), {way: [] for way in WAYS}, {}
    refused: dict[str, str] = {}
    for _ in range(rounds + 1):  # the first warms up
        for way in (w for w in WAYS if w not in refused):
            try:
                one = Way(way, trainable(model, size))
                start = time.process_time()
                total = one.run(batch, drawn)
                seconds[way].append(time.process_time() - start)
                off[way] = float((total - exact).norm() / exact.norm())
                one.close()
            except Exception as error:
                refused[way] = type(error).__name__
    plain = statistics.median(seconds["non-private"][1:])
    for way in WAYS:
        if way in refused:
            print(f"{model} {size} | {way} | refuses ({refused[way]}) | | |")
            continue
        times = seconds[way][1:]
        rate, spread = statistics.median(times), f"{1 / max(times):.2f}-{1 / min(times):.2f}"
        difference = "" if way == "non-private" else f"{off[way]:.1e}"
        megabytes = peak_megabytes(model, size, way)
        print(
            f"{model} {size} | {way} | {1 / rate:.2f} ({spread}) | {rate / plain:.2f} | {megabytes:.0f} | {difference}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["tiny"], choices=SIZES)
    parser.add_argument("--models", nargs="+", default=["diffuseq", "genie", "seqdiffuseq"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.memory:
        memory(*chosen.memory)
        return
    print("model and size | way | steps/s (range) | cost / non-private | MB | difference")
    for size in chosen.sizes:
        for model in chosen.models:
            compare(model, size, chosen.rounds)


if __name__ == "__main__":
    main()
