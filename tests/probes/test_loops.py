"""The probes against loops written without seeing them: planted defects are caught, sound loops are not flagged."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from loops import defects, sound

from audit.probes.plan import BRIEF, FULL
from audit.probes.suite import probe
from audit.types import ProbeStatus


def violated(make, plan) -> set[str]:
    return {answer.probe for answer in probe(make(), plan) if answer.status is ProbeStatus.VIOLATED}


@pytest.mark.slow
@pytest.mark.parametrize("make", defects.ALL, ids=lambda make: make.__name__)
def test_a_planted_defect_is_caught(make) -> None:
    assert violated(make, FULL)


@pytest.mark.slow
@pytest.mark.parametrize("make", sound.ALL, ids=lambda make: make.__name__)
def test_a_sound_loop_is_not_flagged_and_everything_is_judged(make) -> None:
    answers = probe(make(), replace(BRIEF, seed=1))
    assert [a.probe for a in answers if a.status is not ProbeStatus.HOLDS] == []


@pytest.mark.slow
@pytest.mark.parametrize("make", defects.BEYOND, ids=lambda make: make.__name__)
def test_what_is_beyond_reach_is_as_the_page_says(make) -> None:
    assert violated(make, BRIEF) == set()


def test_the_page_names_every_planted_defect() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "probes.md").read_text(encoding="utf-8")
    table = page.split("## What it catches")[1].split("## In a test suite")[0]
    named = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines() if row.startswith("| ")]
    made = [make.__name__.replace("_", " ") for make in (*defects.ALL, *defects.BEYOND)]
    assert [name for name in named if name not in ("planted defect", "not seen")] == made
