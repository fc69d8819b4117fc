"""The Markdown says what the page says, and nobody else's text becomes markup."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from reports.html import render as page_of
from reports.index import Audit
from reports.index import render as index
from reports.md import inert, render

Json = dict[str, Any]


def texts(markdown: str) -> str:
    """The text a reader sees, by an independent parser."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    words = [child.content for token in tokens for child in token.children or () if child.type == "text"]
    return " ".join(" ".join(words).split())


def test_answer_findings_skips_and_citation_are_there(result: Json) -> None:
    shown = texts(render(result))
    assert "No." in shown
    for outcome in result["outcomes"]:
        for finding in outcome["findings"]:
            assert finding["summary"][:40].split("<")[0] in shown
            assert finding["remedy"] in shown
        for skip in outcome["skips"]:
            assert skip["reason"] in shown
    for claim in result["claims"]:
        assert claim["label"] in shown


def test_every_row_of_every_table_has_as_many_cells_as_its_head(result: Json) -> None:
    result["claims"][0]["label"] = "a | b"
    for block in re.findall(r"(?:^\|.*\n)+", render(result) + "\n", re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


@given(st.text(max_size=80))
def test_any_text_is_read_back_as_text(text: str) -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).parseInline("x" + inert(text) + "x")
    kinds = {child.type for token in tokens for child in token.children or ()}
    assert kinds <= {"text", "text_special"}


@pytest.mark.parametrize(
    "hostile", ["<img src=x onerror=y>", "[x](javascript:y)", "# head", "`code`", "@somebody", "**b**"]
)
def test_hostile_text_brings_no_markup(hostile: str, result_builder: Any) -> None:
    result = result_builder([result_builder.claim("genie", "webmd", 8.0, "channel")])
    result["paper"]["title"] = result["outcomes"][0]["findings"][0]["summary"] = hostile
    result["provenance"]["command"] = f"audit run '```{hostile}'"
    document = render(result)
    bare = re.compile(r"(?<!\\)" + re.escape(hostile))
    assert not bare.search(document.replace(f"audit run '```{hostile}'", ""))
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(document)
    assert "<img" not in html
    assert "javascript:y" not in re.sub(r"<code.*?</code>", "", html, flags=re.DOTALL).split("href=")[-1][:20]
    assert html.count("<h1>") == 1


def test_same_result_gives_the_same_bytes_and_an_empty_one_a_document(result: Json) -> None:
    assert render(result) == render(json.loads(json.dumps(result, sort_keys=True)))
    assert "No claim to judge" in render({**result, "claims": [], "data": [], "outcomes": []})


def test_a_waived_finding_is_marked_with_reason_and_author_on_every_page(result_builder: Any) -> None:
    claim = result_builder.claim("bart", "webmd", 8.0, "none")
    claim.update(verdict_level="holds", verdict="But for one it holds.", waived=["unaccounted-data-dependent-state"])
    result = result_builder([claim])
    result["outcomes"][0]["waiver"] = {
        "check": "unaccounted-data-dependent-state",
        "reason": "<b>left out</b> before release",
        "author": "the authors",
        "expires": "2027-01-31",
    }
    shown = texts(render(result))
    assert "Waived until 2027-01-31 by the authors: <b>left out</b> before release" in shown
    assert "holds, as far as checked, but for 1 waived" in shown
    said = f"The claim holds, as far as checked, but for what is waived of high severity: {claim['waived'][0]}"
    assert said in shown
    for page in (page_of(result), index([Audit(result, "a", "a.html")])):
        words = " ".join(re.sub(r"<[^>]*>", " ", page.split("<body>")[1]).split())
        assert said in words
        assert "No check found anything" not in words.split("Words and limits")[0]
        assert words.count("Holds, as far as checked, but for 1 waived") == 2
        assert "Holds, as far as checked: 1, but for what is waived" in words
    assert "High: 1, waived" in page_of(result)
    assert 'aria-label="found, high, waived">Hw<' in index([Audit(result, "a", "a.html")])
