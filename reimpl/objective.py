"""The training loss of the three models, per record, and its parts.

    loss = MSE' + NLL + TT
    MSE' = mean (x_start - x_0)^2, at t = 0 mean (E[ids] - x_0)^2 instead      (x_0: the network's prediction)
    NLL  = mean cross-entropy of lm_head(x_start) against the ids
    TT   = mean (sqrt(abar_{T-1}) x_start)^2

Means run over the positions with weight 1 and over dimensions. A batch loss is mean_b(w_b * loss_b).
Source: Diffusion-LM (arXiv 2205.14217, sec. 4), kept by DiffuSeq (2210.08933), SeqDiffuSeq (2212.10325) and
GENIE (2212.11685).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from reimpl.denoising import coefficient
from reimpl.schedules import Process


@dataclass(frozen=True)
class LossTerms:
    """Per-record tensors (B,): total = mse + nll + t_T. The rest, (B, L, D), is what they were made of."""

    mse: Tensor
    nll: Tensor
    t_T: Tensor  # noqa: N815  the loss is called t_T wherever it is known
    total: Tensor
    x_0_mean: Tensor  # E[ids]
    x_start: Tensor
    x_t: Tensor
    x_0: Tensor  # predicted

    def token_losses(self, t: Tensor) -> Tensor:
        """mean_dim (target - x_0)^2 (B, L), the target being E[ids] at t = 0 and x_start elsewhere."""
        return ((_target(self.x_0_mean, self.x_start, t) - self.x_0) ** 2).mean(-1)


def loss_terms(
    process: Process,
    t: Tensor,
    ids: Tensor,
    start_logits: Tensor,
    *,
    x_0_mean: Tensor,
    x_start: Tensor,
    x_t: Tensor,
    x_0: Tensor,
    positions: Tensor | None = None,
) -> LossTerms:
    """The terms of a batch. start_logits (B, L, V) are of x_start; positions (B, L) weights, None: all."""
    last = torch.full_like(t, process.num_timesteps - 1)
    end_mean = coefficient(process, "sqrt_alpha_bar", last, x_start) * x_start
    cross_entropy = F.cross_entropy(start_logits.transpose(1, 2), ids, reduction="none")  # B, L
    mse = mean_over(((_target(x_0_mean, x_start, t) - x_0) ** 2).mean(-1), positions)
    nll = mean_over(cross_entropy, positions)
    t_T = mean_over((end_mean**2).mean(-1), positions)
    return LossTerms(mse, nll, t_T, mse + nll + t_T, x_0_mean, x_start, x_t, x_0)


def mean_over(values: Tensor, positions: Tensor | None) -> Tensor:
    """Mean of values (B, L) over positions with weight (B, L); over all without."""
    if positions is None:
        return values.mean(-1)
    weight = positions.to(values.dtype)
    return (values * weight).sum(-1) / weight.sum(-1).clamp(min=1)


def _target(x_0_mean: Tensor, x_start: Tensor, t: Tensor) -> Tensor:
    return torch.where((t == 0).reshape(-1, 1, 1), x_0_mean, x_start)
