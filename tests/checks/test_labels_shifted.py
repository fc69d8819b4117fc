"""Labels compared by index."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audit.checks.labels_shifted import disagreements

NAMES = st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=8, unique=True)


@given(NAMES)
def test_a_list_agrees_with_itself_whatever_its_case_and_edges(names: list[str]) -> None:
    assert disagreements(names, [f" {name.upper()} " for name in names]) == []


@given(NAMES.filter(lambda names: len(names) > 1), st.integers(1, 7))
def test_a_cyclic_shift_moves_every_label(names: list[str], by: int) -> None:
    by = by % len(names) or 1
    assert disagreements(names, names[by:] + names[:by]) == list(range(len(names)))


@given(NAMES, st.randoms(use_true_random=False))
def test_exactly_the_indices_that_name_another_class_are_named(names: list[str], random: object) -> None:
    shuffled = list(names)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    wrong = disagreements(names, shuffled)
    assert wrong is not None
    assert [names[i] for i in range(len(names)) if i not in wrong] == [
        name for name, real in zip(shuffled, names, strict=True) if name == real
    ]


def test_other_words_for_the_classes_cannot_be_compared() -> None:
    assert disagreements(["bad", "good"], ["1 star", "5 stars"]) is None
    assert disagreements(["bad", "good"], []) is None


def test_a_class_that_is_never_prompted_is_no_shift() -> None:
    assert disagreements(["bad", "fair", "good"], ["bad", "fair"]) == []
