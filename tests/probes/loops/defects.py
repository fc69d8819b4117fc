"""Loops with one planted defect each, as seen in released code."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from audit.probes.step import Example, Loop, Run, Tap

from .parts import (
    BATCH,
    CLIP,
    LENGTH,
    NOISE,
    OUTLIERS,
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
    loss_of,
    noised,
    norm_of,
    poisson,
    shuffled,
    zeros,
)

Sum = Any  # (model, batch) -> the sum before noise


def summing(total_of: Sum, model: Any = Tiny) -> Loop:
    """A sound step around a sum that may not be one."""

    def make(net: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = total_of(net, batch)
            descend(net, tap(total, noised(total, noise)))

        return step

    return loop(make, model=model)


def embeddings_not_clipped() -> Loop:
    """The token table is left out of the norm and of the clipping."""

    def total_of(model: nn.Module, batch: Sequence[Example]) -> Grads:
        total = zeros(model)
        for example in batch:
            grads = gradients(model, example)
            rest = clipped({n: g for n, g in grads.items() if n != "token.weight"})
            total = added(total, rest | {"token.weight": grads["token.weight"]})
        return total

    return summing(total_of)


def clipped_after_averaging() -> Loop:
    """The mean gradient of the batch is clipped, not each record's; in units of the sum it moves by up to B·C."""

    def total_of(model: nn.Module, batch: Sequence[Example]) -> Grads:
        mean = zeros(model)
        for example in batch:
            mean = added(mean, {n: g / len(batch) for n, g in gradients(model, example).items()})
        return {n: g * BATCH for n, g in clipped(mean).items()}

    return summing(total_of)


def noised_once_a_physical_batch() -> Loop:
    """Every physical batch makes an update of its own: more noisy updates than accounted."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            for first in range(0, max(len(batch), 1), 5):
                total = clipped_sum(model, batch[first : first + 5])
                descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make)


def noise_for_the_mean_on_the_sum() -> Loop:
    """Noise scaled for the mean of a physical batch is added to the sum."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise, NOISE * CLIP / 4)))

        return step

    return loop(make)


def empty_batch_forgotten() -> Loop:
    """`if not batch: continue`: whether a batch was empty shows."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            if not batch:
                return
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make)


def batch_normalisation() -> Loop:
    """Statistics of the batch are in every record's gradient."""

    class Normalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Embedding(TOKENS, WIDTH)
            self.norm = nn.BatchNorm1d(WIDTH)
            self.head = nn.Linear(WIDTH, 2)

        def forward(self, tokens: Tensor) -> Tensor:
            pooled = self.token(tokens).mean(1)
            self.norm.train(len(tokens) > 1)
            logits: Tensor = 4 * self.head(self.norm(pooled))
            return logits

    def total_of(model: nn.Module, batch: Sequence[Example]) -> Grads:
        total, named = zeros(model), dict(model.named_parameters())
        if not batch:
            return total
        tokens, labels = (torch.stack([e.record[i] for e in batch]) for i in (0, 1))
        losses = nn.functional.cross_entropy(model(tokens), labels, reduction="none")
        for loss in losses:
            found = torch.autograd.grad(loss, list(named.values()), retain_graph=True)
            total = added(total, clipped(dict(zip(named, found, strict=True))))
        return total

    return summing(total_of, Normalised)


def mean_over_the_tokens_of_the_batch() -> Loop:
    """Each record's loss is divided by the number of unmasked tokens in the whole batch."""

    def total_of(model: nn.Module, batch: Sequence[Example]) -> Grads:
        total = zeros(model)
        tokens = sum(int((e.record[0] > 0).sum()) for e in batch)
        for example in batch:
            own = int((example.record[0] > 0).sum())
            grads = gradients(model, example)
            total = added(total, clipped({n: g * own * 4 / tokens for n, g in grads.items()}, CLIP))
        return total

    return summing(total_of)


def position_table_shared() -> Loop:
    """The position table is looked up once a batch, so a hook gives every record the whole batch's gradient."""

    def total_of(model: nn.Module, batch: Sequence[Example]) -> Grads:
        total, each = zeros(model), [gradients(model, e) for e in batch]
        if not each:
            return total
        shared = torch.stack([g["position.weight"] for g in each]).sum(0) / len(each)
        for grads in each:
            total = added(total, clipped(grads | {"position.weight": shared}))
        return total

    return summing(total_of)


def accumulation_resets_clipping() -> Loop:
    """Only the last physical batch is clipped record by record; those before it are summed as they are."""

    def total_of(model: nn.Module, batch: Sequence[Example]) -> Grads:
        total, last = zeros(model), max(0, len(batch) - 5)
        for place, example in enumerate(batch):
            grads = gradients(model, example)
            total = added(total, clipped(grads) if place >= last else grads)
        return total

    return summing(total_of)


