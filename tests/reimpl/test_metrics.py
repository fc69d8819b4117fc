"""What a set of texts is worth, against values worked out by hand or by another library."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reimpl.data import Record
from reimpl.metrics import cut, downstream, duplicates, over_seeds, scores, shape, vocabulary_divergence

texts = st.lists(st.text("ab c", max_size=12), min_size=1, max_size=8)


def records(*pairs: tuple[str, int]) -> list[Record]:
    return [Record(text, label) for text, label in pairs]


@given(st.text(max_size=60), st.integers(1, 8))
def test_a_cut_text_has_at_most_that_many_words_and_begins_alike(text: str, length: int) -> None:
    kept = cut(text, length).split()
    assert kept == text.split()[:length]
    assert cut(cut(text, length), length) == cut(text, length)


def test_a_classifier_learns_what_the_texts_tell_apart() -> None:
    train = records(*[("good fine", 1), ("bad poor", 0)] * 10)
    assert downstream(train, records(("fine", 1), ("poor", 0), ("good", 1)), 1) == {"accuracy": 1.0, "macro_f1": 1.0}


def test_swapped_labels_score_below_chance() -> None:
    train = records(*[("good fine", 0), ("bad poor", 1)] * 10)
    assert downstream(train, records(("fine", 1), ("poor", 0)), 1)["macro_f1"] == 0.0


@pytest.mark.parametrize("said", ["anything", "", "…"])
def test_one_class_or_no_word_at_all_answers_with_the_commonest_class(said: str) -> None:
    train = records(*[(said, 1)] * 5)
    found = downstream(train, records(("x", 1), ("y", 0)), 1)
    assert found == {"accuracy": 0.5, "macro_f1": pytest.approx((0 + 2 / 3) / 2)}


def test_a_class_that_training_never_names_counts_as_zero() -> None:
    test = records(("a", 0), ("b", 1), ("c", 2), ("c", 2))
    found = scores([0, 0, 2, 2], test)
    assert found["macro_f1"] == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found["accuracy"] == 0.75
    foreign = scores([0, 9], records(("a", 0), ("b", 0)))  # a class that the test part does not have
    assert foreign["macro_f1"] == pytest.approx(2 / 3)


def test_another_seed_trains_on_other_draws_and_the_same_seed_on_the_same() -> None:
    rng = np.random.RandomState(1)
    noisy = records(*[(" ".join(rng.choice(list("abcdefgh"), 4)), int(rng.randint(2))) for _ in range(60)])
    runs = [downstream(noisy[:30], noisy[30:], seed)["accuracy"] for seed in range(6)]
    assert len(set(runs)) > 1
    assert runs == [downstream(noisy[:30], noisy[30:], seed)["accuracy"] for seed in range(6)]


def test_spread_over_seeds_is_the_sample_deviation() -> None:
    found = over_seeds([{"f1": 0.2}, {"f1": 0.4}, {"f1": 0.9}])["f1"]
    assert found["mean"] == pytest.approx(0.5)
    assert found["standard_deviation"] == pytest.approx(math.sqrt((0.09 + 0.01 + 0.16) / 2))
    assert over_seeds([{"f1": 0.2}])["f1"]["standard_deviation"] is None


def test_shape_of_hand_made_texts() -> None:
    found = shape(["a b", "a b c d", ""], ["a b", "a b", "a b"])
    assert found["mean_length"] == 2.0
    assert found["length_distance"] == pytest.approx(4 / 3)  # sorted: 0, 2, 4 against 2, 2, 2
    assert found["empty"] == 1.0
    assert found["distinct_words"] == 4.0


@given(texts, texts)
def test_vocabulary_divergence_is_symmetric_within_one_bit_and_zero_for_equals(one: list[str], two: list[str]) -> None:
    divergence = vocabulary_divergence(one, two)
    assert -1e-9 <= divergence <= 1 + 1e-9
    assert divergence == pytest.approx(vocabulary_divergence(two, one), abs=1e-9)
    if any(text.split() for text in one):
        assert vocabulary_divergence(one, one) == pytest.approx(0, abs=1e-9)


def test_vocabulary_divergence_by_hand() -> None:
    # P = (1, 0), Q = (1/2, 1/2): (log2(4/3) + log2(2/3) / 2 + log2(2) / 2) / 2
    expected = (math.log2(4 / 3) + 0.5 * math.log2(2 / 3) + 0.5) / 2
    assert vocabulary_divergence(["a"], ["a b"]) == pytest.approx(expected)
    assert vocabulary_divergence(["a"], ["b"]) == pytest.approx(1.0)


def test_copies_are_found_whatever_their_case_spacing_and_punctuation() -> None:
    private = ["Call me, Ishmael!", "Twice", "twice", "ｆｉｎｅ"]
    synthetic = ["call me  ishmael", "CALL ME ISHMAEL.", "twice?", "fine", "new", "", "..."]
    assert duplicates(synthetic, private) == {"copies_of_training_records": 4, "training_records_copied": 3}
    assert duplicates(["..."], ["!!!"])["copies_of_training_records"] == 0  # no word, no copy
