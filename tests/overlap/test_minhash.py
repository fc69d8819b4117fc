"""MinHash signatures: datasketch is the readable reference for what they estimate and which pairs they propose."""

from __future__ import annotations

import math

import numpy as np
import pytest
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.overlap.minhash import band_keys, bands_for, estimated_jaccard, permutations, recall, sketch
from audit.overlap.near import near_index, near_pairs
from audit.overlap.shingling import Shingling, jaccard, shingles
from audit.overlap.texts import from_strings

ONE_WORD = Shingling("word", 1)


def reference(text: str, num_perm: int = 128) -> MinHash:
    sketched = MinHash(num_perm=num_perm)
    sketched.update_batch([" ".join(run).encode() for run in shingles(text, ONE_WORD)])
    return sketched


def pair(similarity: float, size: int, seed: int) -> tuple[str, str]:
    """Two texts of distinct words with this Jaccard similarity, as near as whole numbers allow."""
    shared = round(similarity * size)
    own = (size - shared) // 2
    words = [f"w{seed}x{i}" for i in range(shared + 2 * own)]
    return " ".join(words[: shared + own]), " ".join([*words[:shared], *words[shared + own :]])


@pytest.mark.parametrize("similarity", [0.1, 0.3, 0.5, 0.8, 0.95])
def test_estimates_err_as_little_as_the_reference(similarity: float) -> None:
    pairs = [pair(similarity, 200, seed) for seed in range(200)]
    truth = np.array([jaccard(shingles(a, ONE_WORD), shingles(b, ONE_WORD)) for a, b in pairs])
    left, right = (sketch(from_strings(list(side)), ONE_WORD).signatures for side in zip(*pairs, strict=True))
    ours = estimated_jaccard(left, right) - truth
    theirs = np.array([reference(a).jaccard(reference(b)) for a, b in pairs]) - truth
    expected = math.sqrt(similarity * (1 - similarity) / 128)
    assert abs(ours.mean()) < 4 * expected / math.sqrt(len(pairs))
    for errors in (ours, theirs):
        assert math.sqrt((errors**2).mean()) == pytest.approx(expected, rel=0.2)


def test_signatures_of_equal_sets_are_equal_whatever_the_order_and_repetition() -> None:
    texts = from_strings(["a b c d e", "e d c b a a a", "a b c d f", ""])
    signatures = sketch(texts, ONE_WORD).signatures
    assert (signatures[0] == signatures[1]).all()
    assert not (signatures[0] == signatures[2]).all()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=9).map(" ".join), min_size=1, max_size=9))
def test_slots_are_the_minima_of_the_permuted_shingles(texts: list[str]) -> None:
    """Plain numpy over the same hashes: all shingles at once, no loop unrolled."""
    from audit.overlap.near import sets

    held = from_strings(texts)
    shingling = Shingling("word", 2)
    distinct = sets(held, np.arange(len(texts)), shingling)
    a, b = permutations(16)
    for row, signature in enumerate(sketch(held, shingling, 16).signatures):
        hashes = (distinct.values[distinct.offsets[row] : distinct.offsets[row + 1]] >> np.uint64(32)).astype(np.uint32)
        assert (signature == (hashes[:, None] * a + b).min(axis=0)).all()


def test_pairs_proposed_are_about_those_that_the_reference_proposes() -> None:
    """Same bands and rows: over many pairs around the threshold, the same share of pairs becomes a candidate."""
    similarities = np.repeat(np.linspace(0.4, 0.95, 12), 40)
    pairs = [pair(s, 100, seed) for seed, s in enumerate(similarities)]
    bands, rows = bands_for(0.8, 128)
    sides = (sketch(from_strings(list(side)), ONE_WORD).signatures for side in zip(*pairs, strict=True))
    left, right = (band_keys(signatures, bands, rows) for signatures in sides)
    ours = (left == right).any(axis=0)
    theirs = []
    for a, b in pairs:
        index = MinHashLSH(num_perm=128, params=(bands, rows))
        index.insert("a", reference(a))
        theirs.append(bool(index.query(reference(b))))
    expected = np.array([recall(s, bands, rows) for s in similarities])
    spread = math.sqrt((expected * (1 - expected)).sum())
    for found in (ours, np.array(theirs)):
        assert abs(found.sum() - expected.sum()) < 4 * spread
    assert ours[similarities > 0.9].all()


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("num_perm", [64, 128, 256])
def test_bands_keep_recall_at_the_threshold_with_the_most_rows(threshold: float, num_perm: int) -> None:
    bands, rows = bands_for(threshold, num_perm)
    assert bands * rows <= num_perm
    assert recall(threshold, bands, rows) >= 0.99 or rows == 1
    assert recall(threshold, num_perm // (rows + 1), rows + 1) < 0.99


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.lists(st.sampled_from("abcde"), max_size=7).map(" ".join), max_size=8),
    st.lists(st.lists(st.sampled_from("abcde"), max_size=7).map(" ".join), max_size=8),
)
def test_every_pair_reported_has_its_exact_similarity(private: list[str], corpus: list[str]) -> None:
    shingling = Shingling("word", 2)
    index = near_index(from_strings(private), shingling, 0.3)
    pairs = near_pairs(index, from_strings(corpus))
    members = index.groups.rows_of()
    found = {
        (int(p), int(row)): score
        for group, row, score in zip(pairs.group, pairs.row, pairs.jaccard, strict=True)
        for p in members[group]
    }
    exact = {
        (p, c): jaccard(shingles(a, shingling), shingles(b, shingling))
        for p, a in enumerate(private)
        for c, b in enumerate(corpus)
    }
    assert all(score == pytest.approx(exact[key]) and score >= 0.3 for key, score in found.items())
    assert {key for key, score in exact.items() if score > 0.9} <= set(found)
