"""One private step: per-record gradients, clipping, noise; and how batches are drawn.

    symbol   here                   meaning
    C        clip_norm              L2 bound of one record's gradient, over all tensors together
    sigma    noise_multiplier       standard deviation of the noise on the clipped sum, divided by C
    q        sampling_probability   a record's chance per logical step
    B        expected_batch_size    q times the number of records; the noisy sum is divided by it, whatever was drawn

A logical batch is what the accountant counts; it is cut into physical batches that fit into memory. A step is
`clipped_sum`, `add_noise`, `update`, so that a probe can look between them. The clipped sum comes from book-keeping
(`reimpl.bookkeeping`) where that knows every layer, else from Opacus' hooks; both are exact. Sources: DP-SGD (arXiv
1607.00133), its Poisson batches and constant denominator as in Opacus (2109.12298).
"""

from __future__ import annotations

import hashlib
import secrets
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from opacus.grad_sample import GradSampleModule
from torch import Tensor, nn

from reimpl.bookkeeping import BookKeeper, clip_factors, supports
from reimpl.trainable import Batch, Example, Trainable

warnings.filterwarnings("ignore", message="Full backward hook is firing")  # of embeddings, whose input is ids
ONE_THREAD_BELOW = 2_000_000  # parameters, on a CPU: more threads spend their time on waiting for each other
Tensors = dict[str, Tensor]  # parameter name -> tensor of the parameter's shape


class ExactGradients(GradSampleModule):
    """Opacus' hooks, but a module registered under several names counts once, and padding rows do not count.

    Stock hooks fire once a name (SeqDiffuSeq's embedding has three), and give an embedding's padding_idx row a
    gradient that autograd does not.
    """

    def iterate_submodules(self, module: nn.Module) -> Iterator[nn.Module]:
        seen: set[int] = set()
        for submodule in super().iterate_submodules(module):
            if id(submodule) not in seen:
                seen.add(id(submodule))
                yield submodule


def _embedding_gradient(layer: nn.Module, activations: list[Tensor], backprops: Tensor) -> dict[nn.Parameter, Tensor]:
    embedding = cast(nn.Embedding, layer)
    if embedding.padding_idx is not None:
        backprops = backprops.masked_fill((activations[0] == embedding.padding_idx)[..., None], 0)
    return GradSampleModule.GRAD_SAMPLERS[nn.Embedding](layer, activations, backprops)


ExactGradients.GRAD_SAMPLERS = {**GradSampleModule.GRAD_SAMPLERS, nn.Embedding: _embedding_gradient}


class Entropy:
    """Where random numbers come from: the operating system, or (insecure, for tests) a seed.

    Every generator is new and serves one purpose in one step, so nothing has to be stored for a resume.
    """

    def __init__(self, insecure_seed: int | None = None) -> None:
        self.insecure_seed = insecure_seed

    def generator(self, purpose: str, step: int, device: torch.device | str = "cpu") -> torch.Generator:
        if self.insecure_seed is None:
            seed = secrets.randbits(63)
        else:
            digest = hashlib.sha256(f"{self.insecure_seed}/{purpose}/{step}".encode()).digest()
            seed = int.from_bytes(digest[:8], "big") >> 1
        return torch.Generator(device).manual_seed(seed)

    @property
    def kind(self) -> str:
        return "os-entropy" if self.insecure_seed is None else "fixed-seed"


@dataclass(frozen=True)
class Mechanism:
    """What one step does to a record's influence."""

    clip_norm: float | None  # None: gradients are summed as they are, without hooks
    noise_multiplier: float
    expected_batch_size: float


