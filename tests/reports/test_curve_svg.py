"""ε(k) rises on the page as it rises in the result; bars hold every person measured."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reports.curve_svg import curve_for


def claim(points: list[tuple[int, float | str, float | str]]) -> dict[str, Any]:
    keys = ("group_size", "epsilon_lower", "epsilon_upper")
    return {"epsilon": 3.0, "curve": [dict(zip(keys, p, strict=True)) for p in points]}


def counts(histogram: dict[int, int]) -> dict[str, Any]:
    return {"max": max(histogram), "histogram": {str(k): v for k, v in histogram.items()}}


@given(st.lists(st.floats(min_value=0.01, max_value=1e5), min_size=2, max_size=20))
def test_larger_epsilon_stands_higher_and_larger_k_further_right(values: list[float]) -> None:
    rising = sorted(values)
    curve = curve_for(claim([(n + 1, e, e) for n, e in enumerate(rising)]), None)
    assert curve is not None
    xs, ys = [p[0] for p in curve.points], [p[1] for p in curve.points]
    assert xs == sorted(set(xs))
    assert ys == sorted(ys, reverse=True)


def test_no_finite_epsilon_is_drawn_inside_the_zone_at_the_top() -> None:
    curve = curve_for(claim([(1, 3.0, 3.0), (8, 90.0, "inf"), (38, "inf", "inf")]), None)
    assert curve is not None
    assert curve.points[0][1] > curve.limit_y > curve.endless
    assert all(y < curve.endless for _, y, _ in curve.points[1:])
    assert curve.table == ((1, "3"), (8, "≥\u00a090"), (38, "∞"))


@given(st.dictionaries(st.integers(1, 5000), st.integers(1, 10**6), min_size=1))
def test_bars_hold_every_person_once_and_never_overlap(histogram: dict[int, int]) -> None:
    curve = curve_for(claim([(1, 3.0, 3.0)]), counts(histogram))
    assert curve is not None
    assert sum(bar.persons for bar in curve.bars) == sum(histogram.values())
    assert all(
        a.last < b.first and a.x + a.width <= b.x + 0.61 for a, b in zip(curve.bars, curve.bars[1:], strict=False)
    )
    for bar in curve.bars:
        assert sum(n for k, n in histogram.items() if bar.first <= k <= bar.last) == bar.persons
        assert 0 < bar.height <= 100


def test_without_a_curve_there_is_no_picture() -> None:
    assert curve_for(claim([]), counts({1: 5})) is None
