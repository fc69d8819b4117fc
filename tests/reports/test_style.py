"""Text and meaning-carrying colours keep WCAG AA contrast in both themes."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

CSS = (files("reports") / "templates" / "style.css").read_text(encoding="utf-8")
TEXT = ("ink", "soft", "blue", "rust", "ochre", "green")
GROUNDS = ("paper", "wash")


def themes() -> dict[str, dict[str, str]]:
    blocks = [
        dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6});", block)) for block in re.findall(r":root \{(.*?)\}", CSS, re.S)
    ]
    light, dark, printed = blocks
    return {"light": light, "dark": dark, "print": printed}


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    channels = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_colours_reach_4_5_to_1(theme: str) -> None:
    colours = themes()[theme]
    ratios = {(t, g): contrast(colours[t], colours[g]) for t in TEXT for g in GROUNDS}
    assert {pair: r for pair, r in ratios.items() if r < 4.5} == {}


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_marks_reach_3_to_1_on_every_zone_of_the_axis(theme: str) -> None:
    colours = themes()[theme]
    ratios = {
        (m, g): contrast(colours[m], colours[g]) for m in ("blue", "rust", "ink") for g in ("paper", "vain", "endless")
    }
    assert {pair: r for pair, r in ratios.items() if r < 3} == {}
