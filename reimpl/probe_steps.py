"""The training step of each diffusion model, tiny, in the shape that a probe takes (docs/probes.md):

    audit probe reimpl.probe_steps:genie_corrected     the clean choices
    audit probe reimpl.probe_steps:genie_published     those of the code released with arXiv 2410.22971

A loop's `start(records, seed, entropy)` makes a run. seed is public (initial weights; as published also noise and
batches), entropy stands for the operating system's randomness. All draws of a record follow from its own seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from reimpl import checkpoints, dpsgd, vocabulary
from reimpl.diffusion import Diffusion
from reimpl.trainable import Batch, Example

RECORDS, BATCH_SIZE, PHYSICAL, STEPS = 64, 16, 32, 24
HEAVIEST = 1000  # largest weight 1 / (T p_t) that the loss-aware sampler can give a record: p_t is at least 1e-3 / T
SEED = {"diffuseq": 102, "genie": 101}  # as published, where one is
PUBLISHED = {
    "diffuseq": {"position_gradient": "batch-shared", "timestep_sampler": "loss-aware"},
    "genie": {"position_gradient": "batch-shared", "timestep_sampler": "loss-aware", "empty_batch": "skip"},
    "seqdiffuseq": {"noise_schedule": "adaptive-private", "self_conditioning": "per-batch"},
}
COMMON = {
    "hidden_size": 16,
    "num_heads": 2,
    "max_positions": 32,
    "embedding_size": 8,
    "num_timesteps": 4,  # few, so that a loss-aware sampler leaves its warm-up within a short run
    "attention_dropout": 0.0,
    "dropout": 0.0,
}
SIZES = {
    "diffuseq": {"num_layers": 1, "intermediate_size": 32, "time_size": 8, "length": 24},
    "genie": {"intermediate_size": 16, "time_size": 8, "source_length": 8, "length": 16, "encoder_dropout": 0.0},
    "seqdiffuseq": {
        "encoder_layers": 1,
        "decoder_layers": 1,
        "ffn_size": 16,
        "source_length": 8,
        "length": 16,
        "activation_dropout": 0.0,
        "num_timesteps": 40,  # two bins of the adaptive schedule
    },
}


class Drawn(Protocol):
    """A record in a batch with the seed of everything drawn for it."""

    record: Any
    seed: int


@dataclass(frozen=True)
class Run:
    """A run that has just been started. step(batch, tap) is one logical step; batches() the run's own sampler."""

    model: nn.Module
    step: Callable[[Sequence[Drawn], Callable[..., Mapping[str, Tensor]]], None]
    batches: Callable[[], Iterator[Sequence[int]]]
    released: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class Loop:
    """A training loop and what its accountant was told; field for field an `audit.probes.step.Loop`."""

    start: Callable[[Sequence[Any], int, int], Run]
    records: Sequence[Example]
    clip_norm: float = 1.0
    noise_multiplier: float = 1.0
    batch_size: int = BATCH_SIZE
    sampler: str = "poisson"
    sampling_probability: float | None = BATCH_SIZE / RECORDS
    steps: int | None = STEPS
    neighboring_relation: str = "add-or-remove-one"
    outliers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    records_checked: bool = True  # a record is text: no number in it can be infinite


def diffuseq_corrected() -> Loop:
    return loop("diffuseq")


def diffuseq_published() -> Loop:
    return loop("diffuseq", published=True)


def genie_corrected() -> Loop:
    return loop("genie")


def genie_published() -> Loop:
    return loop("genie", published=True)


def seqdiffuseq_corrected() -> Loop:
    return loop("seqdiffuseq")


def seqdiffuseq_published() -> Loop:
    return loop("seqdiffuseq", published=True)


def loop(name: str, *, published: bool = False) -> Loop:
    """The loop of a model over made-up records, with a long and an odd one to pull hard."""
    words = [piece for piece in sorted(tokenizer().get_vocab()) if piece.isalpha() and len(piece) > 1]
    texts = [" ".join(words[(3 * i + j) % len(words)] for j in range(4 + i % 5)) for i in range(RECORDS)]
    outliers = {"long": [Example("write: ", " ".join(words))], "odd": [Example("write: ", "~ ~ ~ ~ ~ ~")]}
    if published and PUBLISHED[name].get("timestep_sampler") == "loss-aware":
        heaviest = Example("write: ", texts[0], label=HEAVIEST)
        outliers[f"importance weight {HEAVIEST:,}, the largest that the sampler gives"] = [heaviest]
    records = [Example("write: ", text) for text in texts]
    steps = STEPS // 2 if published and name == "genie" else STEPS

    def start(records: Sequence[Example], seed: int, entropy: int) -> Run:
        return started(name, records, seed, entropy, PUBLISHED[name] if published else {}, steps)

    return Loop(start, records, outliers=outliers)


@cache
def tokenizer() -> Any:
    return vocabulary.tokenizer("generated")


def started(
    name: str, records: Sequence[Example], seed: int, entropy: int, switches: Mapping[str, str], steps: int
) -> Run:
    """A fresh tiny run. As published, where a seed is in the code, noise and batches follow the public one."""
    torch.manual_seed(seed)
    shared = switches.get("position_gradient") == "batch-shared"
    settings = COMMON | SIZES[name] | {"vocab_size": len(tokenizer())}
    if name != "seqdiffuseq":
        settings |= {"position_ids_shared": shared}
    code = checkpoints.model_module(name)
    trainable = Diffusion(name, code.Model(code.Config(**settings)).train(), tokenizer(), switches)
    if trainable.adaptive is not None:
        trainable.adaptive.stride = 2  # so that a short run sees the schedule adapt
    random = dpsgd.Entropy(SEED[name] + seed if switches and name in SEED else entropy)
    optimizer = torch.optim.AdamW(trainable.module.parameters(), lr=1e-3, weight_decay=0.0)
    private = dpsgd.PrivateStep(
        trainable,
        dpsgd.Mechanism(1.0, 1.0, BATCH_SIZE),
        optimizer,
        max_physical_batch_size=PHYSICAL,
        batch_shared_positions=shared,
        stock_hooks=bool(switches),
    )
    taken = iter(range(10**9))

    def step(batch: Sequence[Drawn], tap: Callable[..., Mapping[str, Tensor]]) -> None:
        if not batch and switches.get("empty_batch") == "skip":
            return
        total = private.zeros()
        for chunk in dpsgd.chunks(batch, PHYSICAL):
            private.accumulate(total, trainable.collate([drawn.record for drawn in chunk]), draws(trainable, chunk))
        noisy = private.add_noise(total, random.generator("noise", next(taken)))
        private.update(tap(total, noisy))

    def batches() -> Iterator[Sequence[int]]:
        for number in range(steps):
            generator = random.generator("sampling", number)
            yield dpsgd.poisson_batch(len(records), BATCH_SIZE / len(records), generator)

    def released() -> Mapping[str, Any]:
        return {} if trainable.adaptive is None else {"alpha_bar": torch.from_numpy(trainable.process.alpha_bar)}

    return Run(trainable.module, step, batches, released)


def draws(trainable: Diffusion, chunk: Sequence[Drawn]) -> Batch:
    """The timesteps and noises of each record, drawn from its own seed. A label other than 0 stands for a weight."""
    rows = [trainable.draw(1, torch.Generator().manual_seed(drawn.seed)) for drawn in chunk]
    found = {key: torch.cat([row[key] for row in rows]) for key in rows[0]}
    return found | {"weight": found["weight"] * torch.tensor([float(drawn.record.label or 1) for drawn in chunk])}
