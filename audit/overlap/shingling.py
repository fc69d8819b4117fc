"""What counts as the same text: normalisation, words or characters, shingles and their Jaccard similarity.

Plain Python, to be read: the kernels compute the same over UTF-8 buffers, and tests hold them to it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence, Set
from dataclasses import dataclass

from audit.overlap.folding import Normalisation, Unit, units_of

REFERENCE = re.compile(r"&(?:#[0-9]{1,8}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});")


@dataclass(frozen=True)
class Shingling:
    """How texts are cut: runs of `size` consecutive words or characters of the normalised text.

    HTML references that end in a semicolon are resolved first. "standard": Unicode compatibility, case, invisible
    signs, white space and punctuation make no difference. "plain": only case and white space make none; among
    words, punctuation still separates.
    """

    unit: Unit = "word"
    size: int = 5
    normalisation: Normalisation = "standard"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("expected a shingle size of at least 1")


WORDS_5 = Shingling()


def resolved(text: str) -> str:
    """`text` with its HTML references ("&amp;", "&#39;") replaced by what they stand for."""
    return REFERENCE.sub(lambda match: html.unescape(match.group()), text) if "&" in text else text


def units(text: str, shingling: Shingling = WORDS_5, *, references: bool = True) -> list[str]:
    """The words of a text, or its characters with one space for each gap between them; ends are stripped.

    `references=False` is for a text whose HTML references are resolved already.
    """
    text = resolved(text) if references else text
    points = [p for c in text for p in units_of(c, shingling.unit, shingling.normalisation)]
    words = "".join(chr(p) if p else " " for p in points).split(" ")
    words = [word for word in words if word]
    return words if shingling.unit == "word" else list(" ".join(words))


def normalise(text: str) -> str:
    """The words of a text, folded and joined by spaces."""
    return " ".join(units(text))


def shingles(text: str, shingling: Shingling = WORDS_5) -> frozenset[tuple[str, ...]]:
    """Runs of `size` consecutive units. A text of fewer units is one shingle; one without units has none."""
    found: Sequence[str] = units(text, shingling)
    last = max(len(found) - shingling.size, 0)
    return frozenset(tuple(found[i : i + shingling.size]) for i in range(last + 1)) if found else frozenset()


def jaccard(a: Set[object], b: Set[object]) -> float:
    """|a ∩ b| / |a ∪ b|; of two empty sets, 0: texts without words have nothing in common."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if shared else 0.0
