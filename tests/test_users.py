"""Records per privacy unit: exact figures on real data, invariants on any."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.records import open_records
from audit.users import count_units

IDS = st.lists(st.one_of(st.none(), st.text(max_size=2)), min_size=1, max_size=200)


@given(ids=IDS.filter(any), data=st.data())
def test_counts_do_not_depend_on_the_order_of_records(ids: list[str | None], data: st.DataObject) -> None:
    assert count_units(ids) == count_units(data.draw(st.permutations(ids)))


@given(IDS.filter(any))
def test_every_record_is_counted_once(ids: list[str | None]) -> None:
    counts = count_units(ids)
    assert counts.records + counts.missing == len(ids)
    assert sum(size * units for size, units in counts.histogram.items()) == counts.records
    assert sum(counts.histogram.values()) == counts.units


@given(IDS.filter(any))
def test_figures_agree_with_their_definitions(ids: list[str | None]) -> None:
    held = sorted(Counter(i for i in ids if i).values())
    counts = count_units(ids)
    assert counts.units == len(held)
    assert counts.max == held[-1]
    assert counts.mean == pytest.approx(sum(held) / len(held))
    assert counts.share_single == pytest.approx(held.count(1) / len(held))
    for figure, share in (
        (counts.p50, "1/2"),
        (counts.p90, "9/10"),
        (counts.p99, "99/100"),
        (counts.p999, "999/1000"),
    ):
        assert figure == pytest.approx(float(linear_percentile(held, Fraction(share))))


def linear_percentile(ascending: list[int], share: Fraction) -> Fraction:
    """The value at rank share·(n − 1), counted from 0, on the straight line between its neighbours."""
    rank = share * (len(ascending) - 1)
    below = int(rank)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (rank - below) * (ascending[above] - ascending[below])


def test_the_top_one_percent_is_at_least_one_unit_and_rounded_up() -> None:
    few = ["a"] * 3 + ["b"]
    assert count_units(few).share_top1 == 3 / 4
    many = [f"u{i}" for i in range(101)] + ["u0"] * 9 + ["u1"] * 4  # 101 units: the top 1 % are two
    assert count_units(many).share_top1 == (10 + 5) / 114


def test_missing_ids_are_in_no_other_figure() -> None:
    counts = count_units(["a", None, "", "a", "b"])
    assert (counts.records, counts.units, counts.max, counts.missing) == (3, 2, 2, 2)


def test_ids_that_differ_only_in_spelling_are_different_units() -> None:
    assert count_units(["a", "A", "a ", "7", "07", "?", "\ud800"]).units == 7


def test_without_any_id_there_is_nothing_to_count() -> None:
    with pytest.raises(ValueError, match="no record has an id"):
        count_units([None, ""])


@pytest.mark.parametrize(
    ("file", "text", "unit", "records", "units", "largest"),
    [
        ("yelp_sample", "text", "user_id", 10_000, 6_403, 38),
        ("airbnb_albany_a", "comments", "reviewer_id", 27_864, 23_153, 127),
        ("airbnb_albany_b", "comments", "reviewer_id", 25_313, 21_382, 99),
        ("nus_sms_en", "text", "user_id", 55_835, 343, 4_951),
    ],
)
def test_published_figures_of_real_data_are_reproduced(
    test_data: Path, file: str, text: str, unit: str, records: int, units: int, largest: int
) -> None:
    counts = open_records(f"{test_data / file}.jsonl.gz,text={text},unit={unit}", "real").counts
    assert counts is not None
    assert (counts.records, counts.units, counts.max, counts.missing) == (records, units, largest, 0)


def test_yelp_reviewers_hold_eight_reviews_at_the_99th_percentile(test_data: Path) -> None:
    counts = open_records(f"{test_data}/yelp_sample.jsonl.gz,text=text,unit=user_id", "yelp").counts
    assert counts is not None
    assert counts.p99 == 8
    assert round(counts.mean, 2) == 1.56
