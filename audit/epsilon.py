"""`audit epsilon` as data and as text: the numbers of a training run in, its ε out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from audit.accounting.answer import MEANINGLESS, answer
from audit.accounting.calibration import noise_multiplier_for
from audit.accounting.inputs import AccountingInputError
from audit.accounting.sampling import Schedule
from audit.accounting.threads import one_thread

CURVE_POINTS = 12


@dataclass(frozen=True)
class Query:
    """What was asked on the command line; `group_size` is "K" or "FIRST:LAST"."""

    noise_multiplier: float | None
    sampling_probability: float | None
    steps: int | None
    delta: float
    group_size: str
    sampler: str
    neighboring_relation: str
    accountant: str
    batch_size: int | None
    records: int | None
    epochs: int | None
    target_epsilon: float | None


@one_thread()
def answers(query: Query) -> list[dict[str, Any]]:
    """One answer for each group size asked for; a range gives at most twelve, evenly spaced in log k.

    Raises:
        AccountingInputError: an input that makes no sense, in one line.
    """
    if None not in (query.sampling_probability, query.batch_size, query.records):
        raise AccountingInputError(
            "sampling_probability: expected it, or batch_size with records, got both; leave one way out"
        )
    schedule = Schedule(
        query.sampler, query.sampling_probability, query.steps, query.batch_size, query.records, query.epochs
    )
    sizes = group_sizes(query.group_size)
    noise = _noise(query, schedule, sizes[0])
    return [
        {
            "noise_multiplier": noise,
            **answer(
                schedule,
                noise,
                query.delta,
                group_size=size,
                neighboring_relation=query.neighboring_relation,
                accountant=query.accountant,
            ),
        }
        for size in sizes
    ]


def _noise(query: Query, schedule: Schedule, group_size: int) -> float:
    """The noise multiplier given, or the smallest that reaches the target ε under Poisson sampling."""
    if (query.noise_multiplier is None) == (query.target_epsilon is None):
        raise AccountingInputError("noise multiplier: expected --noise-multiplier or --target-epsilon, one of the two")
    if query.noise_multiplier is not None:
        return query.noise_multiplier
    if query.sampler != "poisson" or query.neighboring_relation != "add-or-remove-one" or query.target_epsilon is None:
        raise AccountingInputError("target epsilon: expected Poisson sampling and add-or-remove-one to calibrate for")
    return noise_multiplier_for(
        query.target_epsilon, query.delta, schedule.probability, schedule.total_steps, group_size
    )


def group_sizes(text: str) -> list[int]:
    """ "K" -> [K]; "FIRST:LAST" -> up to twelve sizes from FIRST to LAST, evenly spaced in log k."""
    first, colon, last = text.partition(":")
    try:
        low, high = int(first), int(last) if colon else int(first)
    except ValueError:
        raise AccountingInputError(f"group size = {text!r}: expected K or FIRST:LAST, whole numbers") from None
    if not 1 <= low <= high:
        raise AccountingInputError(f"group size = {text!r}: expected 1 <= FIRST <= LAST")
    ratio = (high / low) ** (1 / (CURVE_POINTS - 1))
    return sorted({round(low * ratio**step) for step in range(CURVE_POINTS)}) if high > low else [low]


def lines(found: list[dict[str, Any]]) -> Iterator[str]:
    """The answers as text for people."""
    first = found[0]
    yield (
        f"noise multiplier {first['noise_multiplier']:.6g}, δ = {first['delta']:.4g}, {first['sampler']}, "
        f"{first['neighboring_relation']}"
    )
    if len(found) > 1:
        yield "      k  ε"
        yield from (f"{entry['group_size']:>7}  {_bracket(entry)}" for entry in found)
        return
    yield f"ε = {_bracket(first)}   (a unit of {first['group_size']} record{'s' * (first['group_size'] > 1)})"
    yield f"by {first['method']}"
    for route in first["routes"]:
        yield f"  {route['method']:<22} {_number(route['lower'])} to {_number(route['upper'])}"
    yield f"an attack's advantage is at most {first['advantage']:.4g}"
    for rate, power in first["tpr_at_fpr"].items():
        yield f"at {float(rate):.1%} false alarms it finds at most {power:.2%}"
    yield from (f"supposing: {assumption}" for assumption in first["assumptions"])


def _bracket(entry: dict[str, Any]) -> str:
    lower, upper = _number(entry["epsilon_lower"]), _number(entry["epsilon_upper"])
    text = lower if lower == upper else f"{lower} to {upper}"
    return f"{text}{_warning(float(entry['epsilon_lower']), float(entry['epsilon_upper']))}"


def _warning(lower: float, upper: float) -> str:
    """What the bracket fails to promise, as the report says it; nothing where it promises something."""
    if lower > MEANINGLESS:
        return ", no meaningful guarantee"
    if math.isinf(upper):
        return ", no upper limit is proved"
    return f", may lie above {MEANINGLESS:g}, which guarantees nothing of use" if upper > MEANINGLESS else ""


def _number(value: float | str) -> str:
    return "∞" if value == "inf" else f"{float(value):.4g}"
