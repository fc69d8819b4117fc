"""The epsilon ladder of one claim: each rung keeps what the rung above assumed and makes one correction.

claimed → recomputed from the stated training → steps as run → sampler as coded → noised counts beside the training
→ a person instead of a record → preprocessing → choices on private data → un-noised channels. A rung that cannot
be computed says why; a corrected ε is a bracket.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from audit.caps import cap_results
from audit.comparisons import beside_exact_labels, beside_group, beside_selection
from audit.pricing import Price, attack, calibrating_accountant, price, price_curve, smallest_noise_multiplier
from audit.setting import CountRelease, Setting
from audit.types import ClaimResult, Comparison, CurvePoint, Rung, Sampler, round_outward
from audit.verdict import verdict

NOT_STATED = "one record (the unit is not stated in the sources read)"
PERSON = "all records of one person"
CURVE_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class _Here:
    """What has been corrected so far, and the ε bracket that stands for it."""

    noise: float
    cache: Path | None
    steps: int
    sampler: Sampler
    unit: str
    counts: tuple[CountRelease, ...] = ()  # released with noise beside the training
    group_size: int = 1
    lower: float = 0.0


def claim_result(setting: Setting, cache: Path | None = None) -> ClaimResult:
    """Price one claim. Pure: same setting, same result; `cache` is a folder of earlier prices or None."""
    noise = _noise(setting, cache)
    rungs = tuple(_rungs(setting, noise, cache))
    level, sentence = verdict(setting, rungs)
    return ClaimResult(
        id=setting.ident,
        label=setting.label,
        wording=setting.wording,
        mechanism=setting.mechanism,
        dataset=setting.dataset,
        epsilon=setting.epsilon,
        delta=setting.delta,
        privacy_unit=setting.privacy_unit,
        records=setting.records,
        noise_multiplier=None if noise is None else float(f"{noise:.6g}"),
        noise_multiplier_derived=noise is not None and setting.noise_multiplier is None,
        verdict=sentence,
        verdict_level=level,
        ladder=rungs,
        curve=_curve(setting, noise, cache),
        caps=cap_results(setting, noise, cache),
    )


def _noise(setting: Setting, cache: Path | None) -> float | None:
    """The stated noise multiplier, else the smallest that gives the claim under Poisson sampling."""
    if setting.missing or setting.also_covered is not None:
        return None
    if setting.noise_multiplier is not None:
        return setting.noise_multiplier
    return smallest_noise_multiplier(setting, cache)


def _rungs(setting: Setting, noise: float | None, cache: Path | None) -> Iterator[Rung]:
    yield _claimed(setting)
    if noise is None or setting.steps_accounted is None or setting.sampler_accounted is None:
        yield _unavailable(setting, "recomputed", "Recomputed from the stated training", _why_missing(setting))
        yield from _selection(setting, None)
        yield from _channel_rung(setting, None)
        return
    unit = setting.privacy_unit or NOT_STATED
    here = _Here(noise, cache, setting.steps_accounted, setting.sampler_accounted, unit, setting.counts_accounted)
    here, rung = _recomputed(setting, here)
    yield rung
    for correct in (_steps_as_run, _sampler_as_coded, _counts_beside):
        corrected = correct(setting, here)
        if corrected is not None:
            here, rung = corrected
            yield rung
    for here_or_none, rung in _person(setting, here):
        here = here_or_none or here
        yield rung
    balanced = _preprocessing(setting, here)
    if balanced is not None:
        here, rung = balanced
        yield rung
    yield from _selection(setting, here)
    yield from _channel_rung(setting, here)


def _why_missing(setting: Setting) -> str:
    if setting.also_covered is not None:
        return f"The ε also covers a mechanism that is not priced here: {setting.also_covered}."[:600]
    return f"Not in the sources read: {', '.join(setting.missing)}."


def _claimed(setting: Setting) -> Rung:
    if setting.delta is None:
        why = "Its δ is not in the sources read."
        return _unavailable(setting, "claimed", f"Claimed: ε = {setting.epsilon:g}", why)
    return Rung(
        id="claimed",
        label=f"Claimed: ε = {setting.epsilon:g}",
        epsilon_lower=setting.epsilon,
        epsilon_upper=setting.epsilon,
        delta=setting.delta,
        privacy_unit=setting.privacy_unit or NOT_STATED,
        neighboring_relation=setting.relation,
        method="as stated",
        assumption=f"{setting.wording[:1].upper()}{setting.wording[1:]} ε = {setting.epsilon:g}.",
    )


def _unavailable(setting: Setting, ident: str, label: str, why: str, unit: str | None = None) -> Rung:
    return Rung(
        id=ident,
        label=label,
        privacy_unit=unit or setting.privacy_unit or NOT_STATED,
        neighboring_relation=setting.relation,
        method="not computed",
        assumption="None: nothing was computed.",
        unavailable=why,
    )


def _price(setting: Setting, here: _Here) -> Price:
    return price(setting, here.noise, here.steps, here.sampler, here.group_size, here.cache, counts=here.counts)


def _priced(
    setting: Setting,
    here: _Here,
    price: Price,
    ident: str,
    label: str,
    assumption: str,
    beside: Iterable[Comparison] = (),
) -> tuple[_Here, Rung]:
    upper = round_outward(price.upper, up=True)
    rung = Rung(
        id=ident,
        label=label,
        epsilon_lower=round_outward(price.lower, up=False),
        epsilon_upper=upper,
        delta=setting.delta,
        privacy_unit=here.unit,
        neighboring_relation=setting.relation,
        method=price.method,
        assumption=" ".join((assumption, *(f"{text[:1].upper()}{text[1:]}." for text in price.assumptions))),
        group_size=here.group_size,
        attack=attack(setting, here.noise, here.steps, here.sampler, here.group_size, upper, here.cache, here.counts),
        beside=tuple(beside),
    )
    return replace(here, lower=price.lower), rung


def _by(setting: Setting) -> str:
    accountant = calibrating_accountant(setting)
    return f"by the accountant {accountant}{', which adds 0.01 to ε' * (accountant == 'prv')} (derived)"


def _recomputed(setting: Setting, here: _Here) -> tuple[_Here, Rung]:
    origin = (
        f"Noise multiplier {here.noise:.4g} as stated"
        if setting.noise_multiplier is not None
        else f"Noise multiplier not stated; {here.noise:.4g} is the smallest that gives the claim {_by(setting)}"
    )
    how = (
        f"{here.sampler} sampling with probability {setting.sampling_probability:.4g}, {here.steps:,} steps"
        if setting.trained
        else f"every record votes in each of {here.steps:,} rounds"
    )
    assumption = f"{origin}; {how}{''.join(f'; {_of_counts(one)} within the same ε' for one in here.counts)}."
    found = _price(setting, here)
    stated = setting.noise_multiplier is not None
    implied = "With the least noise that gives the claim (none is stated)"
    label = "Recomputed from the stated training" if stated else implied
    return _priced(setting, here, found, "recomputed", label, assumption)


def _steps_as_run(setting: Setting, here: _Here) -> tuple[_Here, Rung] | None:
    if setting.steps_run is None or setting.steps_run == here.steps:
        return None
    at = replace(here, steps=setting.steps_run)
    assumption = f"The released loop performs {setting.steps_run:,} noisy updates; {here.steps:,} were accounted."
    return _priced(setting, at, _price(setting, at), "steps-as-run", "Steps that the code runs", assumption)


def _sampler_as_coded(setting: Setting, here: _Here) -> tuple[_Here, Rung] | None:
    coded = setting.sampler_coded
    if coded is None or coded == here.sampler:
        return None
    at = replace(here, sampler=coded)
    assumption = f"The released loader is {coded}; {here.sampler} sampling was accounted."
    return _priced(setting, at, _price(setting, at), "sampler-as-coded", "Sampler that the code uses", assumption)


def _counts_beside(setting: Setting, here: _Here) -> tuple[_Here, Rung] | None:
    """Noised counts that the claimed ε does not cover, composed with the training."""
    left_out = tuple(counts for counts in setting.noisy_counts if not counts.accounted)
    if not left_out:
        return None
    at = replace(here, counts=setting.noisy_counts)
    listed = "; ".join(f"{_of_counts(one)} ({one.where})" for one in left_out)
    assumption = f"The ε claimed is that of the training alone. Released beside it: {listed}."
    return _priced(setting, at, _price(setting, at), "with-counts", "With the noised counts beside it", assumption)


def _of_counts(counts: CountRelease) -> str:
    measure = "standard deviation" if counts.noise == "gaussian" else "scale"
    return f"{counts.what}, each with {counts.noise.capitalize()} noise of {measure} {counts.scale:g}"


def _person(setting: Setting, here: _Here) -> Iterator[tuple[_Here | None, Rung]]:
    """Rungs whose privacy unit is a person with k records: k = 2, then the measured p99 and maximum."""
    if setting.unit_is_person or setting.one_record_per_person:
        return
    sizes = _group_sizes(setting)
    for ident, size, label, why in sizes:
        at = replace(here, group_size=size, unit=PERSON)
        if here.sampler is not setting.sampler_accounted is not None:
            accounted = _price(setting, replace(at, sampler=setting.sampler_accounted))
            why = f"{why} With {setting.sampler_accounted} sampling, as accounted, at most {accounted.upper:.4g}."
        beside = beside_group(setting, here.noise, here.steps, size, here.cache)
        yield _priced(setting, at, _price(setting, at), ident, label, why, beside)
    if setting.counts is None and setting.several_per_person:
        for ident, label in (("person-p99", "A person at the 99th percentile"), ("person-max", "The heaviest person")):
            why = f"Records per person were not measured: --data {setting.dataset}=PATH."
            yield None, _unavailable(setting, ident, label, why, PERSON)


def _group_sizes(setting: Setting) -> Iterator[tuple[str, int, str, str]]:
    if setting.counts is None:
        if setting.several_per_person:
            yield "person-k2", 2, "A person with 2 records", "One person holds 2 records (supposed, not measured)."
        if setting.assumed_max_records is not None:
            most = setting.assumed_max_records
            why = "No person holds more: an assumption given to this audit, not measured."
            yield "person-assumed", most, f"A person with {most:,} record{'s' * (most > 1)} (assumed)", why
        return
    counts = setting.counts
    measured = f"measured over {counts.units:,} people with {counts.records:,} records in the file given"
    p99 = math.ceil(counts.p99)
    if counts.max >= 2:
        yield "person-k2", 2, "A person with 2 records", "One person holds 2 records."
    yield "person-p99", p99, f"A person at the 99th percentile: {p99} records", f"p99 = {counts.p99:g}, {measured}."
    yield "person-max", counts.max, f"The heaviest person: {counts.max:,} records", f"Maximum, {measured}."


def _preprocessing(setting: Setting, here: _Here) -> tuple[_Here, Rung] | None:
    """Class balancing to the smallest class: one raw record moves up to one training record in every class.

    An upper bound only: which records the balancing draws is random, so the group's ε need not be reached,
    and the lower end stays where it was without the balancing.
    """
    if setting.balanced_classes is None:
        return None
    held = here.group_size
    size, of_person = setting.balanced_classes * held, here.unit == PERSON
    at = replace(here, group_size=size, unit=PERSON if of_person else "one record of the data before balancing")
    found = replace(_price(setting, at), lower=here.lower)
    who = f"a person with {held:,} record{'s' * (held > 1)}" if of_person else "one record"
    label = f"With the class balancing before training: {who}"
    assumption = (
        f"Balancing to the smallest of {setting.balanced_classes} classes turns one raw record into up to "
        f"{setting.balanced_classes} training records: the upper end is a group of {size}, the lower end the training "
        "alone; the exact class count, which the number of records gives away, is not priced."
    )
    return _priced(setting, at, found, "preprocessing", label, assumption)


def _selection(setting: Setting, here: _Here | None) -> Iterator[Rung]:
    """A choice on private data, unpaid: a record trained on keeps its ε, the records that choose have no bound."""
    if setting.selection is None or setting.delta is None:
        return
    yield Rung(
        id="selection",
        label="With the choice made on private data: no upper bound follows",
        epsilon_lower=round_outward(here.lower, up=False) if here else 0.0,
        epsilon_upper=math.inf,
        delta=setting.delta,
        privacy_unit=here.unit if here else setting.privacy_unit or NOT_STATED,
        neighboring_relation=setting.relation,
        method="no bound follows",
        assumption=f"{setting.selection.what[:1].upper()}{setting.selection.what[1:]} ({setting.selection.where}): the "
        "lower end is that of a record trained on; for the records that choose no upper bound follows.",
        group_size=here.group_size if here else None,
        beside=tuple(beside_selection(setting, here.noise, here.cache)) if here else (),
    )


def _channel_rung(setting: Setting, here: _Here | None) -> Iterator[Rung]:
    """What the accounting does not cover: no upper bound follows, and where neighbours differ for certain, ε = ∞."""
    if not setting.channels or setting.delta is None:
        return
    certain = any(channel.certain for channel in setting.channels)
    end = "no finite ε" if certain else "no upper bound follows"
    yield Rung(
        id="channels",
        label=f"With what the accounting leaves out: {end}",
        epsilon_lower=math.inf if certain else round_outward(here.lower, up=False) if here else 0.0,
        epsilon_upper=math.inf,
        delta=setting.delta,
        privacy_unit=here.unit if here else setting.privacy_unit or NOT_STATED,
        neighboring_relation=setting.relation,
        method="no bound follows",
        assumption="; ".join(f"{channel.what} ({channel.where})" for channel in setting.channels)[:3900] + ".",
        group_size=here.group_size if here else None,
        beside=tuple(beside_exact_labels(setting, here.noise, here.cache)) if here and certain else (),
    )


def _curve(setting: Setting, noise: float | None, cache: Path | None) -> tuple[CurvePoint, ...]:
    """ε(k) with the sampling accounted and the steps run, up to the heaviest person measured (else 16): estimates."""
    if noise is None or setting.sampler_accounted is not Sampler.POISSON:
        return ()
    most = setting.counts.max if setting.counts is not None else 16
    sizes = [size for size in CURVE_SIZES if size < most] + [min(most, CURVE_SIZES[-1])]
    return tuple(
        CurvePoint(
            group_size=size,
            epsilon_lower=round_outward(found.lower, up=False),
            epsilon_upper=round_outward(found.upper, up=True),
        )
        for size, found in price_curve(setting, noise, sorted(set(sizes)), cache)
    )
