"""The picture of records per person: every person in a bar, ε(k) rising over it, the claim as a line; numbers only."""

from __future__ import annotations

import copy
import math
from collections import Counter
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.html import render
from reports.users_svg import bins, users_svg

HISTOGRAMS = st.dictionaries(st.integers(1, 5000), st.integers(1, 10**7), min_size=1, max_size=30)
SVG = "{http://www.w3.org/2000/svg}"


def counts_of(histogram: dict[int, int]) -> dict[str, Any]:
    return {"max": max(histogram), "histogram": {str(k): n for k, n in histogram.items()}}


def claim(epsilons: list[float], claimed: float = 1.0) -> dict[str, Any]:
    curve = [
        {"group_size": 2**n, "epsilon_lower": e * 0.99, "epsilon_upper": "inf" if math.isinf(e) else e}
        for n, e in enumerate(epsilons)
    ]
    return {"epsilon": claimed, "curve": curve}


def drawn(counts: dict[str, Any], of: dict[str, Any] | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(users_svg(counts, of).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


@given(HISTOGRAMS)
def test_every_person_is_in_the_bar_of_their_number(histogram: dict[int, int]) -> None:
    wanted: Counter[int] = Counter()
    for records, people in histogram.items():
        wanted[int(math.log2(records))] += people
    assert {int(math.log2(first)): people for first, _, people in bins(histogram)} == dict(wanted)
    assert all(last == 2 * first - 1 for first, last, _ in bins(histogram))


@given(HISTOGRAMS)
def test_bars_stand_side_by_side_inside_the_picture_and_more_people_are_higher(histogram: dict[int, int]) -> None:
    bars = [
        (float(b.attrib["x"]), float(b.attrib["width"]), float(b.attrib["height"]))
        for b in drawn(counts_of(histogram)).iter(f"{SVG}rect")
    ]
    people = [number for *_, number in bins(histogram)]
    assert len(bars) == len(people)
    assert all(x + width <= following[0] for (x, width, _), following in pairwise(bars))
    assert all(x >= 0 and x + width <= 720 and 0 < height <= 320 for x, width, height in bars)
    by_people = sorted(zip(people, (height for *_, height in bars), strict=True))
    assert [height for _, height in by_people] == sorted(height for *_, height in bars)


def test_the_curve_rises_and_crosses_the_claim_where_it_says() -> None:
    picture = drawn(counts_of({1: 100, 8: 3}), claim([0.5, 1.0, 4.0, 16.0]))
    points = [(float(c.attrib["cx"]), float(c.attrib["cy"])) for c in picture.iter(f"{SVG}circle")]
    assert len(points) == 4
    assert points == sorted(points, key=lambda point: (point[0], -point[1]))
    (line,) = [item for item in picture.iter(f"{SVG}line") if item.attrib.get("class") == "claimed"]
    assert float(line.attrib["y1"]) == points[1][1]  # the claim is 1, and so is ε of two records


def test_an_epsilon_without_bound_is_drawn_above_every_other() -> None:
    picture = drawn(counts_of({1: 100, 4: 1}), claim([0.5, 1e6, math.inf]))
    heights = [float(c.attrib["cy"]) for c in picture.iter(f"{SVG}circle")]
    assert heights[2] < heights[1] < heights[0]


def test_beyond_the_heaviest_person_there_is_no_curve() -> None:
    picture = drawn(counts_of({1: 5, 2: 1}), claim([1.0, 2.0, 4.0, 8.0]))
    assert len(list(picture.iter(f"{SVG}circle"))) == 2


def test_without_a_claim_there_is_no_epsilon() -> None:
    assert "ε" not in users_svg(counts_of({1: 5}))


def test_the_report_shows_the_picture_and_the_table_of_caps(result: dict[str, Any]) -> None:
    measured = next(d for d in result["data"] if d["role"] == "private" and d["counts"])
    on = next(c for c in result["claims"] if c["dataset"] == measured["name"] and c["curve"])
    cap = {"max_records": 1, "records_kept": 4321, "people_affected": 765, "noise_multiplier": 0.987}
    on["caps"] = [cap | {"epsilon_lower": 3.01, "epsilon_upper": "inf"}]
    page = render(result)
    assert users_svg(measured["counts"], on) in page
    for shown in ("4,321", "765", "0.987", "≥\N{NO-BREAK SPACE}3.01"):
        assert f'<td class="num">{shown}</td>' in page


@pytest.mark.parametrize("key", ["label", "wording"])
def test_words_of_the_claim_stay_out_of_the_picture(result: dict[str, Any], key: str) -> None:
    measured = next(d for d in result["data"] if d["role"] == "private" and d["counts"])
    on = copy.deepcopy(next(c for c in result["claims"] if c["curve"]))
    on[key] = "<script>alert(1)</script>"
    assert "script" not in users_svg(measured["counts"], on)


def test_the_report_shows_each_split_apart(result: dict[str, Any]) -> None:
    measured = next(d for d in result["data"] if d["role"] == "private" and d["counts"])
    assert "Each split apart" not in render(result)
    measured["splits"] = {"train": measured["counts"] | {"records": 98_765}}
    page = render(result)
    assert "Each split apart" in page
    assert '<td class="num">98,765</td>' in page
