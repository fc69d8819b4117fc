"""Our schedules, adaptive updates and timestep samplers, for the arrays of a golden folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reimpl.parity.case import EXACT, SCHEDULE, Case, Ours
from reimpl.parity.golden import MissingArrayError
from reimpl.schedules import AdaptiveSchedule, Process, named_betas
from reimpl.timesteps import FixedWeights, LossAware, UniformLossWeighted

TABLES = {
    "alphas_cumprod": "alpha_bar",
    "alphas_cumprod_prev": "alpha_bar_prev",
    "alphas_cumprod_next": "alpha_bar_next",
    "sqrt_alphas_cumprod": "sqrt_alpha_bar",
    "sqrt_one_minus_alphas_cumprod": "sqrt_one_minus_alpha_bar",
    "log_one_minus_alphas_cumprod": "log_one_minus_alpha_bar",
    "sqrt_recip_alphas_cumprod": "sqrt_recip_alpha_bar",
    "sqrt_recipm1_alphas_cumprod": "sqrt_recip_minus_one",
    "posterior_variance": "posterior_variance",
    "posterior_log_variance_clipped": "posterior_log_variance",
    "posterior_mean_coef1": "posterior_mean_x_0",
    "posterior_mean_coef2": "posterior_mean_x_t",
    "timestep_map": "timestep_map",
    "betas": "betas",
}


def table(process: Process, golden_name: str) -> NDArray[Any]:
    """A table of the process by the originals' name; they store SeqDiffuSeq's first betas for good."""
    if golden_name == "betas":
        return process.betas if process.initial_betas is None else process.initial_betas
    return getattr(process, TABLES[golden_name])


def schedules(case: Case, file: str) -> Iterator[Ours]:
    num_timesteps, variant = re.match(r"schedule_T(\d+)(?:_(\w+))?\.npz", file).groups()
    process = partial(case.process, int(num_timesteps), variant)
    for name in case.golden.arrays(file):
        if name in TABLES:
            yield Ours(name, lambda name=name: table(process(), name), SCHEDULE)
    if case.name == "seqdiffuseq" and variant is None:
        start = partial(adaptive, case, int(num_timesteps))
        yield Ours("loss_history_init", lambda: start().sums, EXACT)
        yield Ours("loss_history_count_init", lambda: start().counts, EXACT)


def named_schedules(case: Case, file: str) -> Iterator[Ours]:
    for name in case.golden.arrays(file):
        if found := re.fullmatch(r"betas_(\w+)_T(\d+)", name):
            yield Ours(name, partial(named_betas, found[1], int(found[2])), SCHEDULE)


def adaptive(case: Case, num_timesteps: int) -> AdaptiveSchedule:
    """The adaptive schedule at its start, with the granularity of the folder's settings."""
    granularity = case.golden.settings.get("diffusion", {}).get("loss_update_granu", {})
    if str(num_timesteps) not in granularity:
        raise MissingArrayError(f"config.json: diffusion.loss_update_granu.{num_timesteps}")
    return AdaptiveSchedule(case.process(num_timesteps), granularity=granularity[str(num_timesteps)])


class Replayed(NamedTuple):
    """The adaptive schedule after a batch of the golden history; the process after an update, else None."""

    step: int
    sums: NDArray[Any]
    counts: NDArray[Any]
    updated: Process | None


def replayed(case: Case, file: str) -> Iterator[Replayed]:
    num_timesteps = int(re.match(r"adaptive_T(\d+)", file)[1])
    stride, granularity = (int(n) for n in case.golden.array(file, "stride_granu"))
    schedule = AdaptiveSchedule(case.process(num_timesteps), granularity=granularity, stride=stride)
    batches = (case.golden.array(file, name) for name in ("ts", "losses", "loss_masks"))
    for step, batch in enumerate(zip(*batches, strict=True)):
        schedule.add(*batch)
        sums, counts = schedule.sums.copy(), schedule.counts.copy()
        yield Replayed(step, sums, counts, schedule.update() if schedule.is_due(step) else None)


def adaptive_updates(case: Case, file: str) -> Iterator[Ours]:
    values: dict[str, NDArray[Any]] = {}
    for step, sums, counts, updated in replayed(case, file):
        values |= {f"loss_history_after_step{step}": sums, f"loss_history_count_after_step{step}": counts}
        if updated is not None:
            values |= {f"saved_loss_history_step{step}": sums, f"saved_loss_count_step{step}": counts}
            values |= {f"step{step}_{name}": table(updated, name) for name in TABLES}
    for name in case.golden.arrays(file):
        if name in values:
            exact = "history" in name or "count" in name or re.fullmatch(r"step\d+_alphas_cumprod", name)
            yield Ours(name, partial(values.__getitem__, name), EXACT if exact else SCHEDULE)


def saved_schedule(case: Case, file: str) -> Iterator[Ours]:
    """The alpha_bar that an adaptive run of the folder saved last."""
    source = file.replace("alpha_cumprod", "adaptive").replace(".npy", ".npz")
    if source in case.golden.files:
        yield Ours(file, lambda: _last_update(case, source).alpha_bar, EXACT)


def _last_update(case: Case, file: str) -> Process:
    *_, last = (state.updated for state in replayed(case, file) if state.updated is not None)
    return last


def timestep_samplers(case: Case, file: str) -> Iterator[Ours]:
    def sampler(kind: type[LossAware] = LossAware, updates: int | None = None) -> LossAware:
        size = case.golden.array(file, "weights_after_update").shape[1]
        made = kind(size, history=case.golden.array(file, "loss_history").shape[1])
        for t, loss in history(updates):
            made.update(t, loss)
        return made

    def history(updates: int | None) -> list[tuple[Any, Any]]:
        t, losses = case.golden.array(file, "history_t"), case.golden.array(file, "history_loss")
        return list(zip(t, losses, strict=True))[:updates]

    def weights() -> NDArray[Any]:
        made, rows = sampler(updates=0), []
        for t, loss in history(None):
            made.update(t, loss)
            rows.append(made.weights)
        return np.array(rows)

    def draw(kind: type[LossAware], name: str, which: int) -> NDArray[Any]:
        seed = case.golden.setting(file, name, r"seed\((\d+)\)")
        if seed is None:
            raise MissingArrayError(f"manifest.json: the seed of {name}")
        return sampler(kind).draw(len(case.golden.array(file, name)), np.random.RandomState(int(seed)))[which]

    yield Ours("weights_after_update", weights, EXACT)
    yield Ours("loss_history", lambda: sampler().losses, EXACT)
    yield Ours("sample_t", lambda: draw(LossAware, "sample_t", 0), EXACT)
    yield Ours("sample_weights", lambda: draw(LossAware, "sample_t", 1), EXACT)
    if case.name == "seqdiffuseq":
        first = "uniform2_sample_t"
        yield Ours(first, lambda: draw(UniformLossWeighted, first, 0), EXACT)
        yield Ours("uniform2_sample_weights", lambda: draw(UniformLossWeighted, first, 1), EXACT)
    else:
        yield Ours("loss_counts", lambda: sampler().counts, EXACT)
    for name in case.golden.arrays(file):
        if found := re.fullmatch(r"fix_weights_T(\d+)", name):
            yield Ours(name, lambda size=int(found[1]): FixedWeights(size).weights, EXACT)
