"""Real texts, and texts of all scripts for property tests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

# Words that normalisation must bring together or keep apart, and anything else that Unicode holds.
LATIN = ["tea", "TEA", "ｔｅａ", "café", "cafe\u0301", "CAFÉ", "straße", "STRASSE", "ﬁne", "½", "so\u00adft", "İ"]
OTHERS = ["ﷺ", "…", "हिन्दी", "茶を飲む", "각", "\u1100\u1161\u11a8", "\u200d", "👍🏽", "a_b", "3.5", "\t", "\n "]
REFERENCES = ["&amp;", "&eacute;", "&#39;", "&x;"]
SPELLINGS = st.sampled_from([*LATIN, *OTHERS, *REFERENCES])
ANYTHING = st.lists(SPELLINGS | st.text(max_size=6) | st.text("ab ,.&;", max_size=4), max_size=12).map("".join)


@pytest.fixture(scope="session")
def column(test_data: Path) -> Callable[[str, str], list[str]]:
    """A column of one of the real files."""

    def read(name: str, key: str) -> list[str]:
        with gzip.open(test_data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            return [json.loads(line)[key] for line in lines]

    return read


@pytest.fixture(scope="session")
def true_pairs(test_data: Path) -> Callable[[str, float], set[tuple[int, int]]]:
    """Pairs of rows at or above a Jaccard similarity, from an exact join without hashing."""

    def read(name: str, threshold: float) -> set[tuple[int, int]]:
        with gzip.open(test_data / "truth" / f"{name}.pairs.tsv.gz", "rt") as lines:
            fields = [line.split("\t") for line in lines if line[0].isdigit()]
        return {(int(a), int(b)) for a, b, jaccard, _ in fields if float(jaccard) >= threshold}

    return read
