"""A claim's numbers handed to the accountants: setting in, price out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit.setting import CountRelease, Setting
from audit.types import Attack, NeighboringRelation, Sampler, round_outward

if TYPE_CHECKING:
    from dp_accounting.dp_event import DpEvent

    from audit.accounting.bracket import Bracket
    from audit.accounting.counts import Counts
    from audit.accounting.sampling import Schedule

CALIBRATING = ("pld", "prv", "rdp", "rdp-old")


@dataclass(frozen=True)
class Price:
    """ε between two bounds, how it was found, and what it supposes."""

    lower: float
    upper: float
    method: str
    assumptions: tuple[str, ...]


def price(
    setting: Setting,
    noise_multiplier: float,
    steps: int,
    sampler: Sampler,
    group_size: int,
    cache: Path | None,
    *,
    routes: tuple[str, ...] = ("contour", "pld"),
    counts: Sequence[CountRelease] = (),
) -> Price:
    """ε for a unit of `group_size` records after `steps` noisy updates under `sampler`, with noised `counts` beside.

    `routes` are the accountants for Poisson batches; where one cannot answer, all that can are asked.
    """
    from audit.accounting.cache import cached_bracket
    from audit.accounting.sampling import Schedule

    drawn = _drawn(setting, steps, sampler)
    unit: dict[str, Any] = {"noise_multiplier": noise_multiplier, "delta": setting.delta, "group_size": group_size}
    bracket = cached_bracket(
        cache,
        "epsilon_for_sampler",
        {**drawn, **unit, **_key(counts), "neighboring_relation": setting.relation.value, "routes": routes},
        lambda: _with_counts(Schedule(**drawn), unit, setting.relation, routes, counts),
    )
    return Price(bracket.lower, bracket.upper, bracket.method, bracket.assumptions)


def event_of(
    setting: Setting,
    noise_multiplier: float,
    steps: int,
    sampler: Sampler,
    group_size: int,
    counts: Sequence[CountRelease] = (),
) -> tuple[DpEvent, int]:
    """The event whose ε bounds this training from above, and the group size to price it with."""
    from audit.accounting.counts import event_with_counts
    from audit.accounting.sampling import Schedule

    drawn = Schedule(**_drawn(setting, steps, sampler))
    return event_with_counts(drawn, noise_multiplier, _as_counts(counts), group_size)


def attack(
    setting: Setting,
    noise_multiplier: float,
    steps: int,
    sampler: Sampler,
    group_size: int,
    upper: float,
    cache: Path | None,
    counts: Sequence[CountRelease] = (),
) -> Attack:
    """The most any membership attack can do: from the whole curve δ(ε), from (upper, δ) where ε is past meaning."""
    from audit.accounting.bracket import Bracket
    from audit.accounting.cache import cached

    assert setting.delta is not None  # as for every price
    delta, event, size = setting.delta, *event_of(setting, noise_multiplier, steps, sampler, group_size, counts)

    def compute() -> Any:
        from audit.accounting.answer import MEANINGLESS, attack_on
        from audit.accounting.tradeoff import attack_from_point

        if upper > MEANINGLESS:
            found = attack_from_point(upper, delta)
        else:
            found = attack_on(event, delta, size, _relation(setting.relation), Bracket(0.0, upper, "as priced"))
        return [found.advantage, {str(rate): tpr for rate, tpr in found.tpr_at_fpr.items()}, found.source]

    asked = {"event": repr(event), "delta": delta, "group_size": size, "relation": setting.relation, "upper": upper}
    advantage, tpr, source = cached(cache, "attack_on", asked, compute)
    rounded = {rate: min(1.0, round_outward(value, up=True)) for rate, value in tpr.items()}
    return Attack(advantage=min(1.0, round_outward(advantage, up=True)), tpr_at_fpr=rounded, source=source)


def _drawn(setting: Setting, steps: int, sampler: Sampler) -> dict[str, Any]:
    """The fields of a `Schedule`."""
    return {
        "sampler": sampler.value,
        "sampling_probability": setting.sampling_probability,
        "steps": steps,
        "batch_size": setting.batch_size,
        "records": setting.records,
    }


def _as_counts(counts: Sequence[CountRelease]) -> tuple[Counts, ...]:
    from audit.accounting.counts import Counts

    return tuple(Counts(one.noise, one.scale) for one in counts)


def _key(counts: Sequence[CountRelease]) -> dict[str, Any]:
    """What the counts add to the key of a stored price; nothing where there are none."""
    return {"counts": [[one.noise, one.scale] for one in counts]} if counts else {}


def _with_counts(
    schedule: Schedule,
    unit: dict[str, Any],
    relation: NeighboringRelation,
    routes: tuple[str, ...],
    counts: Sequence[CountRelease],
) -> Bracket:
    from audit.accounting.counts import add_counts

    batches = _bracket(schedule, unit, relation, routes)
    more = {**unit, "counts": _as_counts(counts), "neighboring_relation": _relation(relation)}
    return add_counts(batches, schedule, **more)


def _bracket(
    schedule: Schedule, unit: dict[str, Any], relation: NeighboringRelation, routes: tuple[str, ...]
) -> Bracket:
    from audit.accounting.accountants import combine
    from audit.accounting.inputs import UnknownMechanismError
    from audit.accounting.sampling import epsilon_for_sampler

    def ask(accountant: str) -> Bracket:
        return epsilon_for_sampler(schedule, **unit, neighboring_relation=_relation(relation), accountant=accountant)

    if schedule.sampler != Sampler.POISSON:
        return ask("all")
    try:
        return combine([route for name in routes for route in ask(name).routes])
    except UnknownMechanismError:
        return ask("all")


def price_curve(
    setting: Setting, noise_multiplier: float, group_sizes: Sequence[int], cache: Path | None
) -> list[tuple[int, Price]]:
    """ε of each group size under the sampling accounted and the steps run, by the quadrature: tight estimates.

    Steps that nobody knows to differ are those accounted, as on the ladder's rungs for a person.

    Where no quadrature fits, the bracket of the certified routes stands in.
    """
    steps = setting.steps_run or setting.steps_accounted
    assert steps is not None  # a noise multiplier is known only where the steps are
    counts = setting.counts_accounted
    return [
        (
            size,
            price(setting, noise_multiplier, steps, Sampler.POISSON, size, cache, routes=("contour",), counts=counts),
        )
        for size in group_sizes
    ]


def calibrating_accountant(setting: Setting) -> str:
    """By which noise that is not stated is taken to have been chosen: the stated one, else the tight one."""
    return str(setting.accountant) if setting.accountant in CALIBRATING else "pld"


def smallest_noise_multiplier(setting: Setting, cache: Path | None) -> float:
    """The smallest noise multiplier that gives the claimed ε by the stated accountant under Poisson sampling.

    Counts that the ε covers are released beside the training.

    Accountants that are no bound, or are not stated, are read as the tight one.
    """
    from audit.accounting.cache import cached
    from audit.accounting.calibration import noise_multiplier_for

    wanted: dict[str, Any] = {
        "target_epsilon": setting.epsilon,
        "delta": setting.delta,
        "sampling_probability": setting.sampling_probability,
        "steps": setting.steps_accounted,
        "accountant": calibrating_accountant(setting),
    }
    counts = setting.counts_accounted

    def compute() -> float:
        return noise_multiplier_for(**wanted, beside=[one.event() for one in _as_counts(counts)])

    return float(cached(cache, "noise_multiplier_for", wanted | _key(counts), compute))


def _relation(relation: NeighboringRelation) -> Any:
    from dp_accounting.privacy_accountant import NeighboringRelation as Theirs

    return Theirs[relation.name]