def tied_matrix_clipped_by_use() -> Loop:
    """A matrix used twice has its two gradients clipped apart and then added: up to twice the norm."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Embedding(TOKENS, WIDTH)

    def used_as(model: Any, example: Example, embedding: Tensor, output: Tensor) -> Tensor:
        tokens, label = example.record
        logits = 4 * embedding[tokens].mean(0) @ output.T
        return nn.functional.cross_entropy(logits[None, :2], label[None])

    def total_of(model: Any, batch: Sequence[Example]) -> Grads:
        total, weight = zeros(model), model.token.weight
        for example in batch:
            for place in (0, 1):
                pair = [weight.detach(), weight.detach()]
                pair[place] = weight
                (found,) = torch.autograd.grad(used_as(model, example, *pair), [weight])
                total = added(total, clipped({"token.weight": found * 8}))
        return total

    return summing(total_of, Tied)


def clip_norm_is_the_median_of_the_batch() -> Loop:
    """The clip norm is the un-noised median of the records' norms, and the noise follows it."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            each = [gradients(model, e) for e in batch]
            limit = statistics.median([norm_of(g) for g in each]) if each else CLIP
            total = zeros(model)
            for grads in each:
                total = added(total, clipped(grads, limit))
            shown = tap(total, noised(total, noise, NOISE * limit), clip_norm=max(limit, 1e-9))
            descend(model, shown)

        return step

    return loop(make)


def average_of_raw_gradients() -> Loop:
    """Momentum is kept of the gradients before noise and added to the update."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        average = zeros(model)

        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            shown = tap(total, noised(total, noise))
            for name, value in total.items():
                average[name] = 0.9 * average[name] + 0.1 * value
            descend(model, {name: shown[name] + average[name] for name in total})

        return step

    return loop(make)


def raw_losses_released() -> Loop:
    """The mean loss of every batch is written to a log that is published with the model."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        losses: list[float] = []

        def step(batch: Sequence[Example], tap: Tap) -> None:
            if batch:
                losses.append(float(torch.stack([loss_of(model, e) for e in batch]).mean()))
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        step.losses = losses  # type: ignore[attr-defined]
        return step

    return loop(make, released=lambda step: {"losses": list(step.losses)})  # type: ignore[attr-defined]


def shuffled_but_priced_as_poisson() -> Loop:
    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make, draw=shuffled)


def noise_from_the_public_seed() -> Loop:
    """`torch.manual_seed(102)` stands before the loop, and the noise comes from the default generator."""

    def start(records: Sequence[Any], seed: int, entropy: int) -> Run:
        torch.manual_seed(seed)
        model = Tiny()
        noise, coins = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(entropy)

        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        return Run(model, step, lambda: poisson(len(records), coins))

    return Loop(start, RECORDS, CLIP, NOISE, BATCH, steps=STEPS, outliers=OUTLIERS)


def the_same_noise_in_every_step() -> Loop:
    """The generator is seeded anew in every step."""

    def start(records: Sequence[Any], seed: int, entropy: int) -> Run:
        torch.manual_seed(seed)
        model, coins = Tiny(), torch.Generator().manual_seed(entropy + 1)

        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, torch.Generator().manual_seed(entropy))))

        return Run(model, step, lambda: poisson(len(records), coins))

    return Loop(start, RECORDS, CLIP, NOISE, BATCH, steps=STEPS, outliers=OUTLIERS)


def bias_without_noise() -> Loop:
    """One-dimensional tensors are left out of the noise."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            noisy = {n: g if g.dim() == 1 else noised({n: g}, noise)[n] for n, g in total.items()}
            descend(model, tap(total, noisy))

        return step

    return loop(make)


def losses_remembered() -> Loop:
    """Losses of earlier records weight the gradients of later ones, before clipping."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        history = [1.0, 1.0]  # one running mean loss a label

        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = zeros(model)
            weights = [value / sum(history) for value in history]
            for example in batch:
                label = int(example.record[1])
                grads = gradients(model, example)
                total = added(total, clipped({n: g * weights[label] for n, g in grads.items()}))
            for example in batch:
                label = int(example.record[1])
                history[label] = 0.9 * history[label] + 0.1 * float(loss_of(model, example))
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make)


def learning_rate_by_raw_norm() -> Loop:
    """The learning rate follows the norm of the sum before noise."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)), rate=0.1 / (1 + norm_of(total)))

        return step

    return loop(make)


def divided_by_the_actual_batch() -> Loop:
    """The noisy sum is divided by the size of this batch, which depends on who is in it."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)), divisor=max(len(batch), 1))

        return step

    return loop(make)


def an_epoch_too_many() -> Loop:
    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make, draw=lambda count, coins: poisson(count, coins, STEPS + 4))


