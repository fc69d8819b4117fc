"""The search against exact joins of real data, and against records planted into real pages."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from audit.overlap.containment import found_in
from audit.overlap.index import build
from audit.overlap.near import near_index, near_pairs
from audit.overlap.planting import KINDS, recovery
from audit.overlap.shingling import Shingling
from audit.overlap.texts import from_strings

Column = Callable[[str, str], list[str]]
TruePairs = Callable[[str, float], set[tuple[int, int]]]
HELD_OUT_SEED = 20261125  # thresholds were chosen on seed 1


def near(private: list[str], corpus: list[str], shingling: Shingling, threshold: float) -> set[tuple[int, int]]:
    index = near_index(from_strings(private), shingling, threshold)
    pairs = near_pairs(index, from_strings(corpus))
    members = index.groups.rows_of()
    return {(int(p), int(row)) for g, row in zip(pairs.group, pairs.row, strict=True) for p in members[g]}


def recall_and_precision(found: set[object], truth: set[object]) -> tuple[float, float]:
    return len(found & truth) / len(truth), len(found & truth) / len(found)


def test_spam_collection_in_text_messages(column: Column, true_pairs: TruePairs) -> None:
    private, labels = column("uci_smsspam", "text"), column("uci_smsspam", "label")
    found = near(private, column("nus_sms_en", "text"), Shingling("char", 5, "plain"), 0.8)
    rows, truth = {row for row, _ in found}, {row for row, _ in true_pairs("uci_sms__nus_sms_c5", 0.8)}
    assert len(truth) == 4183
    assert min(recall_and_precision(rows, truth)) >= 0.99
    assert labels.count("spam") == 747
    assert not [row for row in rows if labels[row] == "spam"]


@pytest.mark.parametrize(
    ("truth", "private", "corpus", "shingling", "least"),
    [
        ("kjv__revised_webster_w3", "bible_kjv", "bible_revised_webster", Shingling("word", 3), 0.98),
        ("uci_sms__nus_sms_c5", "uci_smsspam", "nus_sms_en", Shingling("char", 5, "plain"), 0.99),
        ("uci_sms__nus_sms_w3", "uci_smsspam", "nus_sms_en", Shingling("word", 3, "plain"), 0.99),
        ("airbnb_B__airbnb_A_w5", "airbnb_albany_b", "airbnb_albany_a", Shingling("word", 5), 0.99),
    ],
)
def test_pairs_of_an_exact_join(
    truth: str, private: str, corpus: str, shingling: Shingling, least: float, column: Column, true_pairs: TruePairs
) -> None:
    key = "comments" if private.startswith("airbnb") else "text"
    found = near(column(private, key), column(corpus, key), shingling, 0.8)
    assert min(recall_and_precision(found, true_pairs(truth, 0.8))) >= least


@pytest.mark.parametrize("mode", [pytest.param("containment", marks=pytest.mark.slow), "near-duplicate"])
def test_every_review_whose_id_is_in_both_snapshots_is_found(mode: str, column: Column) -> None:
    private, corpus = column("airbnb_albany_b", "comments"), column("airbnb_albany_a", "comments")
    ids, known = column("airbnb_albany_b", "id"), set(column("airbnb_albany_a", "id"))
    wanted = {r for r, ident in enumerate(ids) if ident in known and any(c.isalnum() for c in private[r])}
    if mode == "containment":
        index = build(from_strings(private))
        found = found_in(index, from_strings(corpus))
        groups = set(found.group[found.verified].tolist())
        rows = {row for row, group in enumerate(index.group) if int(group) in groups}
    else:
        rows = {row for row, _ in near(private, corpus, Shingling(), 0.8)}
    assert len(wanted) > 21_000
    assert wanted <= rows


def pages_of(column: Column, seed: int, number: int) -> list[str]:
    """Pages of 400 to 1,500 words, each joined from one kind of text; a quarter from the records' own domain."""
    sources = [
        column("drugs_test", "trg"), column("yelp_sample", "text"), column("airbnb_albany_a", "comments"),
        column("bible_kjv", "text"),
    ]  # fmt: skip
    random, pages = np.random.default_rng(seed), []
    for _ in range(number):
        source, wanted, parts, words = sources[random.integers(4)], random.integers(400, 1500), [], 0
        while words < wanted:
            parts.append(source[random.integers(len(source))])
            words += len(parts[-1].split())
        pages.append("\n".join(parts))
    return pages


LEAST = {
    "verbatim": 0.99,
    "case and spaces": 0.99,
    "5 % of words edited": 0.99,
    "10 % of words edited": 0.98,
    "20 % of words edited": 0.95,
    "half copied": 0.99,
}


@pytest.mark.slow
def test_planted_records_are_found_on_a_seed_not_used_to_tune(column: Column) -> None:
    """Private drug reviews of twelve words or more, a thousand of each kind, each in a page of its own."""
    private = column("drugs_val", "trg")
    pages = pages_of(column, HELD_OUT_SEED, 1000)
    found = recovery(build(from_strings(private)), private, pages, plants=1000, seed=HELD_OUT_SEED)
    assert set(LEAST) == set(KINDS)
    for kind, least in LEAST.items():
        assert found[kind].planted >= 990  # a record may be drawn twice for one page, hardly more
        assert found[kind].recall >= least, (kind, found[kind])
        assert found[kind].precision >= 0.98, (kind, found[kind])


def test_a_page_without_plants_holds_none(column: Column) -> None:
    """Negative controls: verses and drug reviews are in no restaurant review."""
    pages = from_strings(column("yelp_sample", "text"))
    for name, key in (("bible_kjv", "text"), ("drugs_val", "trg")):
        found = found_in(build(from_strings(column(name, key))), pages)
        assert not found.verified.any()
