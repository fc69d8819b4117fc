"""One claim as numbers: everything the ladder computes from, gathered from the card and the measured data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from audit.channels import Channel, channels, selection
from audit.training import (
    delta_of,
    draws_batches,
    noise_multipliers,
    sampling_probability,
    steps_accounted,
    steps_run,
    value,
)
from audit.types import (
    Claim,
    DatasetUse,
    DeltaRule,
    Mechanism,
    NeighboringRelation,
    PaperCard,
    Sampler,
    UnitCounts,
)


@dataclass(frozen=True)
class CountRelease:
    """Counts released with noise beside the training: `gaussian` or `laplace` noise of that scale on each."""

    what: str
    where: str
    noise: str
    scale: float
    accounted: bool  # inside the claimed ε


@dataclass(frozen=True)
class Setting:
    """One claim: mechanism × dataset × ε. `None` means not stated in the sources read."""

    ident: str
    label: str
    wording: str
    mechanism: str
    dataset: str
    epsilon: float
    delta: float | None
    privacy_unit: str | None
    unit_is_person: bool
    relation: NeighboringRelation
    records: int | None
    batch_size: int | None
    sampling_probability: float | None
    steps_accounted: int | None
    steps_run: int | None
    noise_multiplier: float | None
    accountant: str | None
    sampler_accounted: Sampler | None
    sampler_coded: Sampler | None
    counts: UnitCounts | None
    one_record_per_person: bool
    several_per_person: bool
    balanced_classes: int | None
    channels: tuple[Channel, ...]
    selection: Channel | None
    noisy_counts: tuple[CountRelease, ...] = ()
    assumed_max_records: int | None = None  # of one person, where none were measured
    also_covered: str | None = None  # a further mechanism within the claimed ε that cannot be priced here
    trained: bool = True  # batches are drawn; else every record takes part in every step, as in a vote

    @property
    def counts_accounted(self) -> tuple[CountRelease, ...]:
        """Noised counts that the claimed ε covers."""
        return tuple(counts for counts in self.noisy_counts if counts.accounted)

    @property
    def missing(self) -> tuple[str, ...]:
        """What the recomputation cannot do without and the sources read do not state."""
        needed: dict[str, object] = {"δ": self.delta}
        if self.trained:
            needed |= {
                "the number of training records": self.records,
                "the batch size": self.batch_size,
                "the steps or epochs": self.steps_accounted,
                "the sampler that was accounted": self.sampler_accounted,
            }
        else:
            needed["the rounds"] = self.steps_accounted
        return tuple(name for name, have in needed.items() if have is None)


def settings(card: PaperCard, counts: Mapping[str, UnitCounts]) -> Iterator[Setting]:
    """Every claim of the card, one for each dataset and ε it names; `counts` are keyed by dataset name."""
    mechanisms = {m.id: m for m in card.mechanism}
    datasets = {d.name: d for d in card.dataset}
    for claim in card.claim:
        for name in claim.datasets:
            mechanism = mechanisms[claim.mechanism]
            epsilons: tuple[float, ...] = value(claim.epsilons) or ()
            for epsilon, noise in zip(epsilons, noise_multipliers(claim, mechanism), strict=True):
                yield _setting(claim, mechanism, datasets[name], epsilon, noise, counts.get(name))


def _setting(
    claim: Claim,
    mechanism: Mechanism,
    dataset: DatasetUse,
    epsilon: float,
    noise: float | None,
    counts: UnitCounts | None,
) -> Setting:
    records, trained = value(dataset.records), draws_batches(mechanism)
    balanced = value(dataset.class_balance) == "minimum-class-count"
    return Setting(
        ident=f"{claim.id}/{dataset.name}/{epsilon:g}",
        label=f"{mechanism.model} on {dataset.name}, ε = {epsilon:g}",
        wording=claim.wording,
        mechanism=mechanism.id,
        trained=trained,
        dataset=dataset.name,
        epsilon=epsilon,
        delta=_delta(value(claim.delta), records),
        privacy_unit=value(claim.privacy_unit),
        unit_is_person=value(claim.unit_is_person) is True,
        relation=value(mechanism.neighboring_relation) or NeighboringRelation.ADD_OR_REMOVE_ONE,
        records=records,
        batch_size=value(mechanism.batch_size) if trained else records,
        sampling_probability=sampling_probability(mechanism, records),
        steps_accounted=steps_accounted(mechanism, records),
        steps_run=steps_run(mechanism, records),
        noise_multiplier=noise,
        accountant=value(mechanism.accountant),
        # A vote takes every record in every round: Poisson sampling with probability 1, one Gaussian a round.
        sampler_accounted=value(mechanism.sampler_accounted) if trained else Sampler.POISSON,
        sampler_coded=value(mechanism.sampler_coded) if trained else Sampler.POISSON,
        counts=counts,
        one_record_per_person=value(dataset.records_per_person_bounded) is True,
        several_per_person=value(dataset.several_records_per_person) is True,
        balanced_classes=value(dataset.classes) if balanced else None,
        noisy_counts=tuple(_noisy_counts(mechanism)),
        also_covered=value(mechanism.also_covered),
        channels=tuple(channels(mechanism)),
        selection=selection(mechanism),
    )


def _delta(delta: float | DeltaRule | None, records: int | None) -> float | None:
    if isinstance(delta, DeltaRule):
        return delta_of(delta, records) if records is not None and records > 1 else None
    return delta


def _noisy_counts(mechanism: Mechanism) -> Iterator[CountRelease]:
    """Counts whose noise is known; where it is not said whether ε covers them, it is read as covering them."""
    for counts in mechanism.noisy_counts:
        scale, accounted = value(counts.scale), counts.accounted
        if scale is not None:
            inside = accounted is None or value(accounted) is not False
            yield CountRelease(counts.what, counts.scale.where, counts.noise, scale, inside)
