"""Attention masks as the library's layers take them."""

from __future__ import annotations

import torch
from torch import Tensor


def additive_mask(mask: Tensor | None, hidden: Tensor) -> Tensor | None:
    """(B, L) with 0 = hide -> (B, 1, 1, L) of 0 and a very negative number, in the precision of hidden."""
    if mask is None:
        return None
    blocked = torch.finfo(hidden.dtype).min
    open_everywhere = torch.zeros(mask.shape, dtype=hidden.dtype, device=hidden.device)
    return open_everywhere.masked_fill(mask == 0, blocked)[:, None, None]
