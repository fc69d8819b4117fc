"""What counts as the same text: against Unicode's own normal forms, and the kernels against plain Python."""

from __future__ import annotations

import html
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audit.overlap import tokens
from audit.overlap.folding import CODE_POINTS, EXPANDS, table, units_of
from audit.overlap.shingling import Shingling, jaccard, normalise, resolved, shingles, units
from audit.overlap.texts import Texts, from_strings

from .conftest import ANYTHING

SETTINGS = [Shingling(unit, 3, form) for unit in ("word", "char") for form in ("standard", "plain")]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Tom &amp; Ann", "tom & ann"),
        ("ﬁne  ＡＢＣ", "fine abc"),
        ("STRASSE", "straße"),
        ("  two\n\tlines ", "two lines"),
        ("it&#39;s", "It's"),
        ("caf\u00e9", "cafe\u0301"),
        ("con\u00adtent", "content"),
        ("\uac01", "\u1100\u1161\u11a8"),
        ("good, tea!", "Good tea"),
    ],
)
def test_spellings_of_the_same_text_are_normalised_alike(text: str, same: str) -> None:
    assert normalise(text) == normalise(same)


def test_words_still_tell_texts_apart() -> None:
    assert len({normalise(t) for t in ("good tea", "tea good", "goodtea", "good té", "good te")}) == 5


def test_under_plain_punctuation_is_kept_among_characters_and_accents_matter() -> None:
    plain = Shingling("char", 5, "plain")
    assert "".join(units(" Ok...  NOW &lt;3 ", plain)) == "ok... now <3"
    assert units("caf\u00e9", plain) != units("cafe\u0301", plain)


@given(ANYTHING)
def test_texts_that_unicode_calls_compatible_are_the_same(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFKC", "NFKD"))
    assert normalise(composed) == normalise(decomposed)


@given(ANYTHING)
def test_case_makes_no_difference_and_normalising_twice_changes_nothing(text: str) -> None:
    assert normalise(text.casefold()) == normalise(text)
    once = re.sub("[&;]", " ", normalise(text))
    assert normalise(once) == once


@given(st.text("abé &#;x39l\"<", max_size=30))
def test_references_with_a_semicolon_are_resolved_as_html_does(text: str) -> None:
    closed = re.sub(r"&(?![#\w]+;)", "+", text)  # html.unescape also reads some that are left open
    wanted = html.unescape(closed)
    assert resolved(closed) == wanted or "&" in wanted


def test_a_text_shorter_than_a_shingle_is_one_shingle_and_no_words_are_none() -> None:
    assert shingles("one two") == {("one", "two")}
    assert shingles("a b c d", Shingling("word", 3)) == {("a", "b", "c"), ("b", "c", "d")}
    assert shingles("?! …") == frozenset()


def test_a_language_without_spaces_is_cut_into_characters() -> None:
    assert jaccard(shingles("茶を飲みます"), shingles("茶を飲みました")) == 0
    char = Shingling("char", 2)
    assert jaccard(shingles("茶を飲みます", char), shingles("茶を飲みました", char)) == pytest.approx(4 / 7)


@given(st.frozensets(st.sampled_from("abcdef")), st.frozensets(st.sampled_from("abcdef")))
def test_jaccard_is_shared_over_all(a: frozenset[str], b: frozenset[str]) -> None:
    expected = len(a & b) / len(a | b) if a | b else 0
    assert jaccard(a, b) == pytest.approx(expected)


# ---------------------------------------------------------------- the kernels


@pytest.mark.parametrize("shingling", SETTINGS, ids=str)
def test_the_table_says_what_plain_python_says_of_every_character(shingling: Shingling) -> None:
    chars = table(shingling.unit, shingling.normalisation)
    for point in range(CODE_POINTS):
        entry = int(chars.folded[point])
        place = entry - EXPANDS
        here = (entry,) if place < 0 else chars.expansions[place + 1 : place + 1 + int(chars.expansions[place])]
        assert tuple(here) == units_of(chr(point), shingling.unit, shingling.normalisation), hex(point)


def cut(texts: Texts, shingling: Shingling) -> list[list[tuple[int, int, int]]]:
    """(hash, start, end) of each unit of each text, from the kernel."""
    chars, by_word, found = table(shingling.unit, shingling.normalisation), shingling.unit == "word", []
    arguments = (chars.folded, chars.expansions)
    size = tokens.room(by_word, texts.data, texts.offsets, 0, len(texts), *arguments)
    for begin, end in zip(texts.offsets, texts.offsets[1:], strict=False):
        out = np.empty(size, np.uint64), np.empty(size, np.int64), np.empty(size, np.int64)
        count = tokens.units(by_word, texts.data, begin, end, *arguments, *out)
        assert count <= size
        hashes, starts, ends = (array[:count] for array in out)
        found.append(list(zip(hashes.tolist(), (starts - begin).tolist(), (ends - begin).tolist(), strict=True)))
    return found


@pytest.mark.parametrize("shingling", SETTINGS, ids=str)
@settings(deadline=None)
@given(texts=st.lists(ANYTHING, min_size=1, max_size=6))
def test_kernels_cut_texts_into_the_units_of_plain_python(shingling: Shingling, texts: list[str]) -> None:
    expected = [units(text, shingling) for text in texts]
    found = cut(from_strings(texts), shingling)
    assert [len(row) for row in found] == [len(row) for row in expected]
    names: dict[int, str] = {}
    for row, placed in zip(expected, found, strict=True):
        for unit, (value, _, _) in zip(row, placed, strict=True):
            assert names.setdefault(value, unit) == unit
    assert len(set(names.values())) == len(names)


@settings(deadline=None)
@given(ANYTHING)
def test_the_bytes_of_a_word_hold_that_word(text: str) -> None:
    texts = from_strings([text])
    data, words = texts.bytes_of(0), units(text)
    for word, (_, start, end) in zip(words, cut(texts, Shingling())[0], strict=True):
        assert word in units(data[start:end].decode(), references=False)


@settings(deadline=None)
@example("caf&eacute; &amp; &frac12; &eacute;tude t&ecirc;te")
@given(ANYTHING)
def test_places_lead_back_to_the_source_text(text: str) -> None:
    """Where references were resolved, what stands at the source's bytes still reads the same."""
    texts = from_strings([text])
    source = text.encode("utf-8", "replace")
    for _, start, end in cut(texts, Shingling())[0]:
        here = source[slice(*texts.source_span(0, start, end))].decode()
        assert units(here) == units(texts.bytes_of(0)[start:end].decode(), references=False)


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_bytes_that_are_no_utf8_are_read_without_harm(data: bytes) -> None:
    texts = Texts(np.frombuffer(data, np.uint8), np.array([0, len(data)]))
    for row in cut(texts, Shingling()):
        assert all(0 <= start < end <= len(data) for _, start, end in row)


def test_no_character_makes_more_units_than_there_is_room_for() -> None:
    dense = [chr(p) for p in range(CODE_POINTS) if len(units_of(chr(p), "char", "standard")) > 1]
    assert len(dense) > 1000
    texts = from_strings([character * 5 for character in dense])
    for shingling in SETTINGS:
        chars = table(shingling.unit, shingling.normalisation)
        for i, row in enumerate(cut(texts, shingling)):
            assert len(row) <= tokens.room(
                shingling.unit == "word", texts.data, texts.offsets, i, i + 1, chars.folded, chars.expansions
            )
