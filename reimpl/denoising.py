"""The mathematics between clean embeddings and noise: q, its posterior, rounding, one reverse step.

    symbol   shape      meaning
    x_0      B, L, D    clean embeddings (or the network's prediction of them)
    x_t      B, L, D    the noised embeddings at timestep t
    t        B          timestep of each record, int64
    abar_t              alpha_bar of the process (see `schedules`); per record, or per record and position
    z        B, L, D    standard normal noise

Coefficients are gathered as float32 and multiplied in the tensors' own precision, as in the originals.
Sources: DDPM (arXiv 2006.11239), DDIM (2010.02502), Diffusion-LM's rounding (2205.14217), DiffuSeq's partial
noising (2210.08933).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, wraps
from typing import Literal, NamedTuple, ParamSpec

import torch
from torch import Tensor

from reimpl.schedules import Process

Variance = Literal["fixed_small", "fixed_large"]


def coefficient(process: Process, table: str, t: Tensor, like: Tensor) -> Tensor:
    """Row t of a table of the process as float32, broadcastable over `like` (B, L, D)."""
    rows = _float32(process, table, like.device)[t]
    return rows.reshape(rows.shape + (1,) * (like.ndim - rows.ndim))


@lru_cache(maxsize=128)  # a chain reads the same few tables at every step
def _float32(process: Process, table: str, device: torch.device) -> Tensor:
    return torch.from_numpy(getattr(process, table)).to(device=device, dtype=torch.float32)


def network_time(process: Process, t: Tensor) -> Tensor:
    """tau (B,) float32: the original index of t, rescaled to 0 .. 1000."""
    original = torch.from_numpy(process.timestep_map).to(t.device)[t]
    return original.float() * (1000.0 / process.num_original)


def start_from_mean(process: Process, x_0_mean: Tensor, noise: Tensor) -> Tensor:
    """x_start = E[ids] + sqrt(1 - abar_0) z: the embeddings as the first timestep leaves them."""
    first = torch.zeros(len(x_0_mean), dtype=torch.int64, device=x_0_mean.device)
    return x_0_mean + coefficient(process, "sqrt_one_minus_alpha_bar", first, x_0_mean) * noise


def q_sample(process: Process, x_0: Tensor, t: Tensor, noise: Tensor, mask: Tensor | None = None) -> Tensor:
    """A draw of q(x_t | x_0). With mask (B, L), positions where it is 0 keep x_0 (partial noising)."""
    x_t = coefficient(process, "sqrt_alpha_bar", t, x_0) * x_0
    x_t = x_t + coefficient(process, "sqrt_one_minus_alpha_bar", t, x_0) * noise
    return x_t if mask is None else anchored(x_t, x_0, mask)


def anchored(x: Tensor, anchor: Tensor, mask: Tensor) -> Tensor:
    """x where mask (B, L) is not 0, the anchor elsewhere."""
    return torch.where(mask[..., None] == 0, anchor, x)


class Gaussian(NamedTuple):
    """Mean (B, L, D); variance and its log, broadcastable over the mean."""

    mean: Tensor
    variance: Tensor
    log_variance: Tensor


def q_mean_variance(process: Process, x_0: Tensor, t: Tensor) -> Gaussian:
    """q(x_t | x_0)."""
    mean = coefficient(process, "sqrt_alpha_bar", t, x_0) * x_0
    variance = coefficient(process, "one_minus_alpha_bar", t, x_0)
    return Gaussian(mean, variance, coefficient(process, "log_one_minus_alpha_bar", t, x_0))


def posterior_mean(process: Process, x_0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """mu = c1_t x_0 + c2_t x_t."""
    c1 = coefficient(process, "posterior_mean_x_0", t, x_t)
    return c1 * x_0 + coefficient(process, "posterior_mean_x_t", t, x_t) * x_t


def q_posterior(process: Process, x_0: Tensor, x_t: Tensor, t: Tensor) -> Gaussian:
    """q(x_{t-1} | x_t, x_0)."""
    variance = coefficient(process, "posterior_variance", t, x_t)
    log_variance = coefficient(process, "posterior_log_variance", t, x_t)
    return Gaussian(posterior_mean(process, x_0, x_t, t), variance, log_variance)


def p_mean_variance(process: Process, x_0: Tensor, x_t: Tensor, t: Tensor, variance: Variance) -> Gaussian:
    """p(x_{t-1} | x_t) of a network that predicts x_0, with one of the two fixed variances."""
    value = coefficient(process, variance, t, x_t)
    log_value = coefficient(process, f"{variance}_log", t, x_t)
    return Gaussian(posterior_mean(process, x_0, x_t, t), value, log_value)


def predicted_noise(process: Process, x_0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """The z that q_sample would have used to come from x_0 to x_t."""
    scaled = coefficient(process, "sqrt_recip_alpha_bar", t, x_t) * x_t
    return (scaled - x_0) / coefficient(process, "sqrt_recip_minus_one", t, x_t)


class Rounded(NamedTuple):
    """Nearest embedding rows (..., D), their ids (...), and minus the squared L2 distance (...)."""

    x_0: Tensor
    ids: Tensor
    neg_sq_distance: Tensor


def round_to_embeddings(x_0: Tensor, embedding: Tensor, *, block: int = 1 << 15) -> Rounded:
    """Replace each position of x_0 (..., D) by the nearest row of embedding (V, D) in squared L2.

    One matrix product and an argmin a block of vocabulary; equal distances go to the lower id.
    """
    flat = x_0.reshape(-1, x_0.shape[-1])
    best = torch.full((len(flat),), float("inf"), dtype=flat.dtype, device=flat.device)
    ids = torch.zeros(len(flat), dtype=torch.int64, device=flat.device)
    for start in range(0, len(embedding), block):
        rows = embedding[start : start + block]
        score, index = torch.addmm((rows**2).sum(-1), flat, rows.T, alpha=-2).min(-1)  # |e|^2 - 2 x.e
        closer = score < best
        best, ids = torch.where(closer, score, best), torch.where(closer, index + start, ids)
    distance = (best + (flat**2).sum(-1)).clamp(min=0)
    shape = x_0.shape[:-1]
    return Rounded(embedding[ids].view_as(x_0), ids.view(shape), -distance.view(shape))


def neg_distances(x_0: Tensor, embedding: Tensor) -> Tensor:
    """Minus the L2 distance of each position (..., D) to each embedding row (V, D): (..., V)."""
    squared = (x_0**2).sum(-1, keepdim=True) + (embedding**2).sum(-1) - 2 * x_0 @ embedding.T
    return -squared.clamp(min=0).sqrt()


class Draws:
    """Noise for a chain: from a generator, or replayed from an iterator in the order it is consumed.

    ValueError, naming the draw, where a replayed tensor is missing or has another shape.
    """

    def __init__(self, noise: torch.Generator | Iterator[Tensor], like: Tensor) -> None:
        self.noise, self.like, self.count = noise, like, 0

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal, in the precision and on the device of `like`."""
        if isinstance(self.noise, torch.Generator):
            drawn = torch.randn(*shape, generator=self.noise, device=self.noise.device, dtype=torch.float32)
        else:
            drawn = self._replayed(shape)
        return drawn.to(self.like)

    def uniform(self) -> float:
        """One U(0, 1), shared by the batch."""
        if isinstance(self.noise, torch.Generator):
            return float(torch.rand((), generator=self.noise, device=self.noise.device))
        return float(self._replayed(()))

    def truncated(self, shape: Sequence[int], top_p: float) -> Tensor:
        """Normal with every |z| > top_p redrawn until none is left; top_p <= 0 means plain normal."""
        z = self.normal(shape)
        while top_p > 0 and (outside := z.abs() > top_p).any():
            z[outside] = self.normal([int(outside.sum())])
        return z

    def _replayed(self, shape: Sequence[int]) -> Tensor:
        self.count += 1
        drawn = next(self.noise, None)  # type: ignore[call-overload]
        if drawn is None or tuple(drawn.shape) != tuple(shape):
            got = "nothing left" if drawn is None else f"shape {tuple(drawn.shape)}"
            raise ValueError(f"noise: draw {self.count}: expected shape {tuple(shape)}; got {got}")
        return drawn.clone()


