"""The noise schedule of a text diffusion model: how much signal is left at each timestep.

    symbol   here                      meaning
    T        num_timesteps             steps of the chain, t = 0 .. T-1
    L                                  positions (SeqDiffuSeq has one schedule for each)
    beta_t   betas                     variance added at step t
    abar_t   alpha_bar                 product of (1 - beta_i), i <= t: the signal's share of the variance
    tau      network_time(t)           what the network is told: original index * 1000 / T

Everything here is float64 numpy; `denoising` gathers float32 coefficients from it, as the originals do.
Sources: DDPM (arXiv 2006.11239), improved DDPM (2102.09672), Diffusion-LM's sqrt schedule (2205.14217),
SeqDiffuSeq's per-position schedule (2212.10325).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
NOISE_SCHEDULES = ("sqrt", "linear", "cosine", "trunc_cos", "trunc_lin", "pw_lin")


def sqrt_signal(s: float) -> float:
    """Unnormalised alpha_bar at the fraction s of the chain: 1 - sqrt(s + 1e-4)."""
    return 1 - float(np.sqrt(s + 1e-4))


def cosine_signal(s: float, offset: float = 0.008) -> float:
    """cos^2((s + offset) / (1 + offset) * pi / 2)."""
    return float(np.cos((s + offset) / (1 + offset) * np.pi / 2) ** 2)


def trunc_cosine_signal(s: float) -> float:
    """The cosine schedule entered late, so that the first step already carries noise."""
    return cosine_signal(s, 0.1)


def betas_from_signal(signal: Callable[[float], float], num_timesteps: int) -> Array:
    """beta_t = min(1 - f((t+1)/T) / f(t/T), 0.999): the cap keeps the last step finite where f(1) <= 0."""
    grid = range(num_timesteps)
    ratios = [signal((t + 1) / num_timesteps) / signal(t / num_timesteps) for t in grid]
    return np.array([min(1 - ratio, 0.999) for ratio in ratios])


def _truncated(signal: Callable[[float], float], num_timesteps: int) -> Array:
    first = min(1 - signal(0), 0.999)
    return np.concatenate([[first], betas_from_signal(signal, num_timesteps)[:-1]])


def named_betas(name: str, num_timesteps: int) -> Array:
    """betas (T,) of a named schedule, one of NOISE_SCHEDULES. ValueError on any other name."""
    low, high = 1e-4 * 1000 / num_timesteps, 0.02 * 1000 / num_timesteps
    if name == "sqrt":
        return betas_from_signal(sqrt_signal, num_timesteps)
    if name == "cosine":
        return betas_from_signal(cosine_signal, num_timesteps)
    if name == "trunc_cos":
        return _truncated(trunc_cosine_signal, num_timesteps)
    if name == "linear":
        return np.linspace(low, high, num_timesteps)
    if name == "trunc_lin":
        return np.linspace(low + 0.01, high + 0.01, num_timesteps)
    if name == "pw_lin":
        return np.concatenate([np.linspace(low + 0.01, low, 10), np.linspace(low, high, num_timesteps - 10)])
    raise ValueError(f"noise_schedule: expected one of {', '.join(NOISE_SCHEDULES)}; got {name!r}")


@dataclass(frozen=True, eq=False)
class Process:
    """The forward process q and its posterior: tables over t, each (T,) or, per position, (T, L).

    betas            variance added at step t, in agreement with alpha_bar
    timestep_map     (T,) index of each kept step in the chain of `num_original` steps it came from
    flatten_variance SeqDiffuSeq's quirk: the (T, L) log-variance is flattened, then indexed with t, so that
                     step t uses beta~[max(1, t // L), t % L], far below beta~_t. Clean: False.
    initial_betas    SeqDiffuSeq's quirk: FIXED_LARGE and the stored betas stay those of the first schedule
                     when alpha_bar adapts. None (clean, and every other model) means `betas`.
    """

    betas: Array
    alpha_bar: Array
    timestep_map: NDArray[np.int64]
    num_original: int
    flatten_variance: bool = False
    initial_betas: Array | None = None

    @classmethod
    def named(cls, noise_schedule: str, num_timesteps: int) -> Process:
        """The full chain of a named schedule, one schedule for all positions."""
        betas = named_betas(noise_schedule, num_timesteps)
        return cls(betas, np.cumprod(1 - betas), np.arange(num_timesteps), num_timesteps)

    def respaced(self, steps: int) -> Process:
        """`steps` evenly spread timesteps of this chain, betas recomputed so that alpha_bar is kept at each.

        With all steps kept only the last bit of the betas moves, which is how DiffuSeq and SeqDiffuSeq run.
        """
        if not 2 <= steps <= self.num_timesteps:
            raise ValueError(f"steps: expected 2 to {self.num_timesteps}; got {steps}")
        kept = np.array(evenly_spaced(self.num_timesteps, steps))
        alpha_bar = self.alpha_bar[kept]
        betas = 1 - alpha_bar / _before(alpha_bar)
        return Process(betas, np.cumprod(1 - betas, axis=0), self.timestep_map[kept], self.num_original)

    def per_position(self, length: int, *, flatten_variance: bool, keep_initial_betas: bool) -> Process:
        """`length` copies of the schedule, (T, L). The two flags are SeqDiffuSeq's quirks (see the class)."""
        betas = np.tile(self.betas[:, None], (1, length))
        alpha_bar = np.tile(self.alpha_bar[:, None], (1, length))
        initial = betas if keep_initial_betas else None
        return Process(betas, alpha_bar, self.timestep_map, self.num_original, flatten_variance, initial)

    def with_alpha_bar(self, alpha_bar: Array) -> Process:
        """This process with a new (T, L) table; position 0 ([CLS]) keeps its schedule."""
        if alpha_bar.shape != self.alpha_bar.shape or self.alpha_bar.ndim != 2:
            raise ValueError(f"alpha_bar: expected shape {self.alpha_bar.shape}; got {alpha_bar.shape}")
        new = np.concatenate([self.alpha_bar[:, :1], alpha_bar[:, 1:]], axis=1)
        betas = 1 - new / _before(new)
        args = self.timestep_map, self.num_original, self.flatten_variance, self.initial_betas
        return Process(betas, new, *args)

    @property
    def num_timesteps(self) -> int:
        return len(self.alpha_bar)

    @cached_property
    def alpha_bar_prev(self) -> Array:
        return _before(self.alpha_bar)

    @cached_property
    def alpha_bar_next(self) -> Array:
        return np.concatenate([self.alpha_bar[1:], np.zeros_like(self.alpha_bar[:1])])

    @cached_property
    def sqrt_alpha_bar(self) -> Array:
        return np.sqrt(self.alpha_bar)

    @cached_property
    def one_minus_alpha_bar(self) -> Array:
        return 1 - self.alpha_bar

    @cached_property
    def sqrt_one_minus_alpha_bar(self) -> Array:
        return np.sqrt(1 - self.alpha_bar)

    @cached_property
    def log_one_minus_alpha_bar(self) -> Array:
        return np.log(1 - self.alpha_bar)

    @cached_property
    def sqrt_recip_alpha_bar(self) -> Array:
        return np.sqrt(1 / self.alpha_bar)

    @cached_property
    def sqrt_recip_minus_one(self) -> Array:
        return np.sqrt(1 / self.alpha_bar - 1)

    @cached_property
    def posterior_variance(self) -> Array:
        """beta~_t, the variance of q(x_{t-1} | x_t, x_0); 0 at t = 0."""
        return self.betas * (1 - self.alpha_bar_prev) / (1 - self.alpha_bar)

    @cached_property
    def posterior_mean_x_0(self) -> Array:
        """c1_t: the weight of x_0 in the posterior mean."""
        return self.betas * np.sqrt(self.alpha_bar_prev) / (1 - self.alpha_bar)

    @cached_property
    def posterior_mean_x_t(self) -> Array:
        """c2_t: the weight of x_t in the posterior mean."""
        return (1 - self.alpha_bar_prev) * np.sqrt(1 - self.betas) / (1 - self.alpha_bar)

    @cached_property
    def posterior_log_variance(self) -> Array:
        """log beta~_t with beta~_0 (= 0) replaced by beta~_1; flattened where the quirk is on."""
        return np.log(self._from_second(self.posterior_variance))

    @cached_property
    def fixed_small(self) -> Array:
        return self.posterior_variance

    @cached_property
    def fixed_small_log(self) -> Array:
        return self.posterior_log_variance

    @cached_property
    def fixed_large(self) -> Array:
        """[beta~_1, beta_1, ..., beta_{T-1}]; flattened where the quirk is on."""
        return self._from_second(self.betas if self.initial_betas is None else self.initial_betas)

    @cached_property
    def fixed_large_log(self) -> Array:
        return np.log(self.fixed_large)

    def _from_second(self, table: Array) -> Array:
        clipped = np.concatenate([self.posterior_variance[1:2], table[1:]])
        return clipped.ravel() if self.flatten_variance else clipped


def evenly_spaced(num_timesteps: int, steps: int) -> list[int]:
    """`steps` indices from 0 to T-1: the running sum of (T-1)/(steps-1), rounded."""
    stride, position, kept = (num_timesteps - 1) / (steps - 1), 0.0, []
    for _ in range(steps):
        kept.append(round(position))
        position += stride
    return kept


def _before(alpha_bar: Array) -> Array:
    return np.concatenate([np.ones_like(alpha_bar[:1]), alpha_bar[:-1]])


class AdaptiveSchedule:
    """SeqDiffuSeq's noise schedule learnt from training losses (arXiv 2212.10325): equal loss per step.

    It keeps, for every bin of `granularity` timesteps and every position, the sum and count of token losses,
    and at each `stride` re-times alpha_bar so that the loss grows linearly in t. They are private data: under
    DP, using them costs privacy that clipping and noising gradients does not pay for.
    """

    def __init__(self, process: Process, *, granularity: int = 20, stride: int = 20_000) -> None:
        if process.alpha_bar.ndim != 2:
            raise ValueError("AdaptiveSchedule: expected a process with a schedule for each position")
        if granularity < 1 or process.num_timesteps % granularity or process.num_timesteps < 2 * granularity:
            raise ValueError(
                f"AdaptiveSchedule: expected a granularity that cuts {process.num_timesteps} timesteps "
                f"into two whole bins or more; got {granularity}"
            )
        self.process, self.granularity, self.stride = process, granularity, stride
        self.reset()

    def reset(self) -> None:
        """Start values: losses linspace(0, 0.5), each counted once."""
        bins, length = self.process.num_timesteps // self.granularity, self.process.alpha_bar.shape[1]
        self.sums = np.tile(np.linspace(0, 0.5, bins)[:, None], (1, length))
        self.counts = np.ones((bins, length))

    def add(self, t: ArrayLike, token_losses: ArrayLike, token_mask: ArrayLike) -> None:
        """t (B,), token_losses (B, L) with 0 on pads, token_mask (B, L): add each record to its bin."""
        rows = np.asarray(t) // self.granularity
        np.add.at(self.sums, rows, token_losses)
        np.add.at(self.counts, rows, token_mask)

    def is_due(self, step: int) -> bool:
        return step >= 3 * self.stride and step % self.stride == 0

    def update(self) -> Process:
        """Re-time every position but the first, reset the history, return the new process."""
        knots = _extended(_increasing(self.sums / self.counts))  # (bins + 2, L)
        alpha_bar, old = self.process.alpha_bar.copy(), self.process.alpha_bar
        for position in range(1, old.shape[1]):
            levels = self._levels(old, position)
            column = knots[:, position]
            losses = np.linspace(column.min() - 1e-5, column.max() + 1e-5, len(old))
            alpha_bar[:, position] = np.interp(losses, column, levels)
        self.process = self.process.with_alpha_bar(alpha_bar)
        self.reset()
        return self.process

    def _levels(self, alpha_bar: Array, position: int) -> Array:
        bins = len(self.sums)
        binned = alpha_bar[:, position].reshape(bins, self.granularity)
        return np.concatenate([[alpha_bar.max()], binned.mean(axis=1), [alpha_bar.min()]])


def _increasing(losses: Array) -> Array:
    increasing = losses.copy()
    for row in range(1, len(losses)):
        increasing[row] = np.maximum(losses[row], increasing[row - 1] + 1e-5)
    return increasing


def _extended(losses: Array) -> Array:
    below = losses[0] - (losses[1] - losses[0]) / 2
    above = losses[-1] + (losses[-1] - losses[-2]) / 2
    return np.concatenate([below[None], losses, above[None]])
