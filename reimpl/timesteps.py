"""Which timestep a training record gets, with which weight, and how the network is told.

    symbol   meaning
    t        timestep of a record, 0 .. T-1
    p_t      probability of drawing t
    w        weight of the record's loss, so that E[w * loss] does not depend on p
    phi      sinusoidal embedding of the network's time tau (original index * 1000 / T)

A sampler has `draw(batch_size, rng) -> (t (B,) int64, weights (B,) float32)`; rng is a numpy RandomState or
Generator. Only the loss-aware ones look at losses: under DP their state is private data, use Uniform.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Random = np.random.RandomState | np.random.Generator
Drawn = tuple[NDArray[np.int64], NDArray[np.float32]]


def timestep_embedding(tau: Tensor, size: int) -> Tensor:
    """phi(tau): tau (B,) -> (B, size) float32, [cos(tau w_k), sin(tau w_k)], w_k = 10000^(-2k / size)."""
    half = size // 2
    k = torch.arange(half, dtype=torch.float32, device=tau.device)
    frequencies = torch.exp(-math.log(10000) * k / half)
    angles = tau[:, None].float() * frequencies
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)


class Uniform:
    """p = 1/T, w = 1."""

    def __init__(self, num_timesteps: int) -> None:
        self.weights = np.ones(num_timesteps)

    def draw(self, batch_size: int, rng: Random) -> Drawn:
        probabilities = self.weights / self.weights.sum()
        t = rng.choice(len(probabilities), size=batch_size, p=probabilities)
        return t, (1 / (len(probabilities) * probabilities[t])).astype(np.float32)


class FixedWeights(Uniform):
    """DiffuSeq's "fixed": the second half of the timesteps is drawn half as often as the first."""

    def __init__(self, num_timesteps: int) -> None:
        half = num_timesteps // 2
        self.weights = np.concatenate([np.ones(half), np.full(num_timesteps - half, 0.5)])


class LossAware(Uniform):
    """Draws t by the root mean square of its last losses (loss-second-moment, arXiv 2102.09672).

    Uniform until every t has `history` losses; then p = (1 - uniform_prob) u / sum(u) + uniform_prob / T with
    u_t = sqrt(mean(loss^2)).
    """

    def __init__(self, num_timesteps: int, *, history: int = 10, uniform_prob: float = 0.001) -> None:
        super().__init__(num_timesteps)
        self.uniform_prob = uniform_prob
        self.losses = np.zeros((num_timesteps, history))  # oldest first
        self.counts = np.zeros(num_timesteps, dtype=np.int64)

    def update(self, t: Iterable[int], losses: Iterable[float]) -> None:
        """Record the unweighted loss of each record, oldest out first."""
        for step, loss in zip(t, losses, strict=True):
            if self.counts[step] == self.losses.shape[1]:
                self.losses[step, :-1] = self.losses[step, 1:]
                self.losses[step, -1] = loss
            else:
                self.losses[step, self.counts[step]] = loss
                self.counts[step] += 1
        self.weights = self.second_moment_weights()

    def second_moment_weights(self) -> NDArray[np.float64]:
        """Unnormalised (T,) weights: ones while any t still lacks losses."""
        if (self.counts < self.losses.shape[1]).any():
            return np.ones(len(self.counts))
        moments = np.sqrt(np.mean(self.losses**2, axis=-1))
        return moments / moments.sum() * (1 - self.uniform_prob) + self.uniform_prob / len(moments)


class UniformLossWeighted(LossAware):
    """SeqDiffuSeq's "uniform2": t uniform, weights p_t B / sum over the batch of p_t, p as in LossAware.

    The weight of a record depends on the others of its batch: not separable per record, so not for DP.
    """

    def draw(self, batch_size: int, rng: Random) -> Drawn:
        num_timesteps = len(self.weights)
        t = rng.choice(num_timesteps, size=batch_size, p=np.full(num_timesteps, 1 / num_timesteps))
        drawn = (self.weights / self.weights.sum())[t]
        return t, (drawn * batch_size / drawn.sum()).astype(np.float32)
