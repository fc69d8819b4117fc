"""Pages as a browser shows them: quiet, closed to the network, accessible by keyboard, on paper, on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

NAMES = ("report", "index", "diff")
OPEN_ALL = "document.querySelectorAll('details').forEach(d => d.open = true)"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_violation_no_complaint_and_no_request(name: str, theme: str, show: Callable[..., Any]) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    watched = show(name, theme=theme)
    watched.page.evaluate(OPEN_ALL)
    found = axe.Axe().run(watched.page).response["violations"]
    assert [(v["impact"], v["id"], n["html"][:150]) for v in found for n in v["nodes"]] == []
    assert watched.console == []
    assert watched.requests == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_nothing_sticks_out_of_the_page(name: str, width: int, show: Callable[..., Any]) -> None:
    page = show(name, width=width).page
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_the_first_screen_answers_both_questions(width: int, show: Callable[..., Any]) -> None:
    page = show("report", width=width).page
    height = page.viewport_size["height"]
    for selector in (".answer strong", ".figure li:first-child .big", ".figure li:last-child .big"):
        box = page.locator(selector).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= height, selector
        assert box["x"] + box["width"] <= width, selector
    if width >= 1280:
        assert page.locator(".ladder.hero").bounding_box()["y"] < height


@pytest.mark.parametrize("width", [390, 1280])
def test_the_outline_stays_in_view_and_covers_no_anchor(width: int, show: Callable[..., Any]) -> None:
    page = show("report", width=width, at="#checks").page
    bar = page.locator("nav").bounding_box()
    assert 0 <= bar["y"] < 10
    heading = page.locator("#h-checks").bounding_box()
    if width == 390:
        assert heading["y"] >= bar["y"] + bar["height"] - 1


def test_an_anchor_inside_folded_evidence_opens_it(show: Callable[..., Any]) -> None:
    page = show("report").page
    folded = page.evaluate("document.querySelector('.verdicts li[id]').id")
    assert not page.locator(f"[id='{folded}']").is_visible()
    page.goto(page.url + f"#{folded}")
    page.locator(f"[id='{folded}']").wait_for(state="visible")


def test_every_finding_can_be_linked_to(show: Callable[..., Any]) -> None:
    page = show("report").page
    links = page.locator(".finding .anchor")
    assert links.count() == page.locator(".finding").count() > 0
    links.nth(2).click()
    assert re.search(r"#finding-[a-z-]+-[0-9a-f]{8}$", page.url)


def test_the_keyboard_skips_the_outline_and_opens_evidence(show: Callable[..., Any]) -> None:
    page = show("report").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    summary = page.locator(".finding summary", has_text="Evidence").first
    summary.focus()
    page.keyboard.press("Enter")
    assert summary.evaluate("node => node.parentElement.open")
    outline = summary.evaluate("node => getComputedStyle(node).outlineStyle")
    assert outline != "none"


def test_one_click_selects_the_whole_citation_and_command(show: Callable[..., Any]) -> None:
    page = show("report").page
    for box in page.locator("pre.copy").all():
        box.click(position={"x": 30, "y": 14})
        assert page.evaluate("getSelection().toString()").strip() == box.inner_text().strip()


def test_paper_shows_the_evidence_without_the_outline(show: Callable[..., Any]) -> None:
    page = show("report").page
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator(".finding .evidence").first.is_visible()
    assert not page.locator(".verdicts").first.is_visible()
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) >= 4


def column(page: Any, table: str, place: int) -> list[str]:
    return [text.strip() for text in page.locator(f"{table} tbody tr > :nth-child({place})").all_inner_texts()]


def test_a_click_on_a_heading_sorts_by_number_and_back(show: Callable[..., Any]) -> None:
    page = show("index").page
    table, head = "#claims table", page.locator("#claims thead th").nth(1)
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    rising = [float(text) for text in column(page, table, 2)]
    assert rising == sorted(rising)
    assert len(set(rising)) > 1
    head.get_by_role("button").press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(page, table, 2)] == rising[::-1]


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_the_index_hides_nothing_behind_a_side_scroll(width: int, show: Callable[..., Any]) -> None:
    page = show("index", width=width).page
    for table in page.locator(".scroll").all():
        assert table.evaluate("node => node.scrollWidth <= node.clientWidth"), table.get_attribute("aria-label")
    rows = page.locator("#papers tbody tr, #claims tbody tr")
    assert rows.count() > 2
    for cell in rows.locator("td[data-label], .chip").all():
        box = cell.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width


def test_no_figure_of_the_report_hides_behind_a_side_scroll_on_a_phone(show: Callable[..., Any]) -> None:
    page = show("report", width=390).page
    page.evaluate(OPEN_ALL)
    cells = page.locator(".meaning :is(th, td), .ladders :is(th, td), .grid.cards :is(th, td)")
    boxes = [box for cell in cells.all() if (box := cell.bounding_box())]
    assert len(boxes) > 100
    assert max(box["x"] + box["width"] for box in boxes) <= 390


def test_figures_on_a_phone_say_what_they_are(show: Callable[..., Any]) -> None:
    page = show("index", width=390).page
    labels = page.locator("#papers tbody tr").first.locator("td[data-label]")
    shown = [cell.evaluate("node => getComputedStyle(node, '::before').content") for cell in labels.all()]
    assert shown == ['"claimed ε"', '"for one person"', '"corrected"']


def test_without_script_the_index_is_whole_and_in_order(show: Callable[..., Any]) -> None:
    with_script, without = show("index").page, show("index", script=False).page
    for table in ("#papers table", "#checks table", "#claims table"):
        assert column(without, table, 1) == column(with_script, table, 1)
    assert without.locator("button").count() == 0
