"""Clipped sums of per-record gradients from one backward pass that makes no per-record gradient (arXiv 2210.00038).

For a layer with inputs A (B, T, d) and output gradients G (B, T, p), the weight gradient of record b is G_b^T A_b:

    its squared norm     sum of (G_b G_b^T) * (A_b A_b^T), or of (G_b^T A_b)^2 where that is cheaper
    the clipped sum      (c * G)^T A as one matrix product, c (B,) the clip factors

An embedding is the same with one-hot rows for G and its output gradients for A. A weight used in several places (tied
embeddings) has one use a place, and cross terms between them. The backward pass stops at outputs of layers, so weight
gradients are never made. Exact for Linear, Embedding and LayerNorm; a model with any other trained layer is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LAYERS = (nn.Linear, nn.Embedding, nn.LayerNorm)


@dataclass
class Call:
    """One forward call of a layer: its input and its output in the graph."""

    layer: nn.Module
    inputs: Tensor
    output: Tensor


@dataclass
class Use:
    """A weight gradient left^T right. left (B, T, p), or ids (B, T) that stand for one-hot rows; right (B, T, d)."""

    left: Tensor
    right: Tensor

    @property
    def one_hot(self) -> bool:
        return not self.left.is_floating_point()

    def cheap_to_make(self) -> bool:
        """Whether T p d is less than T^2 (p + d): the gradient of a record costs less than the products of its rows."""
        width, depth = self.left.shape[-1], self.right.shape[-1]
        return not self.one_hot and width * depth <= self.right.shape[1] * (width + depth)


def supports(module: nn.Module) -> bool:
    """Whether every trained parameter belongs to a layer of a kind that is known here."""
    known = {id(p) for layer in module.modules() if type(layer) in LAYERS for p in layer.parameters(recurse=False)}
    return all(id(p) in known for p in module.parameters() if p.requires_grad)


class BookKeeper:
    """Watches the trained layers of a module. ValueError where one is of an unknown kind."""

    def __init__(self, module: nn.Module) -> None:
        if not supports(module):
            raise ValueError("book-keeping: expected trained parameters in Linear, Embedding and LayerNorm only")
        self.layers = [layer for layer in module.modules() if type(layer) in LAYERS and _trained(layer)]
        self.calls: list[Call] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Calls of the layers within are kept until `clipped_sums`."""
        self.calls = []
        handles = [layer.register_forward_hook(self._keep) for layer in self.layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _keep(self, layer: nn.Module, inputs: Any, output: Tensor) -> None:
        if torch.is_grad_enabled() and output.requires_grad:
            self.calls.append(Call(layer, inputs[0].detach(), output))

    def clipped_sums(
        self, losses: Tensor, parameters: Mapping[str, nn.Parameter], clip_norm: float
    ) -> dict[str, Tensor]:
        """{name: sum over records of their gradients, each clipped to clip_norm over all parameters together}.

        losses (B,) come from calls within `watching`. ValueError where a layer did not have the records first.
        """
        calls, self.calls = self.calls, []
        gradients = torch.autograd.grad(losses.sum(), [call.output for call in calls], allow_unused=True)
        uses: dict[int, list[Use]] = defaultdict(list)  # weights of Linear and Embedding
        rows: dict[int, list[Tensor]] = defaultdict(list)  # per-record gradients (B, k) of biases and norms
        for call, gradient in zip(calls, gradients, strict=True):
            if gradient is not None:
                _checked(call, gradient, len(losses))
                _note(call, gradient, uses, rows)
        single = {key: torch.stack(parts).sum(0) for key, parts in rows.items()}
        squared = torch.zeros(len(losses), dtype=torch.float64, device=losses.device)
        for gradient in single.values():
            squared += gradient.double().square().sum(1)
        for of_weight in uses.values():
            squared += _squared_norm(of_weight).double()
        factor = clip_factors(squared.clamp(min=0).sqrt(), clip_norm).to(losses.dtype)
        return {name: self._sum(p, uses[id(p)], single.get(id(p)), factor) for name, p in parameters.items()}

    def _sum(self, parameter: nn.Parameter, uses: list[Use], single: Tensor | None, factor: Tensor) -> Tensor:
        total = torch.zeros_like(parameter)
        if single is not None:
            total += _weighted(single, factor).sum(0).view_as(parameter)
        for use in uses:
            right = _weighted(use.right, factor).flatten(0, 1)
            if use.one_hot:
                total.index_add_(0, use.left.flatten(), right)
            else:
                total.addmm_(_finite(use.left, factor).flatten(0, 1).T, right)
        return total


def clip_factors(norm: Tensor, clip_norm: float) -> Tensor:
    """(B,) factors that bring norms to at most clip_norm; 0 for a norm that is not finite."""
    factor = (clip_norm / (norm + 1e-6)).clamp(max=1.0)
    return torch.where(torch.isfinite(norm), factor, torch.zeros_like(factor))


def _weighted(rows: Tensor, factor: Tensor) -> Tensor:
    return _finite(rows, factor) * factor.view(-1, *[1] * (rows.ndim - 1))


def _finite(rows: Tensor, factor: Tensor) -> Tensor:
    """Zero where the record is left out: 0 times infinity is not 0."""
    return rows if bool((factor > 0).all()) else torch.where((factor > 0).view(-1, *[1] * (rows.ndim - 1)), rows, 0)


def _trained(layer: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in layer.parameters(recurse=False))


def _checked(call: Call, gradient: Tensor, records: int) -> None:
    if not len(call.inputs) == len(gradient) == records:
        kind, seen = type(call.layer).__name__, len(call.inputs)
        raise ValueError(f"per-record gradients: a {kind} saw another batch: {seen} rows for {records} records")


def _note(call: Call, gradient: Tensor, uses: dict[int, list[Use]], rows: dict[int, list[Tensor]]) -> None:
    """What is trained of the layer: a weight as a use; a bias or a norm as rows."""
    layer: Any = call.layer
    if isinstance(layer, nn.Embedding):
        ids, right = call.inputs.flatten(1), gradient.flatten(1, -2)
        if layer.padding_idx is not None:
            right = right.masked_fill((ids == layer.padding_idx)[..., None], 0)
        uses[id(layer.weight)].append(Use(ids, right))
        return
    if isinstance(layer, nn.LayerNorm):
        normal = F.layer_norm(call.inputs, layer.normalized_shape, eps=layer.eps)
        if layer.weight is not None and layer.weight.requires_grad:
            rows[id(layer.weight)].append(_over_positions(normal * gradient, layer.weight.ndim))
    elif layer.weight.requires_grad:
        left, right = (x.reshape(len(x), -1, x.shape[-1]) for x in (gradient, call.inputs))
        uses[id(layer.weight)].append(Use(left, right))
    if layer.bias is not None and layer.bias.requires_grad:
        rows[id(layer.bias)].append(_over_positions(gradient, layer.bias.ndim))


def _over_positions(rows: Tensor, kept: int) -> Tensor:
    """(B, ..., shape of `kept` dimensions) summed over all in between: (B, k)."""
    return rows.flatten(-kept).reshape(len(rows), -1, rows.flatten(-kept).shape[-1]).sum(1)


def _squared_norm(uses: list[Use]) -> Tensor:
    """(B,) squared norm of the sum of the uses of one weight."""
    if all(use.cheap_to_make() for use in uses):
        made = sum(use.left.transpose(1, 2) @ use.right for use in uses)
        return made.flatten(1).square().sum(1)  # type: ignore[union-attr]
    total = torch.zeros(len(uses[0].right), device=uses[0].right.device, dtype=uses[0].right.dtype)
    for place, one in enumerate(uses):
        for other in uses[: place + 1]:
            inner = (_products(one, other) * (one.right @ other.right.transpose(1, 2))).flatten(1).sum(1)
            total += inner if one is other else 2 * inner
    return total


def _products(one: Use, other: Use) -> Tensor:
    """left left'^T (B, T, T') of two uses."""
    if one.one_hot and other.one_hot:
        return (one.left[:, :, None] == other.left[:, None, :]).to(one.right.dtype)
    if one.one_hot:
        return _products(other, one).transpose(1, 2)
    if other.one_hot:
        return one.left.gather(2, other.left[:, None, :].expand(-1, one.left.shape[1], -1))
    return one.left @ other.left.transpose(1, 2)
