"""Two results compared: claims, rungs, findings, open questions, statuses, data and probes that changed.

Commands, times, versions and digests are context and make no difference by themselves.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import computed_field

from audit.types import AuditResult, ClaimResult, DataResult, Epsilon, Finding, Model, Rung, Severity

_LINES = re.compile(r"(?<=[\w)]):\d[\d,:-]*")
_COMMIT = re.compile(r"\b[0-9a-f]{7,40}\b")


class Side(Model):
    """One of the two results."""

    paper: str
    title: str
    started: str
    versions: dict[str, str]
    inputs: dict[str, str]


class RungSide(Model):
    """A rung as it stands in one result; `unavailable` says why it has no ε."""

    label: str
    epsilon_lower: Epsilon | None
    epsilon_upper: Epsilon | None
    privacy_unit: str
    unavailable: str | None


class RungChange(Model):
    id: str
    old: RungSide | None
    new: RungSide | None


class ClaimSide(Model):
    level: str
    verdict: str


class ClaimChange(Model):
    """A claim that came, went or changed."""

    id: str
    label: str
    old: ClaimSide | None
    new: ClaimSide | None
    rungs: tuple[RungChange, ...] = ()


class FindingSide(Model):
    severity: Severity
    basis: str
    summary: str


class FindingChange(Model):
    """A finding that came, went or changed; `fingerprint` is the one that SARIF carries."""

    check: str
    fingerprint: str
    old: FindingSide | None
    new: FindingSide | None
    changed: tuple[str, ...] = ()  # the fields that differ


class StatusChange(Model):
    check: str
    old: str | None
    new: str | None


class SkipChange(Model):
    """A question that is open in one of the results alone."""

    check: str
    side: Literal["old", "new"]
    reason: str


class DataChange(Model):
    name: str
    role: str
    old: str | None  # "10,000 records, 6,403 people, at most 38 each"
    new: str | None


class ProbeChange(Model):
    """A probe of a training step that answers otherwise; None where it was not run."""

    step: str
    variant: str | None
    probe: str
    old: str | None
    new: str | None


class Diff(Model):
    """What changed from `old` to `new`. Each list is empty where nothing did."""

    version: Literal[1] = 1
    old: Side
    new: Side
    claims: tuple[ClaimChange, ...]
    findings: tuple[FindingChange, ...]
    statuses: tuple[StatusChange, ...]
    skips: tuple[SkipChange, ...]
    data: tuple[DataChange, ...]
    probes: tuple[ProbeChange, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def same(self) -> bool:
        return not (self.claims or self.findings or self.statuses or self.skips or self.data or self.probes)

    @property
    def new_findings(self) -> tuple[FindingChange, ...]:
        return tuple(change for change in self.findings if change.old is None)


def compare(old: AuditResult, new: AuditResult) -> Diff:
    """Everything that differs, in the order of the newer result, then what is only in the older."""
    return Diff(
        old=_side(old),
        new=_side(new),
        claims=tuple(_claims(old, new)),
        findings=tuple(_findings(old, new)),
        statuses=tuple(_statuses(old, new)),
        skips=tuple(_skips(old, new)),
        data=tuple(_data(old, new)),
        probes=tuple(_probes(old, new)),
    )


def fingerprints(result: AuditResult) -> dict[str, tuple[str, Finding]]:
    """16 hex digits -> (check, finding). Neither wording, numbers, severity nor line numbers move them.

    Made of the check, the mechanisms and data sets the finding bears on, and where its first evidence stands;
    findings alike in all of these are numbered in their order.
    """
    found: dict[str, tuple[str, Finding]] = {}
    seen: dict[str, int] = {}
    for outcome in result.outcomes:
        for finding in outcome.findings:
            key = _key(outcome.check, finding, result.claims)
            seen[key] = seen.get(key, 0) + 1
            digest = hashlib.sha256(f"{key}\0{seen[key]}".encode()).hexdigest()[:16]
            found[digest] = (outcome.check, finding)
    return found


def _key(check: str, finding: Finding, claims: Iterable[ClaimResult]) -> str:
    hit = [claim for claim in claims if claim.id in set(finding.claims)]
    first = finding.evidence[0]
    where = _COMMIT.sub("", _LINES.sub("", first.where))
    mechanisms = sorted({claim.mechanism for claim in hit})
    datasets = sorted({claim.dataset for claim in hit})
    return "\0".join([check, *mechanisms, "\1", *datasets, "\1", first.source, where])


def _side(result: AuditResult) -> Side:
    made = result.provenance
    return Side(
        paper=result.paper.id,
        title=result.paper.title,
        started=made.started,
        versions=made.versions,
        inputs=made.inputs,
    )


def _both(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Keys of the newer, then those only the older has."""
    return list(dict.fromkeys([*new, *old]))


