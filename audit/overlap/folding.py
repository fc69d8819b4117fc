"""What each character becomes before texts are compared, and the same as a table for the kernels."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Normalisation = Literal["standard", "plain"]
Unit = Literal["word", "char"]

CODE_POINTS = 0x32400  # above lie tags, private use and what is not assigned; all of it counts as a space
EXPANDS = 1 << 31  # an entry of the table with this bit is a place in `expansions`


@lru_cache(maxsize=4096)
def folded(character: str, normalisation: Normalisation) -> str:
    """The character without its case; "standard" also without compatibility distinctions and invisible signs.

    "standard" is the decomposition of Unicode's NFKC case folding, so that texts which that makes equal become
    equal here (but for the order of several accents on one letter); "plain" is `str.lower`.
    """
    if ord(character) >= CODE_POINTS or unicodedata.category(character) in ("Cn", "Co", "Cs"):
        return " "
    if normalisation == "plain":
        return character.lower()
    # soft hyphens, zero-width joiners and spaces, directional marks, variation selectors
    if unicodedata.category(character) == "Cf" or 0xFE00 <= ord(character) <= 0xFE0F:
        return ""
    compatible = unicodedata.normalize("NFKD", character)
    return unicodedata.normalize("NFKD", compatible.casefold())


@lru_cache(maxsize=4096)
def in_word(character: str, normalisation: Normalisation) -> bool:
    r"""Is this folded character part of a word? As `\w` says; "standard" counts accents and vowel signs too."""
    return character.isalnum() or character == "_" or (
        normalisation == "standard" and unicodedata.category(character)[0] == "M"
    )


@dataclass(frozen=True)
class Table:
    """`folded[code point]` is what a character becomes, 0 where it ends a word (or, for characters, is a space).

    An entry with `EXPANDS` set says where in `expansions` the number of code points and then they stand.
    """

    folded: npt.NDArray[np.uint32]
    expansions: npt.NDArray[np.uint32]


def units_of(character: str, unit: Unit, normalisation: Normalisation) -> tuple[int, ...]:
    """Code points that the character adds to a text's units; 0 is a gap.

    In words, all that is in no word is a gap. Among characters, white space is a gap, and so is punctuation
    under "standard".
    """
    kept = []
    for part in folded(character, normalisation):
        if unit == "word" or normalisation == "standard":
            kept.append(ord(part) if in_word(part, normalisation) else 0)
        else:
            kept.append(0 if part.isspace() else ord(part))
    return tuple(kept)


@cache
def table(unit: Unit, normalisation: Normalisation) -> Table:
    """The table of every code point below `CODE_POINTS`; one more entry stands for all above."""
    import numpy as np

    entries = np.zeros(CODE_POINTS + 1, np.uint32)
    expansions: list[int] = []
    for point in range(CODE_POINTS):
        character = chr(point)
        is_hangul = 0xAC00 <= point < 0xD7A4  # decomposed by rule
        if unicodedata.category(character) == "Lo" and not (is_hangul or unicodedata.decomposition(character)):
            entries[point] = point
            continue
        units = units_of(character, unit, normalisation)
        if len(units) == 1:
            entries[point] = units[0]
        else:
            entries[point] = EXPANDS | len(expansions)
            expansions += [len(units), *units]
    return Table(entries, np.array(expansions or [0], np.uint32))
