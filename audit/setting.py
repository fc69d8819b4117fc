"""One claim as numbers: everything the ladder computes from, gathered from the card and the measured data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from audit.channels import Channel, channels
from audit.training import delta_of, sampling_probability, steps_accounted, steps_run, value
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

    @property
    def missing(self) -> tuple[str, ...]:
        """What the recomputation cannot do without and the sources read do not state."""
        needed = {
            "δ": self.delta,
            "the number of training records": self.records,
            "the batch size": self.batch_size,
            "the steps or epochs": self.steps_accounted,
            "the sampler that was accounted": self.sampler_accounted,
        }
        return tuple(name for name, have in needed.items() if have is None)


def settings(card: PaperCard, counts: Mapping[str, UnitCounts]) -> Iterator[Setting]:
    """Every claim of the card, one for each dataset and ε it names; `counts` are keyed by dataset name."""
    mechanisms = {m.id: m for m in card.mechanism}
    datasets = {d.name: d for d in card.dataset}
    for claim in card.claim:
        for name in claim.datasets:
            for epsilon in value(claim.epsilons) or ():
                yield _setting(claim, mechanisms[claim.mechanism], datasets[name], epsilon, counts.get(name))


def _setting(
    claim: Claim, mechanism: Mechanism, dataset: DatasetUse, epsilon: float, counts: UnitCounts | None
) -> Setting:
    records = value(dataset.records)
    balanced = value(dataset.class_balance) == "minimum-class-count"
    return Setting(
        ident=f"{claim.id}/{dataset.name}/{epsilon:g}",
        label=f"{mechanism.model} on {dataset.name}, ε = {epsilon:g}",
        wording=claim.wording,
        mechanism=mechanism.id,
        dataset=dataset.name,
        epsilon=epsilon,
        delta=_delta(value(claim.delta), records),
        privacy_unit=value(claim.privacy_unit),
        unit_is_person=value(claim.unit_is_person) is True,
        relation=value(mechanism.neighboring_relation) or NeighboringRelation.ADD_OR_REMOVE_ONE,
        records=records,
        batch_size=value(mechanism.batch_size),
        sampling_probability=sampling_probability(mechanism, records) if records else None,
        steps_accounted=steps_accounted(mechanism, records) if records else None,
        steps_run=steps_run(mechanism, records) if records else None,
        noise_multiplier=value(mechanism.noise_multiplier),
        accountant=value(mechanism.accountant),
        sampler_accounted=value(mechanism.sampler_accounted),
        sampler_coded=value(mechanism.sampler_coded),
        counts=counts,
        one_record_per_person=value(dataset.records_per_person_bounded) is True,
        several_per_person=value(dataset.several_records_per_person) is True,
        balanced_classes=value(dataset.classes) if balanced else None,
        channels=tuple(channels(mechanism)),
    )


def _delta(delta: float | DeltaRule | None, records: int | None) -> float | None:
    if isinstance(delta, DeltaRule):
        return delta_of(delta, records) if records is not None and records > 1 else None
    return delta
