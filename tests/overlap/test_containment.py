"""Private texts inside longer ones: the kernels against plain Python, spans against the source, what is not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.overlap.containment import found_in
from audit.overlap.index import build
from audit.overlap.scan import common_subsequence
from audit.overlap.shingling import Shingling, units
from audit.overlap.texts import Texts, from_strings

from . import oracle

FEW = [f"w{i}" for i in range(7)]
SENTENCES = st.lists(st.sampled_from(FEW), min_size=6, max_size=30).map(" ".join)
RECORD = "the soup was cold but the waiter brought us another one without being asked twice"


def page(*parts: str) -> str:
    filler = " ".join(f"x{i}" for i in range(300))
    return f" {filler} ".join(["", *parts, ""])


def matches(private: list[str], texts: list[str], **options: float) -> dict[tuple[int, int], float]:
    found = found_in(build(from_strings(private)), from_strings(texts), **options)
    return {(int(r), int(g)): float(s) for r, g, s in zip(found.row, found.group, found.score, strict=True)}


def length(a: list[int], b: list[int]) -> int:
    hashes = [np.array([(v + 1) * 0x9E3779B97F4A7C15 % 2**64 for v in side], np.uint64) for side in (a, b)]
    slots, masks = np.empty(4, np.int64), np.empty(4, np.uint64)
    return int(common_subsequence(hashes[0], len(a), hashes[1], 0, len(b), slots, masks)[0])


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), max_size=200), st.lists(st.integers(0, 6), max_size=150))
def test_the_bit_vectors_find_the_longest_common_subsequence(a: list[int], b: list[int]) -> None:
    assert length(a, b) == oracle.common_subsequence([str(v) for v in a], [str(v) for v in b])


@pytest.mark.parametrize("between", [0, 62, 63, 64, 126, 127, 128, 191, 192, 200])
def test_a_word_counts_once_however_far_apart_it_stands_in_the_record(between: int) -> None:
    """The carry passes through whole machine words in which nothing matches."""
    record = [0, *range(1, between + 1), 0]
    assert length(record, [0]) == 1
    assert length(record, [0, 0]) == 2
    assert length(record, [0, between, 0, 0]) == (3 if between else 2)


@pytest.mark.parametrize("size", [2, 3, 5])
@settings(deadline=None, max_examples=60)
@given(st.lists(SENTENCES, min_size=1, max_size=5, unique=True), st.lists(SENTENCES, max_size=4), st.randoms())
def test_candidates_are_those_of_plain_python(size: int, records: list[str], texts: list[str], random) -> None:  # type: ignore[no-untyped-def]
    shingling = Shingling("word", size)
    halves = [" ".join(record.split()[: len(record.split()) // 2 + 2]) for record in records]
    texts = [*texts, " ".join(random.sample([*records, *halves, *texts], 2)) if records else ""]
    index = build(from_strings(records), shingling)
    found = found_in(index, from_strings(texts), 0.3)
    row_of = {int(group): row for row, group in enumerate(index.group)}
    got = {
        (int(row), row_of[int(group)]): score
        for row, group, score in zip(found.row, found.group, found.score, strict=True)
    }
    wanted = oracle.candidates(records, texts, shingling, coverage=0.3)
    whole = {(t, r) for t, text in enumerate(texts) for r, record in enumerate(records) if text == record}
    assert set(got) == set(wanted) | whole
    assert all(got[pair] == pytest.approx(1.0 if pair in whole else wanted[pair]) for pair in got)


def test_a_record_inside_a_page_is_found_whatever_its_case_spaces_and_punctuation() -> None:
    changed = RECORD.upper().replace(" ", " \n ").replace("COLD", "cold,")
    assert matches([RECORD], [page(RECORD), page(changed), page("other words")]) == {(0, 0): 1.0, (1, 0): 1.0}


@pytest.mark.parametrize("before", ["", "é ", "&amp; ", "&eacute;&quot; ", "茶 “quoted” "])
def test_spans_are_bytes_of_the_source_text(before: str) -> None:
    changed = RECORD.replace("waiter", "young waiter").replace("cold", "c&ouml;ld")
    for text, wanted in ((RECORD, RECORD), (changed, changed)):
        source = page(f"{before}{text}", "and more &lt;b&gt;")
        record = RECORD.replace("cold", "cöld") if text == changed else RECORD
        found = found_in(build(from_strings([record])), from_strings([source]))
        start, end = found.spans[0]
        assert source.encode()[start:end].decode() == wanted


def test_half_of_a_record_is_found_and_a_tenth_is_not() -> None:
    words = [f"u{i}" for i in range(100)]
    half, tenth = " ".join(words[20:70]), " ".join(words[20:30])
    assert matches([" ".join(words)], [page(half), page(tenth)]) == {(0, 0): 0.5}


def test_a_short_record_is_found_only_as_a_whole_text() -> None:
    assert matches(["Thank you!"], [page("thank you"), "thank  you", "thank you all"]) == {(1, 0): 1.0}


def test_equal_private_records_do_not_hide_each_other() -> None:
    """A shingle in more than 64 records is a common phrase; copies of one record are one record."""
    assert (0, 0) in matches([RECORD] * 200, [page(RECORD)])


def test_a_phrase_of_many_records_is_no_evidence_of_any_of_them() -> None:
    private = [f"dear customer we thank you for your order number {i} k{i} l{i} m{i}" for i in range(100)]
    index = build(from_strings(private))
    found = found_in(index, from_strings([page("dear customer we thank you for your order number 7 k7 l7 m7")]))
    assert [int(group) for group in found.group] == [int(index.group[7])]


def test_texts_without_words_and_empty_sides_match_nothing() -> None:
    assert matches(["", "?!"], ["", "?!", RECORD]) == {}
    assert matches([], [RECORD]) == {}
    assert matches([RECORD], []) == {}


def test_the_same_pairs_are_found_in_batches_of_any_size() -> None:
    private = [f"{RECORD} {i} a{i} b{i} c{i} d{i}" for i in range(20)]
    texts = [page(*private[i : i + 3]) for i in range(20)]
    index = build(from_strings(private))
    whole = found_in(index, from_strings(texts))
    single = [found_in(index, from_strings([text])) for text in texts]
    assert [int(g) for f in single for g in f.group] == whole.group.tolist()
    assert np.concatenate([f.spans for f in single]).tolist() == whole.spans.tolist()


def test_characters_are_searched_where_words_have_no_spaces() -> None:
    private, shingling = "料理は冷たかったけれど店員さんはとても親切でした", Shingling("char", 4)
    index = build(from_strings([private]), shingling)
    texts = [f"昨日の夜、友達と駅前に行った。{private}。また行きたいと思います。", "全然関係のない文章です。" * 5]
    found = found_in(index, from_strings(texts))
    assert (found.row.tolist(), found.score.tolist(), found.verified.tolist()) == ([0], [1.0], [True])


def test_sampled_shingles_keep_short_records_and_lose_little_of_long_ones() -> None:
    random = np.random.default_rng(3)
    short = [" ".join(f"s{v}" for v in random.integers(0, 9999, 20)) for _ in range(50)]
    long = [" ".join(f"t{v}" for v in random.integers(0, 9999, 150)) for _ in range(50)]
    index, full = (build(from_strings([*short, *long]), sample=s) for s in (4, 1))
    assert index.kept[index.group[:50]].tolist() == full.kept[full.group[:50]].tolist()
    assert 0.15 < index.kept[index.group[50:]].sum() / full.kept[full.group[50:]].sum() < 0.35
    found = found_in(index, from_strings([page(text) for text in [*short, *long]]))
    assert len(found.row) == 100


def test_the_index_takes_at_most_a_kilobyte_and_a_half_for_a_record_of_84_words() -> None:
    random = np.random.default_rng(1)
    records = [" ".join(f"word{v}" for v in random.integers(0, 999, 84)) for _ in range(5000)]
    index = build(from_strings(records))
    text = sum(map(len, records))
    assert (index.bytes - text) / len(records) <= 1500


def test_candidates_beyond_the_room_of_one_call_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    private = [f"{' '.join(f'w{i}x{j}' for j in range(12))}" for i in range(40)]
    texts = [page(*private), page(*private[:5])]
    wanted = matches(private, texts)
    monkeypatch.setattr("audit.overlap.containment.ROOM", 3)
    assert matches(private, texts) == wanted
    assert len(wanted) == 45


def test_a_result_and_an_index_hold_rows_and_places_and_the_index_alone_the_texts() -> None:
    index = build(from_strings(["my secret is out of the box for ever"]))
    found = found_in(index, from_strings(["my secret is out of the box for ever"]))
    assert "secret" not in repr(found)
    assert units(index.texts.bytes_of(0).decode())[1] == "secret"


def test_buffers_may_begin_anywhere() -> None:
    """Arrow slices share one buffer with what lies around them."""
    data = f"zzz{RECORD}{page(RECORD)}yyy".encode()
    start = 3 + len(RECORD)
    texts = Texts(np.frombuffer(data, np.uint8), np.array([start, len(data) - 3]))
    found = found_in(build(from_strings([RECORD])), texts)
    begin, end = found.spans[0]
    assert page(RECORD)[begin:end] == RECORD
