"""What we compute for the sampling trajectories of a golden folder: whole chains, with the recorded noise replayed.

The options of a chain (rounding, gap, eta, ...) are read from its documented meaning, else from its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from reimpl import denoising
from reimpl.parity.case import EXACT, TRAJECTORY, Case, Ours
from reimpl.parity.golden import MissingArrayError
from reimpl.schedules import Process

FILE = "sampling.npz"


def trajectories(case: Case, file: str) -> Iterator[Ours]:
    """Every chain, its final ids, and the single steps beside them."""
    for name in case.golden.arrays(file):
        if re.match(r"(ddpm|ddim|by_q|mix)(?!_step|_reverse)", name):
            chain = partial(_chain, case, name.removesuffix("_ids"))
            if name.endswith("_ids"):
                yield Ours(name, lambda run=chain: case.model.logits(run()[-1]).argmax(-1), EXACT)
            else:
                yield Ours(name, chain, TRAJECTORY)
    yield from _single_steps(case, file)


def option(case: Case, name: str, pattern: str) -> str | None:
    """An option of a chain, from its meaning; chains documented 'as X' have X's."""
    found = case.golden.setting(FILE, name, pattern)
    other = case.golden.setting(FILE, name, r"^as (\w+)")
    return found if found is not None or other is None else option(case, other, pattern)


@lru_cache(maxsize=2)  # the trajectory, then its final ids
def _chain(case: Case, name: str) -> Tensor:
    run = _with_self_conditioning if case.name == "seqdiffuseq" else _with_rounding
    return torch.stack(list(run(case, name)))


def _noise(case: Case, *names: str) -> Iterator[Tensor]:
    """x_T, then every recorded draw."""
    yield case.golden.tensor(FILE, "x_init")
    for name in names:
        yield from case.golden.tensor(FILE, name)


def _with_rounding(case: Case, name: str) -> Iterable[Tensor]:
    """A DiffuSeq or GENIE chain."""
    options: dict[str, Any] = {"clip": name.endswith("_clip"), "method": "ddim" if "ddim" in name else "ancestral"}
    options["rounding"] = _rounding(case, name)
    num_timesteps = len(case.golden.array(FILE, "step_noise"))
    gap = int(
        option(case, name, r"(?:gap|interval_step)=(\d+)") or (re.findall(r"(?:gap|interval)(\d+)", name) or [1])[0]
    )
    kept = range(num_timesteps - 1, -1, -gap) if case.name == "diffuseq" else range(0, num_timesteps, gap)[::-1]
    small = "sigmasmall" in name or (case.name == "diffuseq" and case.config.variance == "fixed_small")
    options |= {"steps": kept, "variance": "fixed_small" if small else "fixed_large"}
    options["eta"] = float((re.findall(r"eta(\d+)", name) or [0])[0])
    noise = _noise(case, "step_noise")
    return case.module.sample(case.model, case.process(num_timesteps), case.conditioning, noise=noise, **options)


def _rounding(case: Case, name: str) -> denoising.Rounding:
    if "noclamp" in name:
        return False
    named = re.search(r"_(first|last)(\d+)", name)
    bound = option(case, name, r"clamp_step=(\d+)") or (named[2] if named else "0")
    if named and named[1] == "last":
        return lambda t: t <= int(bound)
    return lambda t: t >= int(bound)


def _with_self_conditioning(case: Case, name: str) -> Iterable[Tensor]:
    """A SeqDiffuSeq chain: p's draws, with the recorded uniform draws in their places."""
    num_timesteps = len(case.golden.array(FILE, name))
    process = case.process(num_timesteps, "loaded" if name.endswith("_tokenwise") else None)
    method = next((m for m in ("by_q", "mix") if name.startswith(m)), "ancestral")
    options: dict[str, Any] = {"clip": "_clip" in name, "method": method}
    options["variance"] = "fixed_small" if "sigmasmall" in name else "fixed_large"
    if method == "mix":
        found = [option(case, name, rf"'generate_by_mix_{part}': ([\d.]+)") for part in ("prob", "part")]
        if None in found:
            raise MissingArrayError(f"manifest.json: the mixing options of {name}")
        options |= dict(zip(("mix_prob", "mix_part"), map(float, found), strict=True))
    noise = _interleaved(case, name)
    return case.module.sample(case.model, process, case.conditioning, noise=noise, **options)