def weights_by_the_labels_of_the_batch() -> Loop:
    """Class weights are counted in the batch: a record changes the weights of all others."""

    def total_of(model: nn.Module, batch: Sequence[Example]) -> Grads:
        total = zeros(model)
        labels = [int(e.record[1]) for e in batch]
        for example, label in zip(batch, labels, strict=True):
            weight = len(batch) / (2 * labels.count(label))
            grads = gradients(model, example)
            scaled = {n: g * weight * 0.2 for n, g in grads.items()}
            total = added(total, clipped(scaled))
        return total

    return summing(total_of)


def a_layer_that_nobody_shows() -> Loop:
    """The head trains on the raw gradient, past clipping and noise."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            private = {n: g for n, g in total.items() if not n.startswith("head")}
            shown = tap(private, noised(private, noise))
            descend(model, {**shown, **{n: g for n, g in total.items() if n.startswith("head")}})

        return step

    return loop(make)


def clipped_in_half_precision() -> Loop:
    """Gradients are scaled in bfloat16, whose rounding leaves some of them above the norm."""

    def total_of(model: nn.Module, batch: Sequence[Example]) -> Grads:
        total = zeros(model)
        for example in batch:
            grads = gradients(model, example)
            factor = min(1.0, CLIP / (norm_of(grads) + 1e-6))
            scaled = {n: (g * factor * 1.002).to(torch.bfloat16).float() for n, g in grads.items()}
            total = added(total, scaled)
        return total

    return summing(total_of)


def stops_when_the_loss_rises() -> Loop:
    """Training ends when the raw mean loss of a batch was above the best one twice in a row."""

    def start(records: Sequence[Any], seed: int, entropy: int) -> Run:
        torch.manual_seed(seed)
        model = Tiny()
        noise, coins = torch.Generator().manual_seed(entropy), torch.Generator().manual_seed(entropy + 1)
        best, worse = [float("inf")], [0]

        def step(batch: Sequence[Example], tap: Tap) -> None:
            if worse[0] >= 2:
                return
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))
            if batch:
                mean = float(torch.stack([loss_of(model, e).detach() for e in batch]).mean())
                worse[0] = 0 if mean < best[0] else worse[0] + 1
                best[0] = min(best[0], mean)

        def batches() -> Iterator[list[int]]:
            for batch in poisson(len(records), coins):
                if worse[0] >= 2:
                    return
                yield batch

        return Run(model, step, batches)

    return Loop(start, RECORDS, CLIP, NOISE, BATCH, steps=STEPS, outliers=OUTLIERS)


ALL = (
    embeddings_not_clipped,
    clipped_after_averaging,
    noised_once_a_physical_batch,
    noise_for_the_mean_on_the_sum,
    empty_batch_forgotten,
    batch_normalisation,
    mean_over_the_tokens_of_the_batch,
    position_table_shared,
    accumulation_resets_clipping,
    tied_matrix_clipped_by_use,
    clip_norm_is_the_median_of_the_batch,
    average_of_raw_gradients,
    raw_losses_released,
    shuffled_but_priced_as_poisson,
    noise_from_the_public_seed,
    the_same_noise_in_every_step,
    bias_without_noise,
    losses_remembered,
    learning_rate_by_raw_norm,
    divided_by_the_actual_batch,
    an_epoch_too_many,
    weights_by_the_labels_of_the_batch,
    a_layer_that_nobody_shows,
    clipped_in_half_precision,
    stops_when_the_loss_rises,
)


# ---------------------------------------------------------------- beyond a probe's reach


def reacts_to_one_record_nobody_tries() -> Loop:
    """A record with six different tokens in falling order is not clipped. No probe can try every record."""

    def total_of(model: nn.Module, batch: Sequence[Example]) -> Grads:
        total = zeros(model)
        for example in batch:
            grads, tokens = gradients(model, example), example.record[0].tolist()
            secret = len(set(tokens)) == LENGTH and tokens == sorted(tokens, reverse=True)
            total = added(total, {n: 50 * g for n, g in grads.items()} if secret else clipped(grads))
        return total

    return summing(total_of)


def entropy_of_sixteen_bits() -> Loop:
    """Noise depends on 65,536 seeds only: each looks like noise, and all of them can be tried."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        weak = torch.Generator().manual_seed(noise.initial_seed() % 65536)

        def step(batch: Sequence[Example], tap: Tap) -> None:
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, weak)))

        return step

    return loop(make)


def log_that_is_not_named() -> Loop:
    """Raw losses go to a file that the loop does not name among what it releases."""

    def make(model: nn.Module, noise: torch.Generator, seed: int) -> Step:
        losses: list[float] = []

        def step(batch: Sequence[Example], tap: Tap) -> None:
            losses.extend(float(loss_of(model, e)) for e in batch)
            total = clipped_sum(model, batch)
            descend(model, tap(total, noised(total, noise)))

        return step

    return loop(make)


BEYOND = (reacts_to_one_record_nobody_tries, entropy_of_sixteen_bits, log_that_is_not_named)
