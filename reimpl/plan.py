"""What a run is told before its first step: steps, sampling, noise, learning rates, and what its ledger declares."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reimpl import calibration, dpsgd
from reimpl.ledger import declaration
from reimpl.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """What the accountant is told, and what is run."""

    records: int
    sampling_probability: float
    steps_accounted: int
    steps: int
    noise_multiplier: float
    delta: float

    @property
    def expected_batch_size(self) -> float:
        return self.records * self.sampling_probability


def plan(recipe: Recipe, records: int) -> Plan:
    """Steps, sampling probability, δ and the calibrated noise multiplier (0 where ε is infinite)."""
    training = recipe.training
    loader = math.ceil(records / training.batch_size)
    steps = training.steps_for(records)
    accounted = math.ceil(steps / loader) * loader if recipe.switches["steps_rounding"] == "whole-epochs" else steps
    run = accounted
    if recipe.switches["steps_counted"] == "physical":  # epochs are counted in physical batches, then run in logical
        physical = loader * math.ceil(training.batch_size / training.max_physical_batch_size)
        run = math.ceil(steps / physical) * loader
    q = 1 / loader if recipe.variant == "as-published" else min(1.0, training.batch_size / records)
    delta = recipe.data.delta_for(records)
    noise = 0.0
    if recipe.private:
        noise = calibration.noise_multiplier_for(recipe.epsilon, delta, q, accounted, recipe.data.group_size)
    return Plan(records, q, accounted, run, noise, delta)


def learning_rate_factor(schedule: str, step: int, recipe: Recipe, steps: int, physical: int) -> float:
    """Share of the learning rate at a logical step, 0-based; `physical` batches were processed before it."""
    training = recipe.training
    if schedule == "stuck-at-zero":
        return 0.0
    at, total = (physical, training.steps or steps) if schedule == "linear-physical" else (step, steps)
    warm = min(1.0, (at + 1) / training.warmup_steps) if training.warmup_steps else 1.0
    if schedule == "constant":
        return warm
    if schedule == "linear-unfloored":  # the nominal steps, of which more are run
        return warm * (1 - at / (training.steps or steps))
    return warm * max(0.0, 1 - at / total)


def declared(recipe: Recipe, planned: Plan, entropy: dpsgd.Entropy, digest: str) -> dict[str, Any]:
    """The ledger's declaration of a run."""
    training, chosen = recipe.training, recipe.data
    sampler = recipe.switches["sampler"] if recipe.private else "shuffle-each-epoch"
    further: dict[str, Any] = {}
    if recipe.private:
        sigma, q, steps = planned.noise_multiplier, planned.sampling_probability, planned.steps_accounted
        priced = calibration.event(sigma, q, steps, chosen.group_size)
        further["priced"] = calibration.as_json(priced)
        further["calibrated"] = {"pld": calibration.epsilon(priced, planned.delta)}
        if chosen.group_size == 1:
            further["calibrated"]["prv"] = calibration.prv_epsilon(sigma, q, steps, planned.delta)
    return declaration(
        recipe=recipe.id,
        variant=recipe.variant,
        scale=recipe.scale,
        dataset=chosen.name,
        switches=dict(recipe.switches),
        records=planned.records,
        fingerprint=digest,
        privacy_unit=chosen.privacy_unit,
        group_size=chosen.group_size,
        sampler=sampler,
        sampling_probability=planned.sampling_probability if sampler == "poisson" else None,
        expected_batch_size=planned.expected_batch_size,
        clip_norm=training.clip_norm if recipe.private else None,
        noise_multiplier=planned.noise_multiplier,
        steps_accounted=planned.steps_accounted,
        target_epsilon=recipe.epsilon if recipe.private else "inf",
        delta=planned.delta,
        randomness=entropy.kind,
        **further,
    )


def accesses(recipe: Recipe) -> Iterator[dict[str, Any]]:
    """What a run reads of the private data besides its noisy sums."""
    yield {"what": "the number of records sets q and δ", "covered": True, "why": "it is taken as public"}
    keyed = "keyed digest; the ledger is not released"
    yield {"what": "records are counted and digested, and batch sizes summed up, for this ledger", "covered": True,
           "why": keyed}  # fmt: skip
    uncovered = {
        ("timestep_sampler", "loss-aware"): "raw losses decide which timesteps later batches get",
        ("noise_schedule", "adaptive-private"): "raw losses decide the noise schedule, which is saved with the model",
        ("class_balance", "minimum"): "the size of the smallest class decides how many records of each are kept",
        ("class_balance", "fixed-n"): "which records of a class are kept depends on the others of it",
    }
    for (key, value), what in uncovered.items():
        if recipe.switches[key] == value:
            yield {"what": what, "covered": False, "why": "no noise, and no accounting"}
