"""Observations on a card: evidence beside a fact, a finding of their own only where the facts are silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.cards import load_card
from audit.check import all_checks
from audit.evidence import caution, from_fact, observed_at, readings_alone
from audit.run import put
from audit.subject import Subject
from audit.types import Basis, Fact, Known, Severity, Status

CASES = Path(__file__).parent.parent / "cases"


def subject_with(case: str, *observations: dict[str, object]) -> Subject:
    card = load_card(CASES / case / "card.toml")
    full = card.model_dump() | {"observation": [OBSERVATION | seen for seen in observations]}
    return Subject(type(card).model_validate(full))


OBSERVATION = {"id": "o", "where": "a.py:7", "commit": "abc", "basis": "observed", "what": "Labels are counted."}


def readings(subject: Subject, judged: set[str]) -> list[tuple[Basis, str]]:
    found = readings_alone(subject, "label-distribution-released", judged, Severity.HIGH, "Do better.")
    return [(f.basis, f.summary) for f in found]


@pytest.mark.parametrize(
    ("mechanisms", "judged", "expected"),
    [
        ([], set(), 1),  # about the whole paper, nothing judged
        ([], {"m"}, 0),  # about the whole paper, the facts have spoken
        (["m"], set(), 1),
        (["m"], {"m"}, 0),
        (["m", "other"], {"m"}, 1),  # silent for one of the two
    ],
)
def test_a_reading_speaks_only_where_the_facts_are_silent(
    mechanisms: list[str], judged: set[str], expected: int
) -> None:
    seen = {"kind": "label-distribution-released", "mechanisms": mechanisms}
    assert len(readings(subject_with("labels-shifted/good/same-order", seen), judged)) == expected


@pytest.mark.parametrize(
    ("basis", "expected"),
    [("observed", Basis.READ), ("computed", Basis.READ), ("read", Basis.READ), ("silence", Basis.SILENCE)],
)
def test_a_reading_is_never_firmer_than_read_and_says_what_it_is(basis: str, expected: Basis) -> None:
    seen = {"kind": "label-distribution-released", "basis": basis}
    ((got, summary),) = readings(subject_with("labels-shifted/good/same-order", seen), set())
    assert got is expected
    assert summary.startswith("This repeats a reading of released code, which may differ")


def test_an_observation_of_another_kind_is_no_evidence() -> None:
    seen = {"kind": "note", "mechanisms": ["m"]}
    subject = subject_with("label-distribution-released/bad/exact-counts", seen)
    (finding,) = put(all_checks()["label-distribution-released"], subject).findings
    assert len(finding.evidence) == 1


def test_an_observation_stands_beside_the_fact_with_file_commit_and_figures() -> None:
    seen = {"kind": "label-distribution-released", "mechanisms": ["m"], "figures": ["10 classes"]}
    subject = subject_with("label-distribution-released/bad/exact-counts", seen)
    (finding,) = put(all_checks()["label-distribution-released"], subject).findings
    assert finding.basis is Basis.READ
    assert [(e.where, e.what) for e in finding.evidence[1:]] == [("a.py:7 at abc", "Labels are counted.; 10 classes")]


def test_a_good_fact_outweighs_an_observation() -> None:
    seen = {"kind": "label-distribution-released", "mechanisms": ["m"]}
    subject = subject_with("label-distribution-released/good/uniform", seen)
    assert put(all_checks()["label-distribution-released"], subject).status is Status.CLEAN


@pytest.mark.parametrize("known", Known)
def test_only_what_rests_on_code_carries_the_caution(known: Known) -> None:
    fact = Fact[bool](value=True, where="x", known=known)
    assert bool(caution(fact)) is (known in (Known.CODE, Known.EXECUTED))


def test_the_cards_note_travels_with_its_fact() -> None:
    fact = Fact[bool](value=True, where="x", known=Known.PAPER, note="drawn anew each time")
    assert from_fact(fact, "drawn").what == "drawn (drawn anew each time)"


def test_an_observation_of_the_same_lines_belongs_to_its_fact() -> None:
    seen = {"kind": "metric-not-comparable", "where": "evaluation.py:97-100; other.py:3"}
    subject = subject_with("labels-shifted/good/same-order", seen)
    for where, expected in (("evaluation.py:97-100 (abc)", 1), ("evaluation.py:113", 0), ("section 4", 0)):
        fact = Fact[bool](value=False, where=where, known=Known.CODE)
        assert len(observed_at(subject, "metric-not-comparable", fact)) == expected
