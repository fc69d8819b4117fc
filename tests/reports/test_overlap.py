"""Private texts in corpora: every match drawn and counted, recall beside what was found and what was not, no text."""

from __future__ import annotations

import copy
import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from audit.types import CorpusOverlap
from reports.html import render
from reports.md import render as render_md
from reports.overlap import interval, searches
from reports.overlap_svg import scores_svg

Json = dict[str, Any]
SVG = "{http://www.w3.org/2000/svg}"
HISTOGRAMS = st.dictionaries(st.sampled_from(range(45, 101, 5)), st.integers(1, 10**7), min_size=1)


def proportion(count: int, of: int) -> Json:
    bounds = binomtest(count, of).proportion_ci(method="exact")
    return {"count": count, "of": of, "lower": float(bounds.low), "upper": float(bounds.high)}


def overlap(histogram: dict[int, int], **further: Any) -> Json:
    """900 records, those of `histogram` matched, in JSON as a result has it."""
    matched = sum(histogram.values())
    levels = [
        {"score": score, "records": proportion(count, 900), "long_records": count // 2, "people": None}
        for score in (0.45, 0.8, 1.0)
        for count in (sum(n for percent, n in histogram.items() if percent >= 100 * score),)
    ]
    kinds = [("exact", 5), ("contained", 6), ("in-part", 7)]
    plants = [(200, "verbatim"), (200, "case and spaces"), (188, "20 % of words edited"), (191, "half copied")]
    made = {
        "private": "webmd", "corpus": "qqp", "shingle": "word", "shingle_size": 5, "normalisation": "standard",
        "threshold": 0.45, "private_records": 900, "without_words": 2, "long_words": 12, "long_records": 700,
        "corpus_texts": 4321, "pairs": matched, "at_least": levels,
        "histogram": {str(percent): n for percent, n in histogram.items()},
        "kinds": [{"kind": kind, "records": n, "long_records": n} for kind, n in kinds],
        "minhash": {
            "permutations": 128, "bands": 21, "rows_per_band": 6, "median": 0.1 if matched else None,
            "at_half": 3, "at_four_fifths": 2,
        },
        "recall": {
            "seed": 7, "pages": 1000, "shortest": 12,
            "kinds": [{"kind": kind, "found": proportion(found, 200)} for found, kind in plants],
        },
    }  # fmt: skip
    return CorpusOverlap.model_validate(made | further).model_dump(mode="json")


def section(result: Json) -> str:
    page = render(result)
    assert '<section id="overlap"' in page
    text = re.sub(r"<[^>]*>", " ", page.split('<section id="overlap"')[1].split("</section>")[0])
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").replace("&nbsp;", " ").split())


def drawn(found: Json) -> ElementTree.Element:
    return ElementTree.fromstring(scores_svg(found).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_zero_matches_never_stand_without_what_the_search_would_have_found(result: Json) -> None:
    result["overlaps"] = [overlap({})]
    for shown in (section(result), render_md(result).replace("\N{NO-BREAK SPACE}", " ")):
        assert "0 matches found of 900 records of webmd in 4,321 texts of qqp" in shown
        assert "Absence is bounded, not proven." in shown
        assert "94.0 % (20 % of words edited" in shown
        assert "100 % (verbatim" in shown


def test_every_kind_of_copy_has_its_recall_and_the_plan_is_named(result: Json) -> None:
    result["overlaps"] = [overlap({})]
    shown = section(result)
    for row in ("verbatim 200 of 200", "20 % of words edited 188 of 200", "half copied 191 of 200"):
        assert row in shown
    assert "records of 12 words or more planted into 1,000 texts" in shown
    assert "(seed 7)" in shown


def test_a_search_without_estimated_recall_says_so(result: Json) -> None:
    result["overlaps"] = [overlap({}, recall=None)]
    assert "Recall was not estimated" in section(result)
    assert "nothing is known of what the search missed" in section(result)


def test_short_records_and_files_that_may_lack_texts_limit_what_is_said(result: Json) -> None:
    result["overlaps"] = [overlap({})]
    shown = section(result)
    assert "200 records of fewer than 12 words are outside this estimate" in shown
    assert "was not searched: webmd (a sample), qqp (not known to be whole)" in shown
    result["overlaps"] = [overlap({}, private_records=700, long_records=700)]
    for measured in result["data"]:
        measured["identity"]["verdict"] = "named dataset"
    shown = section(result)
    assert "outside this estimate" not in shown
    assert "was not searched" not in shown


def test_matches_have_a_picture_and_tables_of_kinds_and_thresholds(result: Json) -> None:
    found = overlap({45: 3, 85: 20, 100: 40})
    for level in found["at_least"]:
        level["people"] = proportion(37, 50)
    result["overlaps"] = [found]
    shown = section(result)
    assert "63 of 900 records of webmd found in 4,321 texts of qqp (7.0 %" in shown
    assert "held by 37 people" in shown
    assert scores_svg(found) in render(result)
    assert "nothing else 5 5" in shown
    for level, count in (("45 %", 63), ("80 %", 60), ("100 %", 40)):
        assert re.search(rf"{level} {count} [\d.]+ to [\d.]+ % {count // 2} 37 ", shown), level
    assert "3 of these 63 records at an estimated Jaccard similarity of 0.5 and 2 at 0.8" in shown


def test_a_result_from_before_the_field_has_no_section(result: Json) -> None:
    assert "overlaps" not in result
    assert 'id="overlap"' not in render(result)
    assert searches(result) == []


@given(HISTOGRAMS)
def test_every_bar_says_its_records_and_more_records_are_higher(histogram: dict[int, int]) -> None:
    picture = drawn({"threshold": 0.45, "histogram": {str(k): n for k, n in histogram.items()}})
    rects = list(picture.iter(f"{SVG}rect"))
    said = [int(str(rect[0].text).split(": ")[1].split()[0].replace(",", "")) for rect in rects]
    assert said == [histogram[percent] for percent in sorted(histogram)]
    bars = [[float(rect.attrib[side]) for side in ("x", "y", "width", "height")] for rect in rects]
    assert all(x + width <= following[0] for (x, _, width, _), following in pairwise(bars))
    assert all(x >= 0 and x + width <= 720 and y >= 0 and y + high <= 260 for x, y, width, high in bars)
    heights = [bar[3] for _, bar in sorted(zip(said, bars, strict=True))]
    assert heights == sorted(heights)
    assert heights[0] > 0


@given(st.integers(1, 10**6), st.data())
def test_an_interval_is_never_shown_narrower_than_it_is(of: int, data: st.DataObject) -> None:
    exact = proportion(data.draw(st.integers(0, of)), of)
    plain = interval(exact).translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", "\N{NO-BREAK SPACE}%"))
    low, high = (float(end.replace("×10", "e")) / 100 for end in plain.split(" to "))
    assert low <= exact["lower"] * (1 + 1e-12)
    assert high >= exact["upper"] * (1 - 1e-12)
    assert high - low <= (exact["upper"] - exact["lower"]) + 0.01


@pytest.mark.parametrize("key", ["private", "corpus", "shingle", "normalisation"])
def test_words_of_a_result_stay_text(key: str, result: Json) -> None:
    hostile = copy.deepcopy(overlap({100: 1}))
    hostile[key] = "<script>alert(1)</script>"
    result["overlaps"] = [hostile]
    assert "<script>alert" not in render(result)
