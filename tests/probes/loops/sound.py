"""Sound loops: what they are accounted as is what they do."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from opacus import PrivacyEngine
from torch import Tensor, nn

from audit.probes.opacus_run import opacus_run
from audit.probes.step import Example, Loop, Run, Tap
from audit.probes.tied import tied

from .parts import (
    BATCH,
    CLIP,
    NOISE,
    RECORDS,
    STEPS,
    TOKENS,
    WIDTH,
    Grads,
    Step,
    Tiny,
    added,
    clipped,
    clipped_sum,
    descend,
    gradients,
    loop,
    noised,
    norm_of,
    shuffled,
    zeros,
)


def plain() -> Loop:
    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make)


def physical_batches() -> Loop:
    """Logical batches in pieces of five, noise once."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = zeros(model)
            for first in range(0, len(batch), 5):
                total = added(total, clipped_sum(model, batch[first : first + 5]))
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make)


def dropout_of_the_record() -> Loop:
    """Dropout whose draws follow from the record's own seed."""

    def dropped(model: nn.Module, example: Example) -> Tensor:
        generator = torch.Generator().manual_seed(example.seed)
        kept = (torch.rand(WIDTH, generator=generator) > 0.2).float() / 0.8
        tokens, label = example.record
        logits = model.head(model.token(tokens).mean(0) * kept)
        return nn.functional.cross_entropy(logits[None], label[None])

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = zeros(model)
            for example in batch:
                total = added(total, clipped(gradients(model, example, dropped)))
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make)


def adam_with_warm_up() -> Loop:
    """State of an optimiser and a schedule that see the noisy sums and the step's number only."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: min(1.0, (n + 1) / 5))

        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            shown = tap(total, noised(total, noise))
            for name, parameter in model.named_parameters():
                parameter.grad = shown[name] / BATCH
            optimizer.step()
            schedule.step()

        return step

    return loop(make)


def average_of_noisy_weights() -> Loop:
    """A moving average of the weights, released beside them: post-processing."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        average = copy.deepcopy(dict(model.state_dict()))

        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))
            for name, value in model.state_dict().items():
                average[name] = 0.9 * average[name] + 0.1 * value

        step.average = average  # type: ignore[attr-defined]
        return step

    return loop(make, released=lambda step: {"average": step.average})  # type: ignore[attr-defined]


def fixed_size_batches() -> Loop:
    def draw(count: int, coins: torch.Generator) -> Iterator[list[int]]:
        for _ in range(STEPS):
            yield torch.randperm(count, generator=coins)[:BATCH].tolist()

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make, draw=draw, sampler="fixed-size")


def shuffled_and_accounted_so() -> Loop:
    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make, draw=shuffled, sampler="shuffle-each-epoch")


def tied_weights() -> Loop:
    """One matrix embeds tokens and makes the logits; a record's two uses of it are one gradient."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Embedding(TOKENS, WIDTH)

        def forward(self, tokens: Tensor) -> Tensor:
            states: Tensor = 4 * self.token(tokens).mean(1) @ self.token.weight.T
            return states[:, :2]

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make, model=Tied)


def clipped_tensor_by_tensor() -> Loop:
    """Each tensor to its own share of the budget: C over the root of their number."""

    def shares(grads: Grads) -> Grads:
        share = CLIP / len(grads) ** 0.5
        return {name: clipped({name: g}, share)[name] for name, g in grads.items()}

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = zeros(model)
            for example in batch:
                total = added(total, shares(gradients(model, example)))
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make)


def normalised_gradients() -> Loop:
    """Automatic clipping: every gradient divided by its norm plus a constant."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = zeros(model)
            for example in batch:
                grads = gradients(model, example)
                factor = CLIP / (norm_of(grads) + 0.01)
                total = added(total, {name: g * factor for name, g in grads.items()})
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make)


def frozen_embeddings() -> Loop:
    """The embeddings do not train and are not shown."""

    def frozen() -> nn.Module:
        model = Tiny()
        model.token.requires_grad_(False)
        model.position.requires_grad_(False)
        return model

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make, model=frozen)


def clip_norm_from_a_noised_quantile() -> Loop:
    """Adaptive clipping that pays: the share of clipped records is noised and shown by a tap of its own."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        state = {"clip": CLIP}

        def step(batch: Sequence[Example], tap: Tap) -> None:
            limit = state["clip"]
            total, above = zeros(model), torch.zeros(1)
            for example in batch:
                grads = gradients(model, example)
                total = added(total, clipped(grads, limit))
                above = above + (0.5 if norm_of(grads) > limit else -0.5)
            shown = tap(total, noised(total, noise, NOISE * limit), clip_norm=limit)
            counts = {"above": above}
            quantile = tap(
                counts,
                noised(counts, noise, 10 * 0.5),
                clip_norm=0.5,
                noise_multiplier=10.0,
                mechanism="clip quantile",
            )
            state["clip"] = limit * float(torch.exp(0.02 * quantile["above"].clamp(-50, 50) / BATCH))
            descend(model, shown)

        return step

    return loop(make)


def opacus_hooks() -> Loop:
    """Opacus as its documentation uses it."""

    def start(records: Sequence[tuple[Tensor, Tensor]], seed: int, entropy: int) -> Run:
        torch.manual_seed(seed)
        model: nn.Module = nn.Sequential(nn.Embedding(TOKENS, WIDTH), nn.Flatten(), nn.Linear(WIDTH * 6, 2))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        loader = torch.utils.data.DataLoader(list(records), batch_size=BATCH)
        torch.manual_seed(entropy)
        model, optimizer, loader = PrivacyEngine().make_private(
            module=model,
            optimizer=optimizer,
            data_loader=loader,
            noise_multiplier=NOISE,
            max_grad_norm=CLIP,
            noise_generator=torch.Generator().manual_seed(entropy),
        )

        def step(batch: Sequence[Example]) -> None:
            tokens = torch.stack([e.record[0] for e in batch]) if batch else torch.zeros(0, 6, dtype=torch.long)
            labels = torch.stack([e.record[1] for e in batch]) if batch else torch.zeros(0, dtype=torch.long)
            with tied(batch):
                nn.functional.cross_entropy(model(tokens), labels).backward()
            optimizer.step()
            optimizer.zero_grad()

        return opacus_run(model, optimizer, loader, step, epochs=5)

    return Loop(start, RECORDS, clip_norm=CLIP, noise_multiplier=NOISE, batch_size=BATCH, steps=STEPS)


ALL = (
    plain,
    physical_batches,
    dropout_of_the_record,
    adam_with_warm_up,
    average_of_noisy_weights,
    fixed_size_batches,
    shuffled_and_accounted_so,
    tied_weights,
    clipped_tensor_by_tensor,
    normalised_gradients,
    frozen_embeddings,
    clip_norm_from_a_noised_quantile,
    opacus_hooks,
)
