"""The training a card states, as numbers: sampling probability, steps, δ, learning rate. Judges nothing."""

from __future__ import annotations

import math
from typing import TypeVar

from audit.types import Claim, DeltaRule, Fact, LearningRate, Mechanism, StepRule

T = TypeVar("T")


def value(fact: Fact[T] | None) -> T | None:
    """The fact's value if a finding may rest on it, else None."""
    return fact.value if fact is not None and fact.usable else None


def draws_batches(mechanism: Mechanism) -> bool:
    """Is there a training loop with batches, gradients and a learning rate? Votes have none of them."""
    return mechanism.kind == "dp-sgd"


def noise_multipliers(claim: Claim, mechanism: Mechanism) -> tuple[float | None, ...]:
    """The noise multiplier stated for each ε of the claim, in order; None where none is stated."""
    own: tuple[float, ...] | None = value(claim.noise_multipliers)
    epsilons: tuple[float, ...] | None = value(claim.epsilons)
    return own if own is not None else (value(mechanism.noise_multiplier),) * len(epsilons or ())


def delta_of(delta: float | DeltaRule, records: int) -> float:
    """δ as a number, for N = `records` training records."""
    if not isinstance(delta, DeltaRule):
        return delta
    return {
        DeltaRule.ONE_OVER_N: 1 / records,
        DeltaRule.ONE_OVER_10N: 1 / (10 * records),
        DeltaRule.ONE_OVER_N_LN_N: 1 / (records * math.log(records)),
    }[delta]


def sampling_probability(mechanism: Mechanism, records: int | None) -> float | None:
    """A record's chance per step, as accounted: B/N, or 1/⌈N/B⌉ where the loader's length is used; votes: 1."""
    if not draws_batches(mechanism):
        return 1.0
    batch = value(mechanism.batch_size)
    if batch is None or not records:
        return None
    if value(mechanism.sampling_rate) == "1/ceil(N/B)":
        return 1 / math.ceil(records / batch)
    return min(1.0, batch / records)


def steps_by_rule(rule: StepRule, mechanism: Mechanism, records: int | None) -> int | None:
    """Logical steps of a run of whole epochs, ⌈nominal / length⌉ of them.

    The loader's length counts logical batches, or physical ones, of which each logical batch makes
    batch_size / physical_batch_size.
    """
    batch, physical = value(mechanism.batch_size), value(mechanism.physical_batch_size)
    if batch is None or not records:
        return None
    length = math.ceil(records / batch)
    if rule.counted_in == "logical":
        return math.ceil(rule.nominal_steps / length) * length
    if physical is None:
        return None
    return math.ceil(rule.nominal_steps / (length * (batch / physical))) * length


def steps_accounted(mechanism: Mechanism, records: int | None) -> int | None:
    """Noisy updates that the accountant was told of; from a rule, a stated number, or the epochs."""
    rule, steps, epochs = value(mechanism.steps_accounted), value(mechanism.steps), value(mechanism.epochs)
    if rule is not None:
        return steps_by_rule(rule, mechanism, records)
    if steps is not None:
        return steps
    probability = sampling_probability(mechanism, records)
    return int(epochs / probability) if epochs is not None and probability else None


def steps_run(mechanism: Mechanism, records: int | None) -> int | None:
    """Noisy updates that the training loop performs, where the card says so apart from the accounting.

    Epochs run are counted as the epochs accounted are, so that the same number of them is the same number of steps.
    """
    run, epochs = value(mechanism.steps_run), value(mechanism.epochs_run)
    if isinstance(run, StepRule):
        return steps_by_rule(run, mechanism, records)
    if run is not None or epochs is None:
        return run
    probability = sampling_probability(mechanism, records)
    return int(epochs / probability) if probability else None


def learning_rate_at(rate: LearningRate, step: int) -> float:
    """Learning rate at `step`, warm-up only: base · min(1, s / warmup), s as the code passes it."""
    seen = rate.constant_step or 0 if rate.step_argument == "constant" else step
    return rate.base * (min(1.0, seen / rate.warmup_steps) if rate.warmup_steps else 1.0)