def ancestral_step(p: Gaussian, t: Tensor, z: Tensor) -> Tensor:
    """x_{t-1} = mu + 1[t > 0] sqrt(variance) z."""
    moving = (t > 0).to(p.mean.dtype).reshape(-1, 1, 1)
    return p.mean + moving * torch.exp(0.5 * p.log_variance) * z


def ddim_step(
    process: Process,
    x_0: Tensor,
    x_t: Tensor,
    t: Tensor,
    z: Tensor,
    *,
    eta: float = 0.0,
    previous: Tensor | None = None,
) -> Tensor:
    """One DDIM step (arXiv 2010.02502, eq. 12) to abar_{t-1}, or to abar of the timestep `previous` (-1: 1).

    Stepping several timesteps at a time to abar_{t-1} is a quirk; the clean choice passes `previous`.
    """
    noise = predicted_noise(process, x_0, x_t, t)
    abar = coefficient(process, "alpha_bar", t, x_t)
    if previous is None:
        before = coefficient(process, "alpha_bar_prev", t, x_t)
    else:
        kept = coefficient(process, "alpha_bar", previous.clamp(min=0), x_t)
        before = torch.where(previous.reshape(-1, 1, 1) < 0, torch.ones_like(kept), kept)
    sigma = eta * torch.sqrt((1 - before) / (1 - abar)) * torch.sqrt(1 - abar / before)
    mean = x_0 * torch.sqrt(before) + torch.sqrt(1 - before - sigma**2) * noise
    return mean + (t > 0).to(mean.dtype).reshape(-1, 1, 1) * sigma * z


