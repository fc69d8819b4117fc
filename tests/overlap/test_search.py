"""Overlap: exact and near matches against brute force and against the truth of an exact join on real data."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.overlap.search import duplicates_within, exact_overlap, near_overlap
from audit.records import open_records

WORDS = st.lists(st.sampled_from(["tea", "is", "hot", "not", "cold"]), max_size=9)
TEXTS = st.lists(WORDS.map(" ".join), max_size=12)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_exact_matches_are_those_with_an_equal_text(private: list[str], corpus: list[str]) -> None:
    result = exact_overlap(private, iter(corpus))
    assert set(result.exact_rows) == {i for i, text in enumerate(private) if text and text in corpus}
    assert (result.private_records, result.corpus_records) == (len(private), len(corpus))
    assert result.without_words == private.count("")


@settings(max_examples=50, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from([0.3, 0.5, 0.8]))
def test_a_near_match_is_never_wrong(private: list[str], corpus: list[str], threshold: float) -> None:
    result = near_overlap(private, corpus, threshold=threshold, shingle_size=2)
    assert set(result.exact_rows) == set(exact_overlap(private, corpus).exact_rows)
    assert not set(result.near_rows) & set(result.exact_rows)
    for row in result.near_rows:
        assert best_similarity(private[row], corpus, 2) >= threshold


def best_similarity(text: str, corpus: list[str], size: int) -> float:
    words = [text.split(), *(other.split() for other in corpus)]
    sets = [{tuple(w[i : i + size]) for i in range(max(len(w) - size, 0) + 1)} if w else set() for w in words]
    return max(
        (len(sets[0] & other) / len(sets[0] | other) for other in sets[1:] if sets[0] & other), default=0.0
    )


def test_a_long_text_with_one_word_changed_is_near_and_not_exact() -> None:
    words = [f"w{i}" for i in range(100)]
    changed = " ".join([*words[:50], "other", *words[51:]])  # 91 of 101 shingles shared
    result = near_overlap([" ".join(words), "quite another text of seven words here"], [changed])
    assert (result.matched_exact, result.near_rows, result.share) == (0, (0,), 0.5)


def test_at_a_threshold_of_one_only_the_same_words_match() -> None:
    words = [f"w{i}" for i in range(100)]
    result = near_overlap([" ".join(words), " ".join(words[:-1])], [", ".join(words)], threshold=1)
    assert (result.exact_rows, result.near_rows) == ((0,), ())


def test_a_private_text_inside_a_longer_document_is_not_seen() -> None:
    record = " ".join(f"w{i}" for i in range(40))
    assert near_overlap([record], [record + " " + " ".join(f"x{i}" for i in range(400))]).matched == 0


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": 1.1}, {"shingle_size": 0}, {"num_perm": 1}]
)
def test_settings_without_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        near_overlap([], [], **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected"):
        duplicates_within([], **wrong)  # type: ignore[arg-type]


def test_duplicates_within_lists_every_copy_and_no_original_alone() -> None:
    long = [f"w{i}" for i in range(100)]
    texts = [
        "Tea is hot",
        "alone",
        " ".join(long),
        "tea  IS hot",
        " ".join([*long[:50], "other", *long[51:]]),
        "",
        "",
    ]
    result = duplicates_within(texts)
    assert (result.exact_rows, result.near_rows, result.without_words) == ((0, 3), (2, 4), 2)


def test_a_result_holds_no_text() -> None:
    assert "secret" not in repr(near_overlap(["secret words"], ["Secret words"]))


# ---------------------------------------------------------------- real data


def airbnb(folder: Path, snapshot: str) -> list[tuple[str, str]]:
    with gzip.open(folder / f"airbnb_albany_{snapshot}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [(row["id"], row["comments"]) for row in map(json.loads, lines)]


def test_every_shared_airbnb_review_with_a_word_is_found_exactly(test_data: Path) -> None:
    private, shared = airbnb(test_data, "b"), {ident for ident, _ in airbnb(test_data, "a")}
    result = exact_overlap((text for _, text in private), (text for _, text in airbnb(test_data, "a")))
    wanted = {
        row for row, (ident, text) in enumerate(private) if ident in shared and any(map(str.isalnum, text))
    }
    assert len(wanted) > 21_000
    assert wanted <= set(result.exact_rows)


def test_near_matches_of_airbnb_agree_with_an_exact_join(test_data: Path) -> None:
    sides = [open_records(f"{test_data}/airbnb_albany_{s}.jsonl.gz,text=comments", s) for s in "ba"]
    result = near_overlap(sides[0].texts(), sides[1].texts(), threshold=0.8)
    with gzip.open(test_data / "truth" / "airbnb_B__airbnb_A_w5.pairs.tsv.gz", "rt") as lines:
        pairs = [line.split("\t") for line in lines if line[0].isdigit()]
    truth = {int(pair[0]) for pair in pairs if float(pair[2]) >= 0.8}
    found = set(result.exact_rows) | set(result.near_rows)
    assert len(truth & found) >= 0.99 * len(truth)
    assert len(truth & found) >= 0.99 * len(found)


def test_no_spam_is_found_among_personal_messages(test_data: Path) -> None:
    with gzip.open(test_data / "uci_smsspam.jsonl.gz", "rt", encoding="utf-8") as lines:
        messages = [json.loads(line) for line in lines]
    corpus = open_records(f"{test_data}/nus_sms_en.jsonl.gz,text=text", "nus")
    for label, least, most in (("spam", 0.0, 0.0), ("ham", 0.5, 1.0)):
        texts = [message["text"] for message in messages if message["label"] == label]
        assert least <= exact_overlap(texts, corpus.texts()).share <= most