class PrivateStep:
    """Logical steps on a Trainable. Its module may be hooked for per-record gradients until `close`.

    by is "book-keeping", "hooks", or None for the first where it can. batch_shared_positions reproduces the released
    code: where a table is looked up once for the whole batch, its mean gradient over the batch is given to every
    record. stock_hooks uses Opacus as it is (see ExactGradients).
    """

    def __init__(
        self,
        trainable: Trainable,
        mechanism: Mechanism,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        max_physical_batch_size: int = 64,
        batch_shared_positions: bool = False,
        stock_hooks: bool = False,
        by: str | None = None,
    ) -> None:
        self.trainable, self.mechanism, self.optimizer = trainable, mechanism, optimizer
        self.max_physical_batch_size = max_physical_batch_size
        self.batch_shared_positions = batch_shared_positions
        self.keeper: BookKeeper | None = None
        self.hooked: GradSampleModule | None = None
        published = batch_shared_positions or stock_hooks
        if mechanism.clip_norm is None:
            by = "plain"
        elif by is None:
            by = "book-keeping" if not published and supports(trainable.module) else "hooks"
        if by == "book-keeping":
            self.keeper = BookKeeper(trainable.module)
        if by == "hooks":
            hooks = GradSampleModule if stock_hooks else ExactGradients
            self.hooked = hooks(trainable.module, loss_reduction="sum", strict=False)
        self.parameters = {name: p for name, p in trainable.module.named_parameters() if p.requires_grad}
        self.device = next(iter(self.parameters.values())).device
        self.physical_batches = 0
        self.last_loss = float("nan")  # mean over the last logical batch: private, for the operator's eyes

    def clipped_sum(self, examples: Sequence[Example], generator: torch.Generator) -> Tensors:
        """The sum of clipped per-record gradients of a logical batch, before noise. Zeros for an empty one."""
        total, losses = self.zeros(), 0.0
        with fitting_threads(self.parameters.values()):
            for chunk in chunks(examples, self.max_physical_batch_size):
                drawn = self.trainable.draw(len(chunk), generator)
                losses += self.accumulate(total, self.trainable.collate(chunk), drawn)
        self.last_loss = losses / len(examples) if examples else float("nan")
        return total

    def zeros(self) -> Tensors:
        return {name: torch.zeros_like(p) for name, p in self.parameters.items()}

    def accumulate(self, total: Tensors, batch: Batch, drawn: Batch) -> float:
        """Add a physical batch's clipped gradients to total; returns the sum of its losses."""
        keeping = self.keeper.watching() if self.keeper else nullcontext()
        with keeping:
            on_device = self.to_device(batch), self.to_device(drawn)
            losses = self.trainable.per_record_loss(self.trainable.module, *on_device)
        self.physical_batches += 1
        for name, summed in self.summed(losses).items():
            total[name] += summed
        return float(losses.detach().sum())

    def summed(self, losses: Tensor) -> Tensors:
        """The clipped sum of the gradients of losses (B,); the plain sum where nothing is clipped."""
        clip_norm = self.mechanism.clip_norm
        if clip_norm is None:
            found = torch.autograd.grad(losses.sum(), list(self.parameters.values()), allow_unused=True)
            return {name: g for name, g in zip(self.parameters, found, strict=True) if g is not None}
        if self.keeper is not None:
            return self.keeper.clipped_sums(losses, self.parameters, clip_norm)
        losses.sum().backward()
        return clipped_sums({name: self.taken(p, len(losses)) for name, p in self.parameters.items()}, clip_norm)

    def taken(self, parameter: nn.Parameter, count: int) -> Tensor:
        """The per-record gradients (count, ...) that the hooks left at a parameter, which is cleared."""
        gradient: Any = getattr(parameter, "grad_sample", None)
        parameter.grad_sample, parameter.grad = None, None  # type: ignore[attr-defined]
        if gradient is None:
            return torch.zeros((count, *parameter.shape), device=parameter.device)
        if len(gradient) == 1 < count and self.batch_shared_positions:
            return (gradient / count).expand(count, *parameter.shape)
        if len(gradient) != count:
            raise ValueError(f"per-record gradients: expected {count}, got {len(gradient)}: a module saw another batch")
        return gradient

    def to_device(self, batch: Batch) -> Batch:
        return {key: tensor.to(self.device) for key, tensor in batch.items()}

    def add_noise(self, clipped: Mapping[str, Tensor], generator: torch.Generator) -> Tensors:
        """The clipped sum plus independent N(0, (sigma C)^2) in every coordinate."""
        deviation = self.mechanism.noise_multiplier * (self.mechanism.clip_norm or 0.0)
        if deviation == 0:
            return dict(clipped)
        return {name: value + deviation * normal_like(value, generator) for name, value in clipped.items()}

    def update(self, noisy: Mapping[str, Tensor]) -> None:
        """One optimiser step with the noisy sum divided by the expected batch size."""
        if self.optimizer is None:
            raise ValueError("update: this step was made without an optimizer")
        for name, parameter in self.parameters.items():
            parameter.grad = noisy[name] / self.mechanism.expected_batch_size
        with fitting_threads(self.parameters.values()):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def close(self) -> None:
        """Take the hooks off the module."""
        if self.hooked is not None:
            self.hooked.remove_hooks()


@contextmanager
def fitting_threads(parameters: Iterable[Tensor]) -> Iterator[None]:
    """One CPU thread for torch within, where these parameters are few and on a CPU; else as many as there are.

    On a busy machine the threads of a small model spin while they wait for each other: ten times slower was seen.
    """
    held, before = list(parameters), torch.get_num_threads()
    small = sum(p.numel() for p in held) < ONE_THREAD_BELOW and all(p.device.type == "cpu" for p in held)
    torch.set_num_threads(1 if small else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def clipped_sums(gradients: Mapping[str, Tensor], clip_norm: float) -> Tensors:
    """{name: (B, ...)} per-record gradients, scaled to joint norm <= clip_norm each, and summed over records.

    A record whose gradient is not finite contributes nothing: it must not be able to spoil the sum.
    """
    norms = [torch.linalg.vector_norm(g.reshape(len(g), -1), dim=1, dtype=torch.float64) for g in gradients.values()]
    factor = clip_factors(torch.linalg.vector_norm(torch.stack(norms), dim=0), clip_norm)
    if not bool((factor > 0).all()):
        gradients = {name: torch.nan_to_num(g, nan=0.0, posinf=0.0, neginf=0.0) for name, g in gradients.items()}
    return {name: torch.einsum("b,b...->...", factor.to(g.dtype), g) for name, g in gradients.items()}


def normal_like(tensor: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.randn(tensor.shape, generator=generator, device=generator.device, dtype=tensor.dtype)
    return noise.to(tensor.device)


def poisson_batch(records: int, sampling_probability: float, generator: torch.Generator) -> list[int]:
    """Indices of one Poisson-sampled logical batch: each record by its own coin. It may be empty."""
    coins = torch.rand(records, generator=generator, dtype=torch.float64)
    return cast("list[int]", (coins < sampling_probability).nonzero().flatten().tolist())


def shuffled_batches(records: int, batch_size: int, generator: torch.Generator) -> list[list[int]]:
    """One pass over all records in a random order, the last batch short: what Poisson sampling is not."""
    order = torch.randperm(records, generator=generator).tolist()
    return [order[start : start + batch_size] for start in range(0, records, batch_size)]


def chunks(examples: Sequence[Example], size: int) -> Iterator[Sequence[Example]]:
    """Physical batches of a logical one."""
    return (examples[start : start + size] for start in range(0, len(examples), size))


def flat(tensors: Mapping[str, Tensor]) -> Tensor:
    """All tensors as one vector, in the order of the mapping."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors.values()])
