"""A run's ledger read: is it whole, do its lines hang together, and which event does it say was priced?

A ledger is its authors' statement. Its chain and totals show slips and lost lines, not lies.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from audit.types import BatchSizes, Ledger, LedgerEntry, PricedEvent

if TYPE_CHECKING:
    from dp_accounting.dp_event import DpEvent

MAX_BYTES = 50_000_000


class LedgerError(ValueError):
    """A ledger that cannot be read; one line: file, place, what was expected, what to do."""


@dataclass(frozen=True)
class ReadLedger:
    """A ledger as it was read. `faults`: what does not hang together, empty for a ledger as it was written."""

    ledger: Ledger
    sha256: str  # of the file
    faults: tuple[str, ...]


def read_ledger(path: str | Path) -> ReadLedger:
    """The ledger in a file, or in ledger.json of a folder.

    Raises:
        LedgerError: no such file, no JSON, or not a ledger.
    """
    file = Path(path) / "ledger.json" if Path(path).is_dir() else Path(path)
    raw = _bytes(file)
    try:
        body = json.loads(raw)
        ledger = Ledger.model_validate(body)
        return ReadLedger(ledger, hashlib.sha256(raw).hexdigest(), (*_breaks(body), *_wrong_totals(ledger)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise LedgerError(f"{file}: {place}: {first['msg']}; `audit schema ledger` is the format") from None
    except (ValueError, RecursionError):
        raise LedgerError(f"{file}: expected the JSON of a ledger; `audit schema ledger` is the format") from None


def _bytes(file: Path) -> bytes:
    try:
        size = file.stat().st_size
        if size > MAX_BYTES:
            raise LedgerError(f"{file}: larger than 50 MB; expected a ledger, one entry for many steps")
        return file.read_bytes()
    except OSError:
        raise LedgerError(f"{file}: cannot be read; give a ledger.json or the folder of a run") from None


def _breaks(body: dict[str, Any]) -> Iterator[str]:
    """Where numbers and digests do not chain; on the JSON as it stands, for 10 and 10.0 have other digests."""
    expected = digest(body["declared"])
    for place, entry in enumerate(body["entries"]):
        if entry["number"] != place:
            yield f"entry {entry['number']} stands where entry {place} is expected"
        if entry["previous"] != expected:
            yield f"entry {entry['number']} does not follow the line before it: its digest differs"
        expected = digest(entry)
    if body["head"] != expected:
        yield "the last line is not the one that the ledger was closed with: its digest differs"


def _wrong_totals(ledger: Ledger) -> Iterator[str]:
    entries, totals = ledger.entries, ledger.totals
    accesses = [entry.access for entry in entries if entry.access is not None]
    added = {
        "steps_run": sum(entry.steps for entry in entries),
        "batches": _added(entries),
        "accesses": len(accesses),
        "accesses_not_covered": sum(not access.covered for access in accesses),
        "resumes": sum(entry.kind == "resume" for entry in entries),
        "discarded_steps": sum(entry.discarded_steps or 0 for entry in entries),
    }
    for name, value in added.items():
        if getattr(totals, name) != value:
            yield f"totals.{name} is not what the entries add up to"


def _added(entries: tuple[LedgerEntry, ...]) -> BatchSizes:
    parts = [entry.batches for entry in entries if entry.batches is not None and entry.batches.batches]
    return BatchSizes(
        batches=sum(part.batches for part in parts),
        records=sum(part.records for part in parts),
        smallest=min((part.smallest for part in parts), default=0),
        largest=max((part.largest for part in parts), default=0),
        empty=sum(part.empty for part in parts),
    )


def digest(content: Any) -> str:
    """SHA-256 of the JSON of `content`: keys sorted, no spaces, non-ASCII escaped."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def event_of(priced: PricedEvent) -> DpEvent:
    """The DpEvent that a ledger says was priced.

    Raises:
        LedgerError: a field that its kind needs is missing.
    """
    from dp_accounting import dp_event

    try:
        match priced.kind:
            case "self-composed":
                return dp_event.SelfComposedDpEvent(event_of(_given(priced.event)), _given(priced.count))
            case "poisson-sampled":
                q = _given(priced.sampling_probability)
                return dp_event.PoissonSampledDpEvent(q, event_of(_given(priced.event)))
            case "gaussian":
                return dp_event.GaussianDpEvent(_given(priced.noise_multiplier))
            case "mixture-of-gaussians":
                return dp_event.MixtureOfGaussiansDpEvent(
                    _given(priced.noise_multiplier),
                    list(_given(priced.sensitivities)),
                    list(_given(priced.probabilities)),
                )
    except _MissingError:
        raise LedgerError(f"priced: an event of kind {priced.kind} without all its numbers") from None


class _MissingError(Exception):
    pass


def _given(value: Any) -> Any:
    if value is None:
        raise _MissingError
    return value
