"""Pages in the system's own Chromium; skipped by name where it, Playwright or axe is missing."""

from __future__ import annotations

import copy
import importlib.util
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from audit.diff import compare
from audit.types import AuditResult
from reports import diff_html, html, index
from tests.reports.test_overlap import overlap

SIZES = {390: 844, 768: 1024, 1280: 800, 1920: 1080}


@dataclass
class Watched:
    """A page, everything its console said, and every address it asked for beside its own."""

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def _built() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("made", Path(__file__).parents[1] / "reports" / "conftest.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    built: dict[str, Any] = made.build()
    return built


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A report of 52 claims, an index of two results, and a comparison, as files."""
    result = _built()
    result["overlaps"] = [overlap({50: 3, 80: 2, 100: 13})]
    old = copy.deepcopy(result)
    old["claims"][0]["ladder"][1].update(epsilon_lower=1.0, epsilon_upper=2.0)
    del old["claims"][1], old["outcomes"][0]["findings"][0]
    old["outcomes"][0]["findings"][0]["severity"] = "high"
    other = {**old, "paper": {**old["paper"], "id": "another-2024", "title": "Another paper"}}
    diff = compare(AuditResult.model_validate(old), AuditResult.model_validate(result)).model_dump(mode="json")
    texts = {
        "report": html.render(result),
        "index": index.render([index.Audit(result, "first", "report.html"), index.Audit(other, "second")]),
        "diff": diff_html.render(diff),
    }
    folder = tmp_path_factory.mktemp("pages")
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs chromium on PATH")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra: browser)")
    with sync_api.sync_playwright() as playwright:
        quiet = ["--disable-gpu", "--disable-background-networking"]
        opened = playwright.chromium.launch(executable_path=chromium, args=quiet, timeout=60_000)
        yield opened
        opened.close()


@pytest.fixture
def show(browser: Any, pages: dict[str, Path]) -> Iterator[Callable[..., Watched]]:
    """Opens a page by name: `show("report", width=390, theme="dark", script=True, at="#findings")`."""
    contexts = []

    def opened(name: str, *, width: int = 1280, theme: str = "light", script: bool = True, at: str = "") -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": SIZES[width]},
            color_scheme=theme,
            java_script_enabled=script,
            reduced_motion="reduce",  # so that an anchor is reached at once
        )
        contexts.append(context)
        context.set_default_timeout(20_000)
        watched = Watched(context.new_page())
        address = pages[name].as_uri()
        watched.page.on("console", lambda message: watched.console.append(message.text))
        watched.page.on("pageerror", lambda error: watched.console.append(str(error)))
        watched.page.on("request", lambda request: watched.requests.append(request.url.partition("#")[0]))
        watched.page.goto(address + at)
        watched.requests.remove(address)
        return watched

    yield opened
    for context in contexts:
        context.close()
