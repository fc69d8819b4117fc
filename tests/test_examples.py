"""The rendered reports in reports/examples are those of the built-in papers as they stand.

After a change that moves them: AUDIT_UPDATE_EXAMPLES=1 pytest -m slow tests/test_examples.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from audit import run_audit
from audit.cards import built_in_cards
from audit.result import to_json
from audit.types import Provenance
from reports.html import render

FOLDER = Path(__file__).resolve().parent.parent / "reports" / "examples"
EXAMPLES = ["ochs-2025", "yue-2023"]
PROVENANCE = Provenance(
    command="audit run prior-work/PAPER (an example: versions, commit and time are left out)",
    versions={},
    commit=None,
    started="not kept",
    seconds=0.0,
    inputs={},
)


@pytest.mark.slow
@pytest.mark.parametrize("paper", EXAMPLES)
def test_the_example_report_is_current(paper: str) -> None:
    result = run_audit(f"prior-work/{paper}").model_copy(update={"provenance": PROVENANCE})
    page = render(json.loads(to_json(result)))
    path = FOLDER / f"{paper}.html"
    if os.environ.get("AUDIT_UPDATE_EXAMPLES"):
        path.write_text(page, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == page
    assert len(page.encode()) < 300_000


def test_the_examples_are_those_of_two_built_in_papers() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.html")) == EXAMPLES
    assert set(EXAMPLES) <= set(built_in_cards())
