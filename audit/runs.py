"""A training run priced by the ledger that it left: what was claimed, what was priced, what ran."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from audit.departures import departures
from audit.ledger import ReadLedger, event_of
from audit.pricing import attack, price
from audit.setting import Setting
from audit.types import LedgerDeclaration, LedgerTotals, PricedEvent, Rung, RunResult, Utility, round_outward
from audit.verdict import Level

SLACK = 1.01  # calibration tolerances leave a priced ε this close to its target


def audited(read: ReadLedger, cache: Path | None = None, utility: Sequence[Utility] = ()) -> RunResult:
    """Price one run. Same ledger, same result; `cache` is a folder of earlier prices or None.

    Raises:
        LedgerError: the priced event lacks numbers.
    """
    declared, totals = read.ledger.declared, read.ledger.totals
    left = tuple(departures(declared, totals))
    accesses = tuple(entry.access for entry in read.ledger.entries if entry.access is not None)
    rungs = tuple(_rungs(read, left, cache))
    level, sentence = _verdict(read, left, rungs)
    return RunResult(
        label=_label(declared),
        recipe=declared.recipe,
        variant=declared.variant,
        scale=declared.scale,
        dataset=declared.dataset,
        ledger_sha256=read.sha256,
        records=declared.records,
        privacy_unit=declared.privacy_unit,
        group_size=declared.group_size,
        sampler=declared.sampler,
        expected_batch_size=declared.expected_batch_size,
        clip_norm=declared.clip_norm,
        noise_multiplier=declared.noise_multiplier,
        steps_accounted=declared.steps_accounted,
        steps_run=totals.steps_run,
        randomness=declared.randomness,
        switches=declared.switches,
        accesses=accesses,
        faults=read.faults,
        departures=left,
        verdict=sentence,
        verdict_level=level,
        ladder=rungs,
        utility=tuple(utility),
    )


def _label(declared: LedgerDeclaration) -> str:
    target = "" if declared.target_epsilon is None else f", ε = {declared.target_epsilon:g}"
    where = f" on {declared.dataset}" if declared.dataset else ""
    return f"{declared.recipe}, {declared.variant}{where}{target}"


# ---------------------------------------------------------------- the ladder of a run


def _rungs(read: ReadLedger, left: Sequence[str], cache: Path | None) -> Iterator[Rung]:
    declared = read.ledger.declared
    if declared.delta is None:
        yield _rung(declared, "as-run", "As run", why="The ledger names no δ.")
        return
    if declared.target_epsilon is not None:
        target = declared.target_epsilon
        yield _rung(declared, "claimed", f"Asked for: ε = {target:g}", (target, target), "as declared", "The target.")
    if declared.priced is not None:
        yield _priced(declared, declared.priced)
    ran = _as_run(declared, read.ledger.totals, cache)
    yield ran
    open_ = list(_open(read))
    if open_:
        yield _rung(
            declared,
            "channels",
            "With what was not priced: no upper bound follows",
            (ran.epsilon_lower or 0.0, math.inf),
            "no bound follows",
            "; ".join(open_)[:3900] + ".",
        )


def _open(read: ReadLedger) -> Iterator[str]:
    """Ways in which private data reach the release outside the price."""
    declared, totals = read.ledger.declared, read.ledger.totals
    if declared.randomness == "fixed-seed":
        yield "noise and batches come from a fixed seed: whoever has it can take the noise away"
    if totals.batches.batches > totals.steps_run:
        yield "batches were skipped without noise"
    for entry in read.ledger.entries:
        if entry.access is not None and not entry.access.covered:
            yield f"not covered: {entry.access.what}"


def _priced(declared: LedgerDeclaration, priced: PricedEvent) -> Rung:
    from dp_accounting.privacy_accountant import NeighboringRelation as Theirs

    from audit.accounting.accountants import epsilon

    assert declared.delta is not None  # asked before
    found = epsilon(
        event_of(priced), declared.delta, neighboring_relation=Theirs[declared.neighboring_relation.name]
    )
    return _rung(
        declared,
        "recomputed",
        "Recomputed from the event priced",
        (round_outward(found.lower, up=False), round_outward(found.upper, up=True)),
        found.method,
        "The event that the ledger says was priced.",
    )


def _as_run(declared: LedgerDeclaration, totals: LedgerTotals, cache: Path | None) -> Rung:
    if totals.steps_run == 0:
        return _rung(declared, "as-run", "As run", why="No noisy update ran.")
    if declared.noise_multiplier == 0 or declared.clip_norm is None:
        why = "Without noise or without clipping no ε is finite."
        return _rung(declared, "as-run", "As run: no finite ε", (math.inf, math.inf), "definition", why)
    setting, size = _setting(declared), declared.group_size
    steps, noise = totals.steps_run, declared.noise_multiplier
    found = price(setting, noise, steps, declared.sampler, size, cache)
    upper = round_outward(found.upper, up=True)
    rung = _rung(
        declared,
        "as-run",
        "As run",
        (round_outward(found.lower, up=False), upper),
        found.method,
        f"{steps:,} noisy updates with noise multiplier {noise:.6g}, batches {declared.sampler}, up to {size:,} "
        f"record{'s' if size > 1 else ''} of a unit. " + " ".join(f"{text}." for text in found.assumptions),
    )
    return rung.model_copy(update={"attack": attack(setting, noise, steps, declared.sampler, size, upper, cache)})


def _setting(declared: LedgerDeclaration) -> Setting:
    """The run as a setting that the accountants can price."""
    return Setting(
        ident=declared.recipe,
        label=_label(declared),
        wording="the ledger declares",
        mechanism=declared.recipe,
        dataset=declared.dataset or "the training records",
        epsilon=declared.target_epsilon or math.inf,
        delta=declared.delta,
        privacy_unit=declared.privacy_unit,
        unit_is_person=False,
        relation=declared.neighboring_relation,
        records=declared.records,
        batch_size=max(1, round(declared.expected_batch_size)),
        sampling_probability=declared.expected_batch_size / declared.records,
        steps_accounted=declared.steps_accounted,
        steps_run=None,
        noise_multiplier=declared.noise_multiplier,
        accountant=None,
        sampler_accounted=declared.sampler,
        sampler_coded=None,
        counts=None,
        one_record_per_person=False,
        several_per_person=False,
        balanced_classes=None,
        channels=(),
        selection=None,
    )


def _rung(
    declared: LedgerDeclaration,
    ident: str,
    label: str,
    ends: tuple[float, float] | None = None,
    method: str = "not computed",
    assumption: str = "None: nothing was computed.",
    *,
    why: str | None = None,
) -> Rung:
    return Rung(
        id=ident,
        label=label,
        epsilon_lower=None if ends is None else ends[0],
        epsilon_upper=None if ends is None else ends[1],
        delta=declared.delta,
        privacy_unit=declared.privacy_unit,
        neighboring_relation=declared.neighboring_relation,
        method=method,
        assumption=assumption,
        group_size=declared.group_size,
        unavailable=why,
    )


def _verdict(read: ReadLedger, left: Sequence[str], rungs: Sequence[Rung]) -> tuple[Level, str]:
    """How the run stands and one sentence that says so."""
    by_id, target = {rung.id: rung for rung in rungs}, read.ledger.declared.target_epsilon
    if read.faults:
        return "unknown", f"The ledger does not hang together ({read.faults[0]}): nothing follows from it."
    ran = by_id["as-run"]
    if ran.epsilon_upper is None or ran.epsilon_lower is None:
        return "unknown", f"The run cannot be priced: {ran.unavailable}"
    if math.isinf(ran.epsilon_lower):
        return "broken", "No finite ε: the run has no noise or no clipping."
    if target is None:
        return "unknown", f"No ε was asked for; as run it is at most {ran.epsilon_upper:.4g}."
    if "channels" in by_id:
        first, *more = _open(read)
        others = f" ({len(more)} more such below)" if more else ""
        return "broken", f"ε = {target:g} does not follow: {first}{others}."
    return _beside_target(target, ran.epsilon_lower, ran.epsilon_upper, left, ran.privacy_unit)


def _beside_target(target: float, lower: float, upper: float, left: Sequence[str], unit: str) -> tuple[Level, str]:
    why = f" ({left[0]})" if left else ""
    if lower > target * SLACK:
        return "broken", f"ε = {target:g} does not hold: as run ε is at least {lower:.4g}{why}."
    if upper > target * SLACK:
        return "unknown", f"ε = {target:g} may not hold: as run ε is at most {upper:.4g}{why}."
    if left:
        return "unknown", f"ε = {target:g} was priced for another run than this one: {left[0]}."
    return "holds", f"ε = {target:g} holds for {unit}, as far as the ledger says."
