"""The index shows every paper, check and claim, works without its script, and runs no other."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
from html import unescape
from typing import Any

import pytest

from reports.html import ReportError
from reports.html import render as report
from reports.index import render

Json = dict[str, Any]


def test_each_paper_has_a_row_and_each_check_a_column(result: Json) -> None:
    other = copy.deepcopy(result)
    other["paper"].update(id="other-2024", title="Another paper")
    del other["outcomes"][0]
    text = render([("a/report.html", result), (None, other)])
    table = text.split('class="sortable matrix"')[1].split("</table>")[0]
    assert re.findall(r'<th scope="col"><span>(.*?)</span>', table) == sorted(o["check"] for o in result["outcomes"])
    rows = table.split("<tbody>")[1].split("</tr>")[:2]
    assert [len(re.findall(r"<td", row)) for row in rows] == [len(result["outcomes"])] * 2
    assert "not run" in rows[1]
    assert "not run" not in rows[0]


def test_what_was_not_judged_never_reads_as_clean(result: Json) -> None:
    text = render([(None, result)])
    names = sorted(o["check"] for o in result["outcomes"])
    cells = re.findall(r'aria-label="(.*?)">.</span></td>', text.split('class="sortable matrix"')[1])
    said = dict(zip(names, cells, strict=True))
    assert said["split-overlap"] == "not judged"
    assert said["delta-too-large"] == "clean"
    assert said["metric-not-comparable"] == "failed"
    assert said["unaccounted-data-dependent-state"] == "found, high"
    glyphs = dict(re.findall(r'aria-label="(.*?)">(.)</span></td>', text))
    assert glyphs == {"clean": "✓", "not judged": "?", "failed": "!"} | {
        f"found, {name}": name[0].upper() for name in ("high", "medium", "info")
    }


def test_every_claim_stands_with_its_three_epsilons(result: Json) -> None:
    rows = unescape(render([("x/report.html", result)])).split('id="claims"')[1].split("<tr>")[2:]
    assert len(rows) == len(result["claims"])
    for row, claim in zip(rows, result["claims"], strict=True):
        assert claim["label"] in row
        assert f'<td data-key="{claim["epsilon"]}">' in row
        person = next(r for r in claim["ladder"] if r["id"] == "person-max")
        assert f"≥\u00a0{person['epsilon_lower']:g}</td>" in row
        assert ("<b>∞</b>" in row) == (claim["verdict_level"] == "broken")


def test_links_lead_to_anchors_that_the_report_has(result: Json) -> None:
    anchors = set(re.findall(r' id="(.*?)"', report(result)))
    linked = set(re.findall(r' href="r\.html#(.*?)"', render([("r.html", result)])))
    assert linked
    assert linked <= anchors


def test_the_page_allows_the_one_script_it_carries(result: Json) -> None:
    text = render([(None, result)])
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text


def test_hostile_titles_and_names_stay_text(result: Json) -> None:
    hostile = '"><script>alert(1)</script>'
    result["paper"]["title"] = result["paper"]["id"] = hostile
    result["claims"][0]["label"] = result["outcomes"][0]["check"] = hostile
    assert render([("a.html", result)]).count("<script") == 1


def test_a_result_without_claims_is_a_row(result: Json) -> None:
    assert "No claim to judge." in render([(None, {**result, "claims": [], "outcomes": []})])


def test_another_version_is_refused(result: Json) -> None:
    with pytest.raises(ReportError):
        render([(None, {**result, "version": 2})])