def ddim_reverse_step(process: Process, x_0: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """x_{t+1} along the deterministic DDIM path."""
    after = coefficient(process, "alpha_bar_next", t, x_t)
    noise = predicted_noise(process, x_0, x_t, t)
    return x_0 * torch.sqrt(after) + torch.sqrt(1 - after) * noise


def denoised(x_0: Tensor, embedding: Tensor, *, rounding: bool, clip: bool) -> Tensor:
    """The network's x_0, optionally rounded to embeddings, then optionally clipped to [-1, 1]."""
    x_0 = round_to_embeddings(x_0, embedding).x_0 if rounding else x_0
    return x_0.clamp(-1, 1) if clip else x_0


def reverse_step(
    process: Process,
    x_0: Tensor,
    x_t: Tensor,
    t: Tensor,
    z: Tensor,
    *,
    variance: Variance,
    ddim: bool,
    eta: float,
    previous: Tensor | None,
) -> Tensor:
    """x_{t-1}: an ancestral draw with the given variance, or a DDIM step."""
    if ddim:
        return ddim_step(process, x_0, x_t, t, z, eta=eta, previous=previous)
    return ancestral_step(p_mean_variance(process, x_0, x_t, t, variance), t, z)


def following(kept: Sequence[int], step: int, t: Tensor) -> Tensor:
    """The timestep after `step` in the chain `kept`, for each record of t; -1 after the last."""
    return torch.full_like(t, kept[step + 1] if step + 1 < len(kept) else -1)


def descending(num_timesteps: int, steps: int | Sequence[int] | None, *, from_last: bool = False) -> list[int]:
    """The timesteps a chain visits, last first: all, those given, or for a number n every (T // n)-th.

    Counted from 0 (GENIE keeps t divisible by the gap), or from T-1 (DiffuSeq).
    """
    if steps is not None and not isinstance(steps, int):
        return list(steps)
    if steps is not None and not 1 <= steps <= num_timesteps:
        raise ValueError(f"steps: expected 1 to {num_timesteps}; got {steps}")
    gap = num_timesteps // (steps or num_timesteps)
    return list(range(num_timesteps - 1, -1, -gap)) if from_last else list(range(0, num_timesteps, gap))[::-1]


Arguments = ParamSpec("Arguments")


def inference(chain: Callable[Arguments, Iterator[Tensor]]) -> Callable[Arguments, Iterator[Tensor]]:
    """A sampler run in inference mode whose states are ordinary tensors: they may be used outside of it."""
    fast = torch.inference_mode()(chain)

    @wraps(chain)
    def states(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Iterator[Tensor]:
        for x in fast(*args, **kwargs):
            yield x.clone()

    return states


Rounding = bool | Callable[[int], bool]


def rounds_at(rounding: Rounding, t: int) -> bool:
    """Whether x_0 is rounded at timestep t: always, never, or as a function of t says."""
    return rounding(t) if callable(rounding) else rounding
