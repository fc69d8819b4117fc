"""An audit in a screenful of text."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audit.cards import CardError, load_card, load_manifest, manifest_ids
from audit.types import AuditResult, ClaimResult, Finding, Outcome, Rung, Severity, Status

STYLES = {Severity.HIGH: "bold red", Severity.MEDIUM: "yellow", Severity.LOW: "cyan", Severity.INFO: "dim"}
LEVELS = {
    "holds": ("holds", "green"),
    "weaker": ("weaker", "yellow"),
    "broken": ("does not hold", "red"),
    "unknown": ("not known", "dim"),
}
COLUMNS = (("  claim", 18), ("one record", 12), ("one person", 16), ("corrected", 10), ("verdict", 13))
ON_CARD = "more on the card"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """`text` without control characters, so that nothing on a card can drive a terminal."""
    return _CONTROL.sub("", text)


def closest(name: str, known: Iterable[str]) -> str:
    """A complaint about an unknown name, with the closest known one."""
    match = difflib.get_close_matches(name, list(known), n=1)
    return f"{name}: unknown" + (f"; did you mean {match[0]}?" if match else "")


def complaint(path: Path) -> str | None:
    """What is wrong with a card or manifest, one line a complaint, or None."""
    try:
        if is_card(path):
            load_card(path, manifest_ids(path.parent))
        else:
            load_manifest(path)
    except CardError as error:
        return str(error)
    return None


def is_card(path: Path) -> bool:
    """A manifest states what kind of data it describes; a card never has a top-level `kind`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return True  # the card reader has the words for it
    return re.search(r"^kind\s*=", text.split("\n[")[0], re.MULTILINE) is None


def show(console: Console, result: AuditResult, written: list[Path]) -> None:
    """Print verdicts, findings by severity, what could not be judged, and the files written."""
    console.print(Text(plain(result.paper.title), style="bold"))
    console.print()
    _claims(console, result.claims)
    _findings(console, result)
    _unjudged(console, [outcome for outcome in result.outcomes if outcome.status is Status.SKIPPED])
    for outcome in result.outcomes:
        if outcome.error:
            console.print(f"Failed: {outcome.check} ({outcome.error}); --debug shows why", style="red", markup=False)
    console.print()
    for path in written:
        console.print(f"wrote {path}", markup=False, soft_wrap=True)


def _claims(console: Console, claims: tuple[ClaimResult, ...]) -> None:
    """One line a claim, under the name of its model."""
    aligned = console.width >= sum(width + 2 for _, width in COLUMNS)  # where there is room for it
    for model, group in groupby(claims, key=_model):
        console.print(Text(plain(model), style="bold"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        for name, width in COLUMNS:
            table.add_column(name, min_width=width if aligned else None)
        for claim in group:
            verdict, style = LEVELS[claim.verdict_level]
            but = f" but\nfor {len(claim.waived)} waived" if claim.waived else ""
            table.add_row(
                Text(f"  {plain(claim.dataset)}, ε = {claim.epsilon:g}"),
                Text(_record_level(claim.ladder)),
                Text(_person_level(claim.ladder)),
                Text(_corrected(claim.ladder)),
                Text(f"{verdict}{but}", style=style),
            )
        console.print(table)


def _model(claim: ClaimResult) -> str:
    return claim.label.rsplit(f" on {claim.dataset}, ", 1)[0]


def _record_level(ladder: tuple[Rung, ...]) -> str:
    at_record = [r for r in ladder if r.id in ("recomputed", "steps-as-run", "sampler-as-coded")]
    return span(at_record[-1]) if at_record else "not computed"


def _person_level(ladder: tuple[Rung, ...]) -> str:
    at_person = [r for r in ladder if r.id.startswith("person-") and not r.unavailable]
    if not at_person:
        return "not measured"
    supposed = "if " if at_person[-1].id == "person-k2" else ""
    return f"{span(at_person[-1])} ({supposed}k = {at_person[-1].group_size})"


def _corrected(ladder: tuple[Rung, ...]) -> str:
    priced = [rung for rung in ladder if not rung.unavailable and rung.id != "claimed"]
    return span(priced[-1]) if priced else "not computed"


def span(rung: Rung) -> str:
    """The rung's bracket: one number where both ends read the same, ∞ as such."""
    if rung.unavailable or rung.epsilon_lower is None or rung.epsilon_upper is None:
        return "not computed"
    if math.isinf(rung.epsilon_upper):
        return "∞" if math.isinf(rung.epsilon_lower) else f"{_short(rung.epsilon_lower)} or more"
    low, high = _short(rung.epsilon_lower), _short(rung.epsilon_upper)
    return high if abs(rung.epsilon_upper - rung.epsilon_lower) <= 0.01 * rung.epsilon_upper else f"{low} to {high}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _findings(console: Console, result: AuditResult) -> None:
    """One entry a check and severity: its first finding, and what the others bear on."""
    groups = [
        (severity, outcome, [f for f in outcome.findings if f.severity is severity])
        for severity in Severity
        for outcome in result.outcomes
    ]
    groups = [(severity, outcome, found) for severity, outcome, found in groups if found]
    total = sum(len(found) for _, _, found in groups)
    console.print(f"\n{total} finding{'s' if total != 1 else ''}", style="bold")
    mechanisms = {claim.id: claim.mechanism for claim in result.claims}
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for severity, outcome, found in groups:
        text = Text(f"{outcome.check}\n", style="bold")
        text.append(f"{plain(found[0].summary)} ", style="not bold")
        text.append(f"[{found[0].basis.value}]", style="not bold dim")
        if len(found) > 1:
            text.append(f"\n{_others(found, mechanisms)}", style="not bold dim")
        if waiver := outcome.waiver:
            said = f"\nwaived until {waiver.expires} by {waiver.author}: {waiver.reason}"
            text.append(plain(said), style="not bold yellow")
        table.add_row(Text(severity.value, style=STYLES[severity]), text)
    console.print(table)


def _unjudged(console: Console, skipped: list[Outcome]) -> None:
    """The checks that could not judge, one line for each thing that would let them."""
    if not skipped:
        return
    groups: dict[tuple[str, ...], list[str]] = {}
    for outcome in skipped:
        groups.setdefault(missing(outcome), []).append(outcome.check)
    console.print(f"\nCould not be judged ({len(skipped)}), by what would help; the report says more", style="bold")
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for needed, checks in sorted(groups.items(), key=lambda group: ON_CARD in group[0]):
        table.add_row(Text(" and ".join(needed), style="dim"), Text(", ".join(checks)))
    console.print(table)


def missing(outcome: Outcome) -> tuple[str, ...]:
    """The options that would let a skipped check judge; facts on the card where no option would."""
    wanted = [re.findall(r"--[a-z]+", skip.needs) or [ON_CARD] for skip in outcome.skips]
    return tuple(dict.fromkeys(word for words in wanted for word in words))


def _others(found: list[Finding], mechanisms: Mapping[str, str]) -> str:
    """How many more there are, and the mechanisms they bear on beside those of the first."""
    first, *rest = ({mechanisms[c] for c in f.claims if c in mechanisms} for f in found)
    names = sorted(set().union(*rest) - first)
    where = f" ({', '.join(names)})" if names else ""
    return f"and {len(rest)} more like it{where}; the report has them all"
