"""Our q(x_t | x_0), its posterior and p(x_{t-1} | x_t), for the arrays of a golden folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from torch import Tensor

from reimpl import denoising
from reimpl.parity.case import HIDDEN, Case, Ours
from reimpl.schedules import Process

MASKED, EPSILON = ("q_sample_masked",), ("eps_from_xstart",)  # what not every original has


def noising(case: Case, file: str) -> Iterator[Ours]:
    num_timesteps, variant = re.match(r"q_T(\d+)(?:_(\w+))?\.npz", file).groups()

    def ours(of: Callable[[Process, Tensor, Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        t = case.golden.tensor(file, "t")
        process = case.process(int(num_timesteps), variant)
        return of(process, case.given("x_start_q"), case.given("x_t"), t, case.given("noise_q"))

    values = {
        "q_sample": lambda p, x, x_t, t, z: denoising.q_sample(p, x, t, z),
        "q_sample_masked": lambda p, x, x_t, t, z: denoising.q_sample(p, x, t, z, case.given("input_mask")),
        "q_mean": lambda p, x, x_t, t, z: denoising.q_mean_variance(p, x, t).mean,
        "q_variance": lambda p, x, x_t, t, z: denoising.q_mean_variance(p, x, t).variance,
        "q_log_variance": lambda p, x, x_t, t, z: denoising.q_mean_variance(p, x, t).log_variance,
        "q_posterior_mean": lambda p, x, x_t, t, z: denoising.q_posterior(p, x, x_t, t).mean,
        "q_posterior_variance": lambda p, x, x_t, t, z: denoising.q_posterior(p, x, x_t, t).variance,
        "q_posterior_log_variance_clipped": lambda p, x, x_t, t, z: denoising.q_posterior(p, x, x_t, t)[2],
        "eps_from_xstart": lambda p, x, x_t, t, z: denoising.predicted_noise(p, x, x_t, t),
    }
    unknown = {"diffuseq": (), "genie": MASKED, "seqdiffuseq": MASKED + EPSILON}[case.name]
    for name, of in values.items():
        if name not in unknown:
            yield Ours(name, partial(ours, of), HIDDEN)


PMV = r"(?:(noclamp|round)_)?clip([01])_(?:(large|small)_)?(mean|variance|log_variance|pred_xstart)"


def reverse_means(case: Case, file: str) -> Iterator[Ours]:
    num_timesteps, variant = re.match(r"p_mean_variance_T(\d+)(?:_(\w+))?\.npz", file).groups()

    def ours(rounding: bool, clip: bool, variance: str, part: str) -> Tensor:
        process, t = case.process(int(num_timesteps), variant), case.golden.tensor(file, "t")
        x_t = case.given("x_t")
        x_0 = case.predict(x_t, denoising.network_time(process, t), **case.self_conditioned())
        x_0 = denoising.denoised(x_0, case.model.lm_head.weight, rounding=rounding, clip=clip)
        p = denoising.p_mean_variance(process, x_0, x_t, t, variance)
        return x_0 if part == "pred_xstart" else getattr(p, part)

    for name in case.golden.arrays(file):
        if found := re.fullmatch(PMV, name):
            variance = f"fixed_{found[3]}" if found[3] else case.config.variance
            yield Ours(name, partial(ours, found[1] == "round", found[2] == "1", variance, found[4]), HIDDEN)
