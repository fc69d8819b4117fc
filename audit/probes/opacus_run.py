"""A run of Opacus' own objects, watched where the optimiser adds its noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from audit.probes.step import Example, Run, Tap


def opacus_run(
    model: nn.Module,
    optimizer: Any,
    loader: Any,
    step: Callable[[Sequence[Example]], None],
    *,
    epochs: int | None = None,
    released: Callable[[], Mapping[str, Any]] = dict,
) -> Run:
    """A `Run` of what `PrivacyEngine.make_private` returned (hooks, ghost clipping, ...).

    Args:
        model, optimizer, loader: the triple; with ghost clipping the criterion stays inside `step`.
        step: one logical step as the loop does it, `optimizer.step()` included. Physical batches, if any, are
            its business (`optimizer.signal_skip_step`).
        epochs: passes over `loader`; None where the number of steps is not to be judged.
        released: what is written beside the model.
    """

    def watched(batch: Sequence[Example], tap: Tap) -> None:
        _watch(optimizer, _names(model), tap)
        try:
            step(batch)
        finally:
            del optimizer.add_noise  # the class's own again

    return Run(_inner(model), watched, _batches(loader, epochs), released)


def _watch(optimizer: Any, names: Mapping[int, str], tap: Tap) -> None:
    """Put the tap behind `add_noise`; clip norm and noise multiplier are read at each call."""
    add_noise = optimizer.add_noise

    def noised_and_shown() -> None:
        add_noise()
        parameters = {names[id(p)]: p for p in optimizer.params}
        shown = tap(
            {name: p.summed_grad.detach().reshape(p.shape) for name, p in parameters.items()},
            {name: p.grad.detach() for name, p in parameters.items()},
            clip_norm=_flat(optimizer.max_grad_norm),
            noise_multiplier=getattr(optimizer, "_adjusted_noise_multiplier", optimizer.noise_multiplier),
        )
        for name, parameter in parameters.items():
            parameter.grad = shown[name].clone()

    optimizer.add_noise = noised_and_shown


def _flat(clip_norm: float | Iterable[float]) -> float:
    """One norm for all tensors; per-layer norms bound the whole by their root sum of squares."""
    return float(clip_norm) if isinstance(clip_norm, int | float) else sum(c * c for c in clip_norm) ** 0.5


def _inner(model: nn.Module) -> nn.Module:
    inner = getattr(model, "_module", model)
    return inner if isinstance(inner, nn.Module) else model


def _names(model: nn.Module) -> dict[int, str]:
    return {id(parameter): name for name, parameter in _inner(model).named_parameters()}


def _batches(loader: Any, epochs: int | None) -> Callable[[], Iterator[Sequence[int]]] | None:
    if loader is None:
        return None

    def draw() -> Iterator[Sequence[int]]:
        for _ in range(epochs or 1):
            yield from (list(batch) for batch in loader.batch_sampler)

    return draw
