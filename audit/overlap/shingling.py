"""What counts as the same text: normalisation, words, shingles and their Jaccard similarity."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Set

_WORD = re.compile(r"\w+")


def normalise(text: str) -> str:
    """HTML entities resolved, Unicode NFKC, case folded, runs of white space made one space, ends stripped.

    Punctuation stays. Idempotent but for text that spells out an entity twice over ("&amp;amp;").
    """
    return " ".join(unicodedata.normalize("NFKC", html.unescape(text)).casefold().split())


def shingles(text: str, size: int) -> frozenset[str]:
    """Runs of `size` consecutive words (`\\w+`) of a normalised text.

    A text of fewer words is one shingle, so it only equals a text of the same words; without a word, none.
    """
    words = _WORD.findall(text)
    last = max(len(words) - size, 0)
    return frozenset(" ".join(words[i : i + size]) for i in range(last + 1)) if words else frozenset()


def jaccard(a: Set[str], b: Set[str]) -> float:
    """|a ∩ b| / |a ∪ b|; of two empty sets, 0: texts without words have nothing in common."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if shared else 0.0