def _claims(old: AuditResult, new: AuditResult) -> Iterator[ClaimChange]:
    before, after = ({claim.id: claim for claim in result.claims} for result in (old, new))
    for ident in _both(before, after):
        was, now = before.get(ident), after.get(ident)
        known = now or was
        assert known is not None
        rungs = tuple(_rungs(was.ladder, now.ladder)) if was and now else ()
        sides = [ClaimSide(level=c.verdict_level, verdict=c.verdict) if c else None for c in (was, now)]
        if rungs or sides[0] != sides[1]:
            yield ClaimChange(id=ident, label=known.label, old=sides[0], new=sides[1], rungs=rungs)


def _rungs(old: tuple[Rung, ...], new: tuple[Rung, ...]) -> Iterator[RungChange]:
    before, after = ({rung.id: _rung(rung) for rung in ladder} for ladder in (old, new))
    for ident in _both(before, after):
        if before.get(ident) != after.get(ident):
            yield RungChange(id=ident, old=before.get(ident), new=after.get(ident))


def _rung(rung: Rung) -> RungSide:
    return RungSide(
        label=rung.label,
        epsilon_lower=rung.epsilon_lower,
        epsilon_upper=rung.epsilon_upper,
        privacy_unit=rung.privacy_unit,
        unavailable=rung.unavailable,
    )


def _findings(old: AuditResult, new: AuditResult) -> Iterator[FindingChange]:
    before, after = fingerprints(old), fingerprints(new)
    for name in _both(before, after):
        was, now = before.get(name), after.get(name)
        changed = _changed(was[1], now[1]) if was and now else ()
        if changed or not (was and now):
            check = (now or was or ("",))[0]
            sides = [
                FindingSide(severity=f[1].severity, basis=f[1].basis.value, summary=f[1].summary) if f else None
                for f in (was, now)
            ]
            yield FindingChange(check=check, fingerprint=name, old=sides[0], new=sides[1], changed=changed)


def _changed(old: Finding, new: Finding) -> tuple[str, ...]:
    fields = ("severity", "basis", "summary", "evidence", "remedy", "claims")
    return tuple(name for name in fields if getattr(old, name) != getattr(new, name))


def _statuses(old: AuditResult, new: AuditResult) -> Iterator[StatusChange]:
    before, after = ({outcome.check: outcome.status.value for outcome in result.outcomes} for result in (old, new))
    for check in sorted({*before, *after}):
        if before.get(check) != after.get(check):
            yield StatusChange(check=check, old=before.get(check), new=after.get(check))


def _skips(old: AuditResult, new: AuditResult) -> Iterator[SkipChange]:
    before, after = ({(o.check, s.reason) for o in result.outcomes for s in o.skips} for result in (old, new))
    for check, reason in sorted(before - after):
        yield SkipChange(check=check, side="old", reason=reason)
    for check, reason in sorted(after - before):
        yield SkipChange(check=check, side="new", reason=reason)


def _data(old: AuditResult, new: AuditResult) -> Iterator[DataChange]:
    before, after = ({(d.role, d.name): d for d in result.data} for result in (old, new))
    for role, name in sorted({*before, *after}):
        was, now = before.get((role, name)), after.get((role, name))
        if was != now:
            yield DataChange(name=name, role=role, old=_measured(was), new=_measured(now))


def _probes(old: AuditResult, new: AuditResult) -> Iterator[ProbeChange]:
    before, after = (
        {(s.step, s.variant or "", a.probe): a.status.value for s in result.probes for a in s.answers}
        for result in (old, new)
    )
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            step, variant, probe = key
            yield ProbeChange(step=step, variant=variant or None, probe=probe, old=before.get(key), new=after.get(key))


def _measured(data: DataResult | None) -> str | None:
    if data is None:
        return None
    people = f", {data.counts.units:,} people, at most {data.counts.max:,} each" if data.counts else ""
    return f"{data.identity.records:,} records{people}, SHA-256 {data.identity.sha256[:12]}…"
