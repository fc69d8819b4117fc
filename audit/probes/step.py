"""What a training loop offers so that it can be probed: the protocol.

    symbol   here                 meaning
    D        records              the data set a run is started on
    S        clipped              the sum of clipped per-record gradients of a logical batch, before noise
    C        clip_norm            the most that one record may move S (L2, over all tensors together)
    sigma    noise_multiplier     noise standard deviation / C
    q        sampling_probability a record's chance per logical step

A factory (`module:factory`, no arguments) returns a `Loop`; its `start` makes a fresh `Run`; a run takes logical
steps. How to write one: docs/probes.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

Tensors = Mapping[str, Tensor]  # parameter name -> tensor of the parameter's shape


@dataclass(frozen=True)
class Example:
    """A record in a batch. `seed` decides every random draw made for it in this step, whatever else is there."""

    record: Any
    seed: int


class Tap(Protocol):
    """Where a loop shows its mechanism: called once per mechanism, between the noise and the update.

    Args:
        clipped: the sum before noise, {parameter name: tensor}.
        noisy: the same sum with its noise, not yet divided by a batch size.
        clip_norm, noise_multiplier: as used in this call, where they differ from the loop's.
        mechanism: a name, where a step releases more than its gradient ("clip quantile").

    Returns:
        The noisy sum to go on with: `noisy` itself, or in a replay that of another run.
    """

    def __call__(
        self,
        clipped: Tensors,
        noisy: Tensors,
        *,
        clip_norm: float | None = None,
        noise_multiplier: float | None = None,
        mechanism: str = "gradient",
    ) -> Tensors: ...


def untapped(clipped: Tensors, noisy: Tensors, **_: Any) -> Tensors:
    """The tap of a loop that nobody watches."""
    return noisy


@dataclass(frozen=True)
class Run:
    """A run that has just been started: nothing is trained yet.

    Attributes:
        model: what is trained and released; all its parameters and buffers are looked at.
        step: one logical step with `batch` (which may be empty): gradients, clipping, noise, tap, update.
        batches: the run's own sampler, one sequence of indices into the records per logical step, to the
            last step of the training. None: sampling and the number of steps cannot be judged.
        released: what is written or published beside the model (logs, averages, tables), by name.
    """

    model: nn.Module
    step: Callable[[Sequence[Example], Tap], None]
    batches: Callable[[], Iterator[Sequence[int]]] | None = None
    released: Callable[[], Mapping[str, Any]] = dict


@dataclass(frozen=True)
class Loop:
    """A training loop and what its accountant was told.

    Attributes:
        start: (records, seed, entropy) -> a fresh run. `seed` is the public one; `entropy` stands for the
            operating system's randomness, which noise and sampling must come from.
        records: at least 16 records to probe with, as a step takes them; 64 or more are better.
        clip_norm, noise_multiplier, batch_size: as accounted; batch_size is the expected logical one.
        sampler: poisson, fixed-size, shuffle-each-epoch, shuffle-once or deterministic, as accounted.
        sampling_probability: q; None: batch_size / number of records.
        steps: noisy updates accounted for a whole run on `records`; None: not judged.
        neighboring_relation: add-or-remove-one, replace-one or replace-special.
        outliers: records the loop would accept and that pull hardest (large loss weight, long text, rare
            tokens), by what they are.
        records_checked: NaN, infinite and huge numbers cannot reach a step because the input is validated
            before; they are then not tried, and the answer says that this is assumed.
    """

    start: Callable[[Sequence[Any], int, int], Run]
    records: Sequence[Any]
    clip_norm: float
    noise_multiplier: float
    batch_size: int
    sampler: str = "poisson"
    sampling_probability: float | None = None
    steps: int | None = None
    neighboring_relation: str = "add-or-remove-one"
    outliers: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    records_checked: bool = False
