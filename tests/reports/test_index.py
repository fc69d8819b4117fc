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
from reports.index import Audit, given, render

Json = dict[str, Any]


def test_each_check_has_a_row_and_each_audit_a_column(result: Json) -> None:
    other = copy.deepcopy(result)
    other["paper"].update(id="other-2024", title="Another paper")
    gone = other["outcomes"].pop(0)["check"]
    text = render([Audit(result, "a", "a/report.html"), Audit(other, "b")])
    table = text.split('class="sortable matrix"')[1].split("</table>")[0]
    assert re.findall(r'<th scope="col"><span>(.*?)</span>', table) == [result["paper"]["id"], "other-2024"]
    rows = table.split("<tbody>")[1].split("</tr>")[:-1]
    named = {re.findall(r'<th scope="row">(.*?)</th>', row)[0]: re.findall(r"<td.*?</td>", row) for row in rows}
    assert list(named) == sorted(o["check"] for o in result["outcomes"])
    assert {len(cells) for cells in named.values()} == {2}
    assert [(c, n) for c, cells in named.items() for n, cell in enumerate(cells) if "not run" in cell] == [(gone, 1)]


def test_two_audits_of_one_card_are_told_apart_by_folder_and_by_what_they_were_given(result: Json) -> None:
    ident, second = result["paper"]["id"], copy.deepcopy(result)
    result["provenance"]["inputs"] = {}
    second["provenance"]["inputs"] = {"private webmd": "3f" * 32, "ledger 1": "00" * 32, "ledger 2": "11" * 32}
    text = render([Audit(result, ident, "a.html"), Audit(second, "with-data", "b.html")])
    papers, checks, claims = (text.split(f'<section id="{name}"')[1] for name in ("papers", "checks", "claims"))
    first, other = (re.sub(r"<.*?>", "", row) for row in papers.split("<tbody>")[1].split("</tr>")[:2])
    assert f"{ident}, from the card alone" in first
    assert f"{ident} in with-data, from data of webmd, 2 ledgers" in other
    assert re.findall(r"<span>(.*?)</span></th>", checks) == [ident, f"{ident} (with-data)"]
    named = re.findall(r'data-key="([^"]*)">([^<]*)</td></tr>', claims)
    assert {name for _, name in named} == {ident, f"{ident} (with-data)"}
    assert all(key == name for key, name in named)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ([], "the card alone"),
        (["ledger 1"], "1 ledger"),
        (
            ["private yelp", "private spam", "corpus the pile", "code"],
            "data of yelp, data of spam, corpus the pile, code",
        ),
    ],
)
def test_what_an_audit_was_given_is_said_in_words(inputs: list[str], told: str) -> None:
    assert given(inputs) == told


def test_what_was_not_judged_never_reads_as_clean(result: Json) -> None:
    text = render([Audit(result, "out")])
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
    rows = unescape(render([Audit(result, "x", "x/report.html")])).split('id="claims"')[1].split("<tr>")[2:]
    assert len(rows) == len(result["claims"])
    for row, claim in zip(rows, result["claims"], strict=True):
        assert claim["label"] in row
        assert f'data-label="claimed ε" data-key="{claim["epsilon"]}">' in row
        person = next(r for r in claim["ladder"] if r["id"] == "person-max")
        assert f"≥\u00a0{person['epsilon_lower']:g}</td>" in row
        assert ("<b>∞</b>" in row) == (claim["verdict_level"] == "broken")


def test_links_lead_to_anchors_that_the_report_has(result: Json) -> None:
    anchors = set(re.findall(r' id="(.*?)"', report(result)))
    linked = set(re.findall(r' href="r\.html#(.*?)"', render([Audit(result, "out", "r.html")])))
    assert linked
    assert linked <= anchors


def test_the_page_allows_the_one_script_it_carries(result: Json) -> None:
    text = render([Audit(result, "out")])
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text


def test_hostile_titles_and_names_stay_text(result: Json) -> None:
    hostile = '"><script>alert(1)</script>'
    result["paper"]["title"] = result["paper"]["id"] = hostile
    result["claims"][0]["label"] = result["outcomes"][0]["check"] = hostile
    assert render([Audit(result, hostile, "a.html")]).count("<script") == 1


def test_a_result_without_claims_is_a_row(result: Json) -> None:
    assert "No claim to judge." in render([Audit({**result, "claims": [], "outcomes": []}, "out")])


def test_another_version_is_refused(result: Json) -> None:
    with pytest.raises(ReportError):
        render([Audit({**result, "version": 2}, "out")])
