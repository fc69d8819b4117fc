"""The page as a whole: well formed, closed to the network, complete, escaped, the same bytes for the same result."""

from __future__ import annotations

import copy
import json
import re
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.diff import compare
from audit.types import AuditResult
from reports import diff_html, index
from reports.html import ReportError, render
from reports.numbers import number

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """A page taken apart, with a stack that complains about the first tag closed out of order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert not self.stack, f"never closed: {self.stack}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack[-1] == tag, f"</{tag}> closes <{self.stack[-1]}> at {self.getpos()}"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def values(self, attribute: str) -> list[str]:
        return [attrs[attribute] or "" for _, attrs in self.tags if attribute in attrs]


def squeezed(text: str) -> str:
    return " ".join(text.split())


def pages(result: dict[str, Any]) -> dict[str, str]:
    """A report, an index of two results, and a comparison in which a claim, a finding and a skip differ."""
    old = copy.deepcopy(result)
    old["claims"][0]["ladder"][1].update(epsilon_lower=1.0, epsilon_upper=2.0)
    del old["claims"][1], old["outcomes"][0]["findings"][0], old["outcomes"][1]["skips"][0]
    old["outcomes"][0]["findings"][0]["severity"] = "high"
    old["data"][0]["identity"]["records"] = 3
    diff = compare(AuditResult.model_validate(old), AuditResult.model_validate(result)).model_dump(mode="json")
    return {
        "report": render(result),
        "index": index.render([index.Audit(old, "a", "a/report.html"), index.Audit(result, "b")]),
        "diff": diff_html.render(diff),
    }


@pytest.mark.parametrize("name", ["report", "index", "diff"])
def test_every_tag_is_closed_in_order(name: str, result: dict[str, Any]) -> None:
    page = Page(pages(result)[name])
    assert [tag for tag, _ in page.tags].count("h1") == 1
    ids = page.values("id")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", ["report", "index", "diff"])
def test_headings_never_skip_a_level(name: str, result: dict[str, Any]) -> None:
    levels = [int(tag[1]) for tag, _ in Page(pages(result)[name]).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))


def test_nothing_is_fetched_or_executed(result: dict[str, Any]) -> None:
    text = render(result)
    page = Page(text)
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & {t for t, _ in page.tags}
    assert not page.values("src")
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    for tag, attrs in page.tags:
        href = attrs.get("href") or "#"
        if tag == "link":  # an empty icon, so that a browser does not ask a server for one
            assert (attrs["rel"], href) == ("icon", "data:,")
            continue
        assert href.startswith("#") or (tag == "a" and href.startswith(("http://", "https://"))), (tag, href)
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    (policy,) = [a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy).startswith("default-src 'none'; ")
    assert "script-src" not in str(policy)


def test_every_inner_link_has_its_anchor_and_no_anchor_stands_twice(result: dict[str, Any]) -> None:
    page = Page(render(result))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    missing = {h for h in page.values("href") if h.startswith("#") and h[1:] not in ids}
    assert not missing
    pointed_at = {i for value in page.values("aria-labelledby") for i in value.split()}
    assert pointed_at <= set(ids)


def test_only_plain_web_addresses_become_links(result: dict[str, Any]) -> None:
    page = Page(render(result))
    assert "javascript:alert(1)" in page.text
    assert not [h for h in page.values("href") if "javascript" in h]


def test_every_finding_skip_rung_and_check_appears(result: dict[str, Any]) -> None:
    text = Page(render(result)).text
    for outcome in result["outcomes"]:
        assert squeezed(outcome["question"]) in text
        assert outcome["check"] in text
        for finding in outcome["findings"]:
            assert squeezed(finding["summary"]) in text
            assert squeezed(finding["remedy"]) in text
            assert all(squeezed(e["what"]) in text and e["where"] in text for e in finding["evidence"])
        for skip in outcome["skips"]:
            assert skip["reason"] in text
            assert skip["needs"] in text
    for claim in result["claims"]:
        assert claim["label"] in text
        assert claim["verdict"] in text


def test_every_ladder_shows_each_of_its_rungs(result: dict[str, Any]) -> None:
    """Drawn for the head and once a mechanism, and side by side in a table for all claims of a mechanism."""
    text = unescape(render(result))
    drawn = [re.findall(r"<li\b", part.split("</ol>")[0]) for part in text.split('<div class="ladder')[1:]]
    assert len(drawn) == len({c["mechanism"] for c in result["claims"]})
    for mechanism in {c["mechanism"] for c in result["claims"]}:
        claims = [c for c in result["claims"] if c["mechanism"] == mechanism]
        (table,) = re.findall(rf'aria-label="Ladders of {mechanism}">(.*?)</table>', text, re.DOTALL)
        rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tbody>")[1].split("</tr>")]
        cells = [cell for row in rows for cell in row if "#note-" in cell]
        assert len(cells) == sum(len(c["ladder"]) for c in claims)
        for n, claim in enumerate(claims):
            column = [row[n] for row in rows if row]
            for one in claim["ladder"]:
                if one["unavailable"]:
                    assert any("not computed" in cell and one["unavailable"] in cell for cell in column)
                elif one["epsilon_lower"] != "inf":
                    assert any(f">{number(one['epsilon_lower'])}" in cell.replace("≥\u00a0", "") for cell in column)


def test_figures_beside_a_rung_say_what_they_are_worth(result_builder: Any) -> None:
    page = Page(render(result_builder([result_builder.claim("genie", "webmd", 8.0, "channel")])))
    assert "2 × the ε of one record: 15.92 , bounds nothing" in page.text


def test_limits_on_attacks_come_from_the_whole_curve_where_the_result_has_it(result_builder: Any) -> None:
    page = Page(render(result_builder([result_builder.claim("genie", "webmd", 8.0, "channel")])))
    assert "at most 21.3\u00a0%" in " ".join(page.words)
    assert "at most 0.433\u00a0%" in " ".join(page.words)
    assert page.text.count("the whole trade-off curve") == 1
    assert page.text.count("no upper limit on ε is known") == 2


def test_a_finding_keeps_its_anchor_when_others_come_and_go_and_its_words_change(result: dict[str, Any]) -> None:
    def anchors(of: dict[str, Any]) -> list[str]:
        return [i for i in Page(render(of)).values("id") if i.startswith("finding-")]

    before = anchors(result)
    assert len(before) == len(set(before)) == sum(len(o["findings"]) for o in result["outcomes"])
    changed = copy.deepcopy(result)
    del changed["outcomes"][0]["findings"][0]
    changed["outcomes"][1]["findings"][0]["summary"] = "Other words, other figures: 7,000."
    changed["outcomes"][1]["findings"][0]["evidence"][0]["where"] = "step_sample.py:999 at 0123abc"
    assert anchors(changed) == [i for i in before if i in anchors(changed)]
    assert len(anchors(changed)) == len(before) - 1


def test_what_could_not_be_judged_is_never_called_clean(result: dict[str, Any]) -> None:
    table = render(result).split('<section id="checks"')[1].split("</section>")[0]
    rows = re.findall(r"<tr>.*?</tr>", table, re.DOTALL)
    (skipped,) = [r for r in rows if "split-overlap" in r]
    (clean,) = [r for r in rows if "delta-too-large" in r]
    (failed,) = [r for r in rows if "metric-not-comparable" in r]
    assert "Not judged" in skipped
    assert "Clean" not in skipped
    assert "Clean" in clean
    assert "KeyError at audit.checks.metric:41" in failed


def test_the_first_screen_says_no_when_a_claim_is_broken(result: dict[str, Any]) -> None:
    broken = sum(c["verdict_level"] == "broken" for c in result["claims"])
    head = render(result).split("</header>")[0]
    of = f"<strong>No.</strong> {broken} of {len(result['claims'])}"
    assert f"{of} ε targets in the released scripts do not hold" in head  # its claims are known from scripts alone
    assert "no finite ε limits what the release can reveal" in head
    worded = {**result, "claims": [{**claim, "wording": "the paper claims"} for claim in result["claims"]]}
    assert f"{of} claims do not hold as worded" in render(worded).split("</header>")[0]


def test_a_result_without_claims_data_or_findings_is_still_a_page(result: dict[str, Any]) -> None:
    empty = {**result, "claims": [], "data": [], "outcomes": []}
    text = Page(render(empty)).text
    assert "No claim to judge." in text
    assert "No data was given" in text


def test_same_result_gives_the_same_bytes(result: dict[str, Any]) -> None:
    reordered = json.loads(json.dumps(result, sort_keys=True))
    assert render(result) == render(copy.deepcopy(result)) == render(reordered)


def test_a_report_on_sixty_claims_stays_under_300_kilobytes(result_builder: Any) -> None:
    claims = [result_builder.claim(f"model-{m}", "webmd", float(e), "channel") for m in range(12) for e in range(1, 6)]
    assert len(claims) == 60
    assert len(render(result_builder(claims)).encode()) < 300_000


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_an_unknown_version_is_refused_in_one_line(result: dict[str, Any], version: Any) -> None:
    with pytest.raises(ReportError, match="expected version 1") as refusal:
        render({**result, "version": version})
    assert "\n" not in str(refusal.value)


def test_a_missing_part_is_named(result: dict[str, Any]) -> None:
    del result["provenance"]
    with pytest.raises(ReportError, match="provenance"):
        render(result)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of every string that somebody else may have written."""
    if isinstance(value, dict):
        return [p for k, v in value.items() for p in leaves(v, (*path, k))]
    if isinstance(value, list):
        return [p for n, v in enumerate(value) for p in leaves(v, (*path, n))]
    return [path] if isinstance(value, str) and value != "inf" and path[-1] not in ENUMERATED else []


