"""From an event, a group size and a neighbouring relation to the dominating pairs of its steps."""

from __future__ import annotations

from collections.abc import Iterator

from dp_accounting import dp_event
from dp_accounting.privacy_accountant import NeighboringRelation

from audit.accounting.fixed_size import fixed_size_step
from audit.accounting.group import poisson_step
from audit.accounting.inputs import UnknownMechanismError, require_count, require_probability
from audit.accounting.pairs import GaussianPair, LaplacePair, Mixture, Step

REPLACE_ONE = NeighboringRelation.REPLACE_ONE
ADD_OR_REMOVE_ONE = NeighboringRelation.ADD_OR_REMOVE_ONE


class NoPairError(UnknownMechanismError):
    """No dominating pair is known here for this mechanism under this relation and group size."""


def leaves(event: dp_event.DpEvent, count: int = 1) -> Iterator[tuple[dp_event.DpEvent, int]]:
    """The mechanisms inside compositions, each with the number of times it is performed."""
    if isinstance(event, dp_event.SelfComposedDpEvent):
        require_count("count of a composition", event.count)
        yield from leaves(event.event, count * int(event.count))
    elif isinstance(event, dp_event.ComposedDpEvent):
        for inner in event.events:
            yield from leaves(inner, count)
    elif not _does_nothing(event):
        yield event, count


def _does_nothing(leaf: dp_event.DpEvent) -> bool:
    if isinstance(leaf, dp_event.PoissonSampledDpEvent):
        return bool(leaf.sampling_probability == 0)
    return isinstance(leaf, dp_event.NoOpDpEvent)


def is_not_private(event: dp_event.DpEvent) -> bool:
    """Whether some release in `event` has no noise at all."""
    return any(_is_noiseless(leaf) for leaf, _ in leaves(event))


def _is_noiseless(leaf: dp_event.DpEvent) -> bool:
    if isinstance(leaf, dp_event.PoissonSampledDpEvent):
        return leaf.sampling_probability > 0 and _is_noiseless(leaf.event)
    if isinstance(leaf, dp_event.SampledWithoutReplacementDpEvent):
        return _is_noiseless(leaf.event)
    if isinstance(leaf, dp_event.GaussianDpEvent | dp_event.LaplaceDpEvent):
        return bool(leaf.noise_multiplier == 0)
    return isinstance(leaf, dp_event.NonPrivateDpEvent)


def steps_of(event: dp_event.DpEvent, group_size: int, relation: NeighboringRelation, drop: float) -> tuple[Step, ...]:
    """The pairs of every step of `event`; NoPairError names the first mechanism that has none.

    `drop`: probability below which a shift of a mixture is left out and charged to delta.
    """
    found = []
    for leaf, count in leaves(event):
        step = _step(leaf, count, group_size, relation, drop)
        if step is None:
            raise NoPairError(
                f"{type(leaf).__name__}: expected a mechanism with a known dominating pair for group_size "
                f"{group_size} under {relation.name}"
            )
        found.append(step)
    return tuple(found)


def _step(
    leaf: dp_event.DpEvent, count: int, group_size: int, relation: NeighboringRelation, drop: float
) -> Step | None:
    replacing = relation is REPLACE_ONE
    if isinstance(leaf, dp_event.GaussianDpEvent):
        return _gaussian(leaf.noise_multiplier, count, group_size, replacing)
    if isinstance(leaf, dp_event.LaplaceDpEvent):
        scale = leaf.noise_multiplier / (group_size * (2 if replacing else 1))
        pair = LaplacePair(scale)
        return Step(pair, pair, count)
    if isinstance(leaf, dp_event.PoissonSampledDpEvent):
        return _poisson(leaf, count, group_size, replacing, drop)
    if isinstance(leaf, dp_event.SampledWithoutReplacementDpEvent):
        return _fixed_size(leaf, count, group_size, relation, drop)
    if isinstance(leaf, dp_event.MixtureOfGaussiansDpEvent) and group_size == 1 and not replacing:
        return _mixture(leaf, count)
    return None


def _gaussian(noise: float, count: int, group_size: int, replacing: bool) -> Step:
    there, away = Mixture((float(group_size),)), Mixture((-float(group_size),))
    pair = GaussianPair(noise, there, away if replacing else Mixture())
    return Step(pair, pair, count)


def _fixed_size(
    leaf: dp_event.SampledWithoutReplacementDpEvent,
    count: int,
    group_size: int,
    relation: NeighboringRelation,
    drop: float,
) -> Step | None:
    if relation is not ADD_OR_REMOVE_ONE or not isinstance(leaf.event, dp_event.GaussianDpEvent):
        return None
    noise, batch, records = leaf.event.noise_multiplier, leaf.sample_size, leaf.source_dataset_size
    return fixed_size_step(noise, batch, records, group_size, count, drop)


def _mixture(leaf: dp_event.MixtureOfGaussiansDpEvent, count: int) -> Step:
    mixture = Mixture(tuple(map(float, leaf.sensitivities)), tuple(map(float, leaf.sampling_probs)))
    noise = leaf.standard_deviation
    return Step(GaussianPair(noise, mixture), GaussianPair(noise, Mixture(), mixture.mirrored()), count)


def _poisson(
    leaf: dp_event.PoissonSampledDpEvent, count: int, group_size: int, replacing: bool, drop: float
) -> Step | None:
    q, inner = leaf.sampling_probability, leaf.event
    require_probability("sampling_probability", q)
    if isinstance(inner, dp_event.GaussianDpEvent) and not replacing:
        return poisson_step(inner.noise_multiplier, q, group_size, count, drop)
    if group_size > 1:
        return None
    if isinstance(inner, dp_event.GaussianDpEvent):
        mixture = Mixture((0.0, 1.0), (1 - q, q)) if q < 1 else Mixture((1.0,))
        pair = GaussianPair(inner.noise_multiplier, mixture, mixture.mirrored())
        return Step(pair, pair, count)
    if isinstance(inner, dp_event.LaplaceDpEvent) and not replacing and q > 0:
        scale = inner.noise_multiplier
        return Step(LaplacePair(scale, q, True), LaplacePair(scale, q, False), count)
    return None
