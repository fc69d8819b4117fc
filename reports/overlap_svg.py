"""How many matched records have which best score, records logarithmic: part copied on the left, whole on the right."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from reports.numbers import plural

Json = Mapping[str, Any]

WIDTH, HEIGHT = 720, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 704, 30, 206  # of the panel
STEP, WHOLE = 5, 100  # percent: the width of a bar, and the score of a record that is there whole


def scores_svg(overlap: Json) -> str:
    """The picture as one `<svg>`. `overlap` is CorpusOverlap as JSON, with at least one match.

    A bar for each step of 5 %, and one apart for records all of whose words are there; heights are logarithmic, and
    one record still shows. Same input, same bytes; nothing but numbers of the input is written.
    """
    bars = scores(overlap["histogram"])
    first = int(100 * overlap["threshold"] + 1e-9) // STEP * STEP
    says = "; ".join(f"{span(percent)}: {records:,}" for percent, records in bars)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Matched records by best score. {says}." '
        f'font-size="12" fill="currentColor" style="display:block;width:100%;max-width:46rem;height:auto">'
        f"{''.join([*_grid(bars), *_bars(bars, first), *_axis(first)])}</svg>"
    )


def scores(histogram: Mapping[Any, int]) -> list[tuple[int, int]]:
    """(percent, records), ascending, where there are records; JSON keys are strings."""
    return sorted((int(percent), int(records)) for percent, records in histogram.items() if records)


def span(percent: int) -> str:
    return "all words" if percent >= WHOLE else f"{percent} to {percent + STEP} % of the words"


def _decades(bars: list[tuple[int, int]]) -> int:
    return max(1, math.ceil(math.log10(max(records for _, records in bars)) - 1e-9))


def _height(records: float, decades: int) -> float:
    return round(6 + (BOTTOM - TOP - 6) * math.log10(records) / decades, 1)


def _across(percent: int, first: int) -> tuple[float, float]:
    """Left edge and width of a bar; whole records stand apart from the rest by half a bar."""
    width = (RIGHT - LEFT) / ((WHOLE - first) / STEP + 1.5)
    place = (percent - first) / STEP + (0.5 if percent >= WHOLE else 0)
    return round(LEFT + width * place, 1), round(width, 1)


def _grid(bars: list[tuple[int, int]]) -> Iterator[str]:
    decades = _decades(bars)
    for power in range(decades + 1):
        y = BOTTOM - _height(10**power, decades)
        yield f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y:g}" y2="{y:g}" stroke="currentColor" stroke-opacity=".6"/>'
        yield f'<text class="end" x="{LEFT - 6}" y="{y + 4:g}">{10**power:,}</text>'
    yield f'<text class="end" x="{LEFT - 6}" y="{TOP - 16}">records</text>'


def _bars(bars: list[tuple[int, int]], first: int) -> Iterator[str]:
    decades = _decades(bars)
    for percent, records in bars:
        (x, width), high = _across(percent, first), _height(records, decades)
        yield (
            f'<rect x="{x:g}" y="{BOTTOM - high:g}" width="{width - 1:g}" height="{high:g}" '
            f'fill="var(--blue, currentColor)" fill-opacity=".55">'
            f"<title>{span(percent)}: {plural(records, 'record')}</title></rect>"
        )
        yield f'<text x="{x + width / 2:g}" y="{BOTTOM - high - 4:g}">{records:,}</text>'


def _axis(first: int) -> Iterator[str]:
    for percent in range(first, WHOLE, STEP):
        yield f'<text x="{_across(percent, first)[0]:g}" y="{BOTTOM + 16}">{percent}</text>'
    x, width = _across(WHOLE, first)
    yield f'<text x="{x + width / 2:g}" y="{BOTTOM + 16}">all</text>'
    yield f'<text class="end" x="{RIGHT}" y="{HEIGHT - 14}">% of a record’s words in order in one place</text>'