ENUMERATED = {
    "severity", "basis", "confidence", "status", "verdict_level", "neighboring_relation", "role", "known", "standing",
}  # fmt: skip
HOSTILE = ["<script>x</script>", '"><img src=x onerror=y>', "</style><svg onload=y>", "' onclick='y", "</title><b>"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_hostile_text_in_any_string_stays_text(result_builder: Any, choice: st.DataObject) -> None:
    result = result_builder([result_builder.claim("genie", "webmd", 8.0, "channel")])
    path = choice.draw(st.sampled_from([p for p in leaves(result) if p[-2:] != ("identity", "verdict")]))
    hostile = choice.draw(st.sampled_from(HOSTILE))
    assert skeleton(with_text(result, path, hostile)) == skeleton(with_text(result, path, "harmless"))


def with_text(result: dict[str, Any], path: tuple[Any, ...], text: str) -> str:
    changed = copy.deepcopy(result)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = text
    return render(changed)


def skeleton(page: str) -> list[tuple[str, list[str]]]:
    """Tags and the names of their attributes: what the browser acts on."""
    return [(tag, sorted(attrs)) for tag, attrs in Page(page).tags]


def test_hostile_text_everywhere_at_once_stays_text(result_builder: Any) -> None:
    result = result_builder([result_builder.claim("genie", "webmd", 8.0, "channel")])
    for path in leaves(result):
        if path[-2:] == ("identity", "verdict") or path[-1] in ("id", "check", "name", "dataset"):
            continue
        place = result
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = HOSTILE[1]
    text = render(result)
    assert HOSTILE[1] not in text
    assert text.count("&gt;&lt;img src=x onerror=y&gt;") > 60
    Page(text)


def test_evidence_from_one_place_names_the_place_once(result: dict[str, Any]) -> None:
    finding = result["outcomes"][0]["findings"][0]
    first = {"source": "accounting", "where": "rung only-here", "what": "the first figure"}
    second, third = {**first, "what": "the second figure"}, {**first, "source": "code"}
    finding["evidence"] = [first, second, third]
    page = render(result)
    assert page.count("rung only-here") == 2  # once for each source
    assert "the second figure" in page
