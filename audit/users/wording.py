"""The answer of `audit users` as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from audit.types import UnitCounts, round_outward
from audit.users.answer import TOGETHER, Answer
from audit.users.caps import Cap
from audit.users.duplicates import Across, Within
from audit.users.signs import Sign

FIGURES = ("records", "people", "max", "mean", "p50", "p90", "p99", "p99.9", "with 1", "top 1 %", "no id")
BARS = 40


def lines(answer: Answer) -> Iterator[str]:
    """The answer, widest figures first; people are named by nothing but their number of records."""
    if answer.counts is None:
        yield f"{answer.records:,} records; how many each person holds is not known"
    else:
        yield from _table(answer)
        yield ""
        yield from _histogram(answer.counts)
    yield from _duplicates(answer.within, answer.across)
    yield from _signs(answer.signs, asked=answer.counts is not None)
    yield from _caps(answer)
    yield from (f"not judged: {note}" for note in answer.notes)


def _table(answer: Answer) -> Iterator[str]:
    assert answer.counts is not None
    rows: list[tuple[str, ...]] = [("", *FIGURES)]
    rows += [(name, *_figures(counts)) for name, counts in answer.splits.items()]
    rows.append((TOGETHER, *_figures(answer.counts)))
    yield from _aligned(rows)


def _figures(counts: UnitCounts) -> tuple[str, ...]:
    percentiles = (f"{p:,.6g}" for p in (counts.p50, counts.p90, counts.p99, counts.p999))
    whole = (f"{counts.records:,}", f"{counts.units:,}", f"{counts.max:,}", f"{counts.mean:,.4g}")
    return (*whole, *percentiles, f"{counts.share_single:.1%}", f"{counts.share_top1:.1%}", f"{counts.missing:,}")


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join([row[0].ljust(widths[0]) if row[0] else first, *rest]).rstrip()


def _histogram(counts: UnitCounts) -> Iterator[str]:
    """People by records held, in bins that double; a bar's length is the share of people."""
    yield "records a person holds"
    bins: dict[int, int] = {}
    for size, people in counts.histogram.items():
        bins[size.bit_length() - 1] = bins.get(size.bit_length() - 1, 0) + people
    spans = {power: f"{2**power:,}" + (f"–{2 ** (power + 1) - 1:,}" if power else "") for power in bins}
    width = max(map(len, spans.values()))
    for power, people in sorted(bins.items()):
        bar = "█" * max(1, round(BARS * people / counts.units))
        yield f"  {spans[power]:>{width}}  {bar} {people:,}"


def _duplicates(within: Sequence[Within], across: Sequence[Across]) -> Iterator[str]:
    for part in within:
        if part.exact is not None:
            yield (
                f"{part.split}: {part.exact:,} of {part.records:,} records have a text that another one has, "
                f"{_looked(part.near)} nearly"
            )
    for pair in across:
        texts = f"{pair.exact:,} texts the same, {_looked(pair.near)} nearly; " if pair.exact is not None else ""
        people = f"{pair.people:,} people in both" if pair.people is not None else "people not compared"
        yield f"{pair.split} in {pair.other}: of {pair.records:,} records {texts}{people}"


def _looked(number: int | None) -> str:
    return f"{number:,} more" if number is not None else "(too many records to look for more)"


def _signs(signs: Sequence[Sign], *, asked: bool) -> Iterator[str]:
    if asked:
        yield ""
        yield "is the column a person?" if signs else "no sign was found that the column does not name people"
    for sign in signs:
        yield f"  {sign.ident} ({sign.confidence.value} confidence): {sign.what}"
        for effect in sign.effects:
            yield f"      {effect.how}: max {effect.max:,}, mean {effect.mean:,.4g}, p99 {effect.p99:,.6g}"


def _caps(answer: Answer) -> Iterator[str]:
    priced = answer.target_epsilon is not None
    if not answer.caps or not (priced or answer.counts):
        return
    yield ""
    yield "if each person kept at most K records" + (
        ": ε for a person at the same noise, steps and sampling probability, and the noise multiplier for "
        f"ε = {answer.target_epsilon:.4g}"
        if priced
        else " (--noise-multiplier, --sampling-probability, --steps and --delta price it)"
    )
    head = ("K", "records kept", "people affected") + (("ε for a person", "noise multiplier") if priced else ())
    yield from _aligned([head, *(_cap(cap, priced=priced) for cap in answer.caps)])
    if priced:
        yield "fewer records at the same batch size mean a larger sampling probability; price that with audit epsilon"


def _cap(cap: Cap, *, priced: bool) -> tuple[str, ...]:
    counts = tuple("not known" if value is None else f"{value:,}" for value in (cap.records_kept, cap.people_affected))
    row = (f"{cap.max_records:,}", *counts)
    if not priced:
        return row
    assert cap.epsilon_lower is not None
    assert cap.epsilon_upper is not None
    low, high = _epsilon(cap.epsilon_lower, up=False), _epsilon(cap.epsilon_upper, up=True)
    noise = "none suffices" if cap.noise_multiplier is None else f"{cap.noise_multiplier:.4g}"
    return (*row, low if low == high else f"{low} to {high}", noise)


def _epsilon(value: float, *, up: bool) -> str:
    return "∞" if value == float("inf") else f"{round_outward(value, up=up):.4g}"
