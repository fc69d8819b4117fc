"""Seconds a sampling step, plain against ours, with the largest difference between the two chains.

    python benchmarks/sampling.py [--size tiny|published] [--steps N] [--batch B] [--repeats R]

Plain: eager attention, the whole network from scratch at every step (encoder and time MLP included), rounding by
all distances. Ours: `sample` as it is. Both get the same weights and noise and are timed in turn; the table shows
the median and the range over the repeats. Random weights; the cost does not depend on them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from reimpl import denoising, diffuseq, genie, seqdiffuseq

MODULES = (diffuseq, genie, seqdiffuseq)
TINY = {"hidden_size": 64, "num_heads": 4, "vocab_size": 2000, "embedding_size": 32, "length": 32}


def source(module: ModuleType, config: Any, batch: int) -> dict[str, Tensor]:
    """Random ids, no pads."""
    if module is diffuseq:
        ids = torch.randint(5, config.vocab_size, (batch, config.length))
        mask = torch.ones_like(ids)
        mask[:, : config.length // 4] = 0
        return {"input_ids": ids, "input_mask": mask}
    ids = torch.randint(5, config.vocab_size, (batch, config.source_length))
    names = ("src_input_ids", "src_attention_mask") if module is genie else ("input_ids", "attention_mask")
    return dict(zip(names, (ids, torch.ones_like(ids)), strict=True))


@torch.inference_mode()
def plain(module: ModuleType, model: Any, process: Any, given: dict[str, Tensor], noise: list[Tensor]) -> Tensor:
    config, x = model.config, noise[0]
    earlier, embedding = torch.zeros_like(x), model.lm_head.weight
    anchor = model.embed(given["input_ids"]) if module is diffuseq else x
    for step, index in enumerate(reversed(range(len(noise) - 1))):
        if module is diffuseq:
            x = denoising.anchored(x, anchor, given["input_mask"])
        t = torch.full((len(x),), index)
        more = {"self_conditioning": earlier} if module is seqdiffuseq else {}
        x_0 = earlier = model(x, denoising.network_time(process, t), **given, **more)
        if config.round_every_step:
            x_0 = embedding[torch.cdist(x_0.flatten(0, 1), embedding).argmin(-1)].view_as(x_0)
        p = denoising.p_mean_variance(process, x_0, x, t, config.variance)
        x = denoising.ancestral_step(p, t, noise[step + 1])
    return denoising.anchored(x, anchor, given["input_mask"]) if module is diffuseq else x


@torch.inference_mode()
def ours(module: ModuleType, model: Any, process: Any, given: dict[str, Tensor], noise: list[Tensor]) -> Tensor:
    *_, x = module.sample(model, process, given, noise=iter(noise))
    return x


def timed(run: Callable[[], Tensor]) -> tuple[float, Tensor]:
    start = time.perf_counter()
    x = run()
    return time.perf_counter() - start, x


def measure(module: ModuleType, arguments: argparse.Namespace) -> str:
    torch.manual_seed(0)
    sizes = TINY if arguments.size == "tiny" else {}
    config = replace(module.Config.published(), **sizes, num_timesteps=arguments.steps)
    fast = module.Model(config).eval()
    slow = module.Model(replace(config, attention="eager")).eval()
    slow.load_state_dict(fast.state_dict())
    given, process = source(module, config, arguments.batch), config.process()
    noise = [torch.randn(arguments.batch, config.length, config.embedding_size) for _ in range(arguments.steps + 1)]
    seconds: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(arguments.repeats):
        spent, expected = timed(lambda: plain(module, slow, process, given, noise))
        seconds["plain"].append(spent / arguments.steps)
        spent, x = timed(lambda: ours(module, fast, process, given, noise))
        seconds["ours"].append(spent / arguments.steps)
    difference = float((x - expected).abs().max())
    columns = [f"{1e3 * statistics.median(s):8.1f} ({1e3 * min(s):.1f}-{1e3 * max(s):.1f})" for s in seconds.values()]
    ratio = statistics.median(seconds["plain"]) / statistics.median(seconds["ours"])
    name = module.__name__.rpartition(".")[2]
    return f"{name:12} {columns[0]:>24} {columns[1]:>24} {ratio:6.2f} {difference:10.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("tiny", "published"), default="tiny")
    parser.add_argument("--steps", type=int, default=20, help="steps of the chain")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{arguments.size}, batch {arguments.batch}, {arguments.steps} steps, torch {torch.__version__}", end=", ")
    print(f"{torch.get_num_threads()} threads; ms a step, median (range)")
    print(f"{'model':12} {'plain':>24} {'ours':>24} {'ratio':>6} {'max |diff|':>10}")
    for module in MODULES:
        print(measure(module, arguments), flush=True)


if __name__ == "__main__":
    main()