def _interleaved(case: Case, name: str) -> Iterator[Tensor]:
    """Recorded normal draws, and between them the uniform ones where rng_order.json says."""
    normal = _noise(case, "noise_stream")
    calls = next((calls for call, calls in case.golden.draws.items() if call.endswith(f"progressive_{name}")), None)
    calls = calls or next((c for call, c in case.golden.draws.items() if call.endswith(f"_{name}")), None)
    if calls is None:
        raise MissingArrayError(f"rng_order.json: the draws of {name}")
    for call in calls:
        yield torch.tensor(call["value"], dtype=torch.float64) if "value" in call else next(normal)


def _single_steps(case: Case, file: str) -> Iterator[Ours]:
    golden = case.golden

    def step(of: str) -> Tensor:
        process = case.process(len(golden.array(file, "step_noise")))
        t, x_t, z = golden.tensor(file, "ddim_step_t"), case.given("x_t"), case.given("noise_q")
        x_0 = case.predict(x_t, denoising.network_time(process, t))
        if of == "ddim_reverse_step":
            return denoising.ddim_reverse_step(process, x_0, x_t, t)
        if of.startswith("ddim_step_eta"):
            return denoising.ddim_step(process, x_0, x_t, t, z, eta=float(of.removeprefix("ddim_step_eta")))
        p = denoising.p_mean_variance(process, x_0, x_t, t, case.config.variance)
        return denoising.ancestral_step(p, t, truncated()[0])

    def truncated() -> tuple[Tensor, list[int]]:
        """The noise of the step with top_p, and how many entries each redraw replaced."""
        top_p, used = float(option(case, "topp_step", r"top_p=([\d.]+)") or 1.0), []

        def draws() -> Iterator[Tensor]:
            yield golden.tensor(file, "topp_draw0")
            for redraw in golden.tensor(file, "topp_redraws").split(golden.array(file, "topp_redraw_sizes").tolist()):
                used.append(len(redraw))
                yield redraw

        source = denoising.Draws(draws(), case.given("x_t"))
        return source.truncated(case.given("x_t").shape, top_p), used

    def respaced(steps: int) -> Tensor:
        total = option(case, f"respaced{steps}_clamp_final", r"T=(\d+)")
        if total is None:
            raise MissingArrayError(f"manifest.json: the length of the chain respaced to {steps}")
        process = case.process(int(total), f"respaced{steps}")
        noise = _noise(case, f"respaced{steps}_step_noise")
        return _last(case.module.sample(case.model, process, case.conditioning, noise=noise, rounding=True))

    for name in golden.arrays(file):
        if name in ("ddim_reverse_step", "topp_step") or re.fullmatch(r"ddim_step_eta\d+", name):
            yield Ours(name, partial(step, name), TRAJECTORY)
        elif name == "topp_redraw_sizes":
            yield Ours(name, lambda: truncated()[1], EXACT)
        elif found := re.fullmatch(r"respaced(\d+)_clamp_final", name):
            yield Ours(name, partial(respaced, int(found[1])), TRAJECTORY)
        elif found := re.fullmatch(r"p_sample_loop_noise_start(\d+)_final", name):
            yield Ours(name, partial(_from_middle, case, int(found[1])), TRAJECTORY)


def _from_middle(case: Case, start: int) -> Tensor:
    """GENIE's chain that begins at t = start - 1, from x_start_q noised to there, with rounding."""
    process: Process = case.process(len(case.golden.array(FILE, "step_noise")))
    x_start = denoising.start_from_mean(process, case.given("x_start_q"), case.given("noise_emb"))
    t = torch.full((len(x_start),), start - 1)
    x_t = denoising.q_sample(process, x_start, t, case.given("noise_q"))
    noise = iter([x_t, *case.golden.tensor(FILE, "step_noise")])
    options = {"steps": range(start - 1, -1, -1), "rounding": True, "variance": "fixed_large"}
    return _last(case.module.sample(case.model, process, case.conditioning, noise=noise, **options))


def _last(states: Iterable[Tensor]) -> Tensor:
    *_, last = states
    return last
