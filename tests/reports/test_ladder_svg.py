"""Places on the axis follow log ε; ∞ stands in its own zone at the end; a missing rung has no mark."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.claims import corrected_rung
from reports.html import render
from reports.ladder_svg import mark_for
from reports.scale import LogScale, scale_for

epsilons = st.floats(min_value=0.001, max_value=1e6)


def rung(lower: float | str, upper: float | str, ident: str = "recomputed") -> dict[str, Any]:
    return {"id": ident, "epsilon_lower": lower, "epsilon_upper": upper, "unavailable": None}


@given(st.lists(epsilons, min_size=2, max_size=8))
def test_a_larger_epsilon_never_stands_further_left(values: list[float]) -> None:
    scale = scale_for(values)
    places = [scale.at(v) for v in sorted(values)]
    assert places == sorted(places)
    assert scale.start <= places[0]
    assert places[-1] <= scale.end < scale.at(math.inf) < 100


@given(epsilons, st.floats(min_value=1.5, max_value=100))
def test_equal_factors_are_equal_distances(epsilon: float, factor: float) -> None:
    scale = LogScale(low=1e-4, high=1e10)
    first = scale.at(epsilon * factor) - scale.at(epsilon)
    second = scale.at(epsilon * factor**2) - scale.at(epsilon * factor)
    assert first == pytest.approx(second, abs=0.03)


@given(st.lists(epsilons, max_size=8))
def test_decades_are_marked_where_their_epsilon_stands(values: list[float]) -> None:
    scale = scale_for(values)
    for place, label in scale.ticks():
        assert place == scale.at(float(label.replace(",", "")))


@given(epsilons, epsilons)
def test_a_bracket_is_drawn_from_its_lower_to_its_upper_end(a: float, b: float) -> None:
    lower, upper = min(a, b), max(a, b)
    scale = scale_for([lower, upper])
    mark = mark_for(rung(lower, upper), scale, 1.0)
    assert mark is not None
    if mark.kind == "bar":
        assert (mark.x, mark.end) == (scale.at(lower), scale.at(upper))
    else:
        assert mark.kind == "dot"
        assert scale.at(lower) - 0.01 <= mark.x <= scale.at(upper) + 0.01


def test_infinity_ends_in_the_zone_at_the_edge() -> None:
    scale = scale_for([3.0, 4000.0])
    for mark in (mark_for(rung("inf", "inf"), scale, 3.0), mark_for(rung(40.0, "inf"), scale, 3.0)):
        assert mark is not None
        assert mark.end > scale.at(4000.0)
        assert mark.end > scale.end
    certain = mark_for(rung("inf", "inf"), scale, 3.0)
    assert certain is not None
    assert certain.kind == "infinite"


def test_an_unavailable_rung_has_no_mark() -> None:
    assert mark_for({"id": "person-max", "unavailable": "no unit column"}, scale_for([]), 3.0) is None


def test_the_last_rung_with_a_bracket_carries_the_corrected_epsilon(result_builder: Any) -> None:
    ladder = [rung(3.0, 3.0, "claimed"), rung(40.0, 41.0, "sampler-as-coded"), rung(1.4, 1.5, "preprocessing")]
    missing = {"id": "channels", "unavailable": "unknown"}
    found = corrected_rung([*ladder, missing])
    assert found is not None
    assert found["id"] == "preprocessing"
    assert corrected_rung([ladder[0], missing]) is None


def test_the_page_draws_marks_in_the_order_of_their_epsilons(result_builder: Any) -> None:
    claim = result_builder.claim("genie", "webmd", 8.0, "channel")
    page = render(result_builder([claim]))
    drawn = page.split('<div class="ladder')[1].split("</ol>")[0]
    rows = dict(re.findall(r"<b>(.*?)</b>.*?(?:cx| x)=\"([\d.]+)%\"", drawn))
    finite = {r["label"]: r["epsilon_lower"] for r in claim["ladder"] if r["unavailable"] is None}
    finite = {k: v for k, v in finite.items() if v != "inf"}
    assert len(finite) == 7
    by_epsilon = sorted(finite, key=lambda label: finite[label])
    assert [float(rows[label]) for label in by_epsilon] == sorted(float(rows[label]) for label in finite)
