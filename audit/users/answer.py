"""What `audit users` answers: figures, splits, signs that the column is no person, and what a cap would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from audit.accounting.bracket import Bracket
from audit.accounting.inputs import AccountingInputError
from audit.cells import Columns
from audit.records import RecordsError, records_at, require_columns
from audit.splits import shards_by_split
from audit.types import UnitCounts
from audit.users.caps import Calibrate, Cap, Price, caps
from audit.users.database import Tell
from audit.users.duplicates import Across, Within, duplicates
from audit.users.people import units_in
from audit.users.signs import Sign
from audit.users.trust import signs_in

TOGETHER = "together"
NO_UNIT = (
    "no column names the person, so records per person cannot be measured; a claim for one record says nothing of a "
    "person (--unit COL names a column; --assume-max-records K supposes a number)"
)


@dataclass(frozen=True)
class Training:
    """The numbers that price a cap: Poisson sampling, add-or-remove-one; steps and sampling stay as they are."""

    noise_multiplier: float
    sampling_probability: float
    steps: int
    delta: float
    target_epsilon: float | None = None  # the claim; None: what the noise gives one record


@dataclass(frozen=True)
class Answer:
    """Everything `audit users` says of one dataset. `counts` is None where no column names the person."""

    records: int
    counts: UnitCounts | None
    assumed: int | None
    splits: Mapping[str, UnitCounts]
    within: tuple[Within, ...]
    across: tuple[Across, ...]
    signs: tuple[Sign, ...]
    caps: tuple[Cap, ...]
    target_epsilon: float | None
    notes: tuple[str, ...]


def users(
    path: str,
    columns: Columns,
    *,
    limit: int | None = None,
    assume_max_records: int | None = None,
    training: Training | None = None,
    tell: Tell | None = None,
) -> Answer:
    """Records per person at `path`, and how far the column can be trusted.

    `limit` looks at the first records only, and then at no splits and no duplicates.

    Raises:
        RecordsError, AccountingInputError: one line each.
    """
    target, price, calibrate = _pricing(training)
    records = records_at(Path(path), "data", columns.text, columns.unit)
    for shard in records.shards:
        require_columns(shard, {"name": columns.name, "email": columns.email})
    parts = (shards_by_split(records.shards) if limit is None else {}) or {TOGETHER: records.shards}
    looks = limit is None and (columns.text is not None or len(parts) > 1)
    within, across = duplicates(parts, columns, tell) if looks else ((), ())
    if columns.unit is None:
        total = records.records if limit is None else min(limit, records.records)
        rows = caps(None, assume_max_records, price, calibrate) if assume_max_records else ()
        return Answer(total, None, assume_max_records, {}, within, across, (), tuple(rows), target, (NO_UNIT,))
    counts, signs, notes = signs_in(records.shards, columns, tell, limit)
    if counts is None:
        raise RecordsError(f"{path}: every {columns.unit!r} is empty; name another column with --unit")
    each = {
        name: found
        for name, shards in parts.items()
        if len(parts) > 1 and (found := units_in(shards, columns.unit, tell)) is not None
    }
    rows = caps(counts.histogram, counts.max, price, calibrate)
    total = counts.records + counts.missing
    return Answer(total, counts, None, each, within, across, signs, tuple(rows), target, notes)


def training_of(
    noise_multiplier: float | None,
    sampling_probability: float | None,
    steps: int | None,
    delta: float | None,
    target_epsilon: float | None,
) -> Training | None:
    """The numbers together, or None where none is given.

    Raises:
        AccountingInputError: only some of them.
    """
    needed = (noise_multiplier, sampling_probability, steps, delta)
    if all(value is None for value in (*needed, target_epsilon)):
        return None
    if noise_multiplier is None or sampling_probability is None or steps is None or delta is None:
        raise AccountingInputError("a price needs all of noise multiplier, sampling probability, steps and delta")
    return Training(noise_multiplier, sampling_probability, steps, delta, target_epsilon)


def _pricing(training: Training | None) -> tuple[float | None, Price | None, Calibrate | None]:
    """The ε to keep, what a person with k records gets at this noise, and the noise that would keep it."""
    if training is None:
        return None, None, None
    from audit.accounting.accountants import epsilon
    from audit.accounting.calibration import noise_multiplier_for
    from audit.accounting.mechanisms import dp_sgd

    event = dp_sgd(training.noise_multiplier, training.sampling_probability, training.steps)

    def price(size: int) -> Bracket:
        return epsilon(event, training.delta, group_size=size)

    target = training.target_epsilon or price(1).upper

    def calibrate(size: int) -> float | None:
        try:
            return noise_multiplier_for(target, training.delta, training.sampling_probability, training.steps, size)
        except AccountingInputError:
            return None  # no noise of a sensible size reaches it

    return target, price, calibrate


def as_json(answer: Answer) -> dict[str, Any]:
    """The answer as JSON: the figures over all files at the top, unrounded; infinity is the string "inf"."""
    figures = answer.counts.model_dump() if answer.counts else {"records": answer.records}
    return {
        **figures,
        "assumed_max_records": answer.assumed,
        "splits": {name: counts.model_dump() for name, counts in answer.splits.items()},
        "duplicates_within": [asdict(part) for part in answer.within],
        "duplicates_across": [asdict(pair) for pair in answer.across],
        "signs": [asdict(sign) for sign in answer.signs],
        "target_epsilon": _finite(answer.target_epsilon),
        "caps": [{name: _finite(value) for name, value in asdict(cap).items()} for cap in answer.caps],
        "notes": list(answer.notes),
    }


def _finite(value: float | None) -> float | str | None:
    return "inf" if value == float("inf") else value
