"""Two results compared, as lines of text."""

from __future__ import annotations

import math
from collections.abc import Iterator

from audit.diff import ClaimChange, Diff, FindingChange, ProbeChange, RungSide
from audit.summary import LEVELS

NOTHING = "Nothing changed."


def lines(diff: Diff) -> Iterator[str]:
    """What changed, for a terminal: + came, - went, ~ changed."""
    yield f"{diff.old.paper} ({diff.old.started}) -> {diff.new.paper} ({diff.new.started})"
    if diff.old.paper != diff.new.paper:
        yield "These are audits of two papers."
    if diff.same:
        yield NOTHING
        return
    yield from _block("Claims", [line for change in diff.claims for line in _claim(change)])
    yield from _block("Findings", [line for change in diff.findings for line in _finding(change)])
    yield from _block("Checks", [f"~ {s.check}: {s.old or 'not run'} -> {s.new or 'not run'}" for s in diff.statuses])
    yield from _block(
        "Open questions", [f"{'-' if s.side == 'old' else '+'} {s.check}: {s.reason}" for s in diff.skips]
    )
    yield from _block("Data", [f"~ {d.name}: {d.old or 'not given'} -> {d.new or 'not given'}" for d in diff.data])
    yield from _block("Probes", [_probe(change) for change in diff.probes])


def _block(name: str, body: list[str]) -> Iterator[str]:
    if body:
        yield ""
        yield name
        yield from (f"  {line}" for line in body)


def _claim(change: ClaimChange) -> Iterator[str]:
    if change.old is None or change.new is None:
        side = change.new or change.old
        yield f"{'+' if change.new else '-'} {change.label}: {side.verdict if side else ''}"
        return
    was, now = (LEVELS[side.level][0] for side in (change.old, change.new))
    yield f"~ {change.label}: {f'{was} -> {now}' if was != now else f'{now}, as before'}"
    for rung in change.rungs:
        named = rung.new or rung.old
        yield f"    {named.label if named else rung.id}: {epsilon(rung.old)} -> {epsilon(rung.new)}"
    if change.old.verdict != change.new.verdict:
        yield f"    {change.new.verdict}"


def _finding(change: FindingChange) -> Iterator[str]:
    side = change.new or change.old
    if side is None:
        return
    mark = "~" if change.old and change.new else "+" if change.new else "-"
    moved = ""
    if change.old and change.new and change.old.severity is not change.new.severity:
        moved = f" (was {change.old.severity.value})"
    what = f" [{', '.join(change.changed)}]" if change.changed else ""
    yield f"{mark} {side.severity.value}{moved} {change.check}{what}: {side.summary}"


def _probe(change: ProbeChange) -> str:
    step = f"{change.step} ({change.variant})" if change.variant else change.step
    return f"~ {change.probe} on {step}: {change.old or 'not run'} -> {change.new or 'not run'}"


def epsilon(side: RungSide | None) -> str:
    """A rung's bracket in words."""
    if side is None:
        return "no such rung"
    if side.epsilon_lower is None or side.epsilon_upper is None:
        return "not computed"
    low, high = side.epsilon_lower, side.epsilon_upper
    if math.isinf(high):
        return "∞" if math.isinf(low) else f"{low:g} or more"
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
