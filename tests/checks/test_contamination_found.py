"""Private texts in a corpus: how severe, how many people, and what stays unsearched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit import run_audit
from audit.cards import load_card
from audit.check import all_checks
from audit.records import open_records
from audit.run import put
from audit.subject import Subject
from audit.types import AuditResult, Basis, Manifest, Outcome, Severity, Status

CARD = Path(__file__).parent.parent / "cases/contamination-found/good/nothing-shared/card.toml"
LONG = "the soup was cold and the waiter was very kind to all of us"
OTHER = "we came back twice in the same week for the noodles"


def records(path: Path, name: str, rows: list[tuple[str, str]], manifest: Manifest | None = None):  # type: ignore[no-untyped-def]
    lines = (json.dumps({"text": text, "who": who}) + "\n" for text, who in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return open_records(f"{path},text=text,unit=who", name, manifest)


def answer(tmp_path: Path, private: list[tuple[str, str]], corpus: list[str], published: int | None = None) -> Outcome:
    manifest = Manifest(
        version=1, id="reviews", name="r", kind="private", source="s", how_to_get="h", obtainable=True,
        unit_note="n", records=published,
    )  # fmt: skip
    subject = Subject(
        load_card(CARD),
        data={"reviews": records(tmp_path / "reviews.jsonl", "reviews", private, manifest)},
        corpora={"web": records(tmp_path / "web.jsonl", "web", [(text, "") for text in corpus] + [("x", "y")])},
    )
    return put(all_checks()["contamination-found"], subject)


def test_people_are_counted_once_and_never_named(tmp_path: Path) -> None:
    private = [(LONG, "ann-4711"), (OTHER, "ann-4711"), (LONG, "bob-0815"), ("another text altogether", "cy")]
    (finding,) = answer(tmp_path, private, [LONG, OTHER]).findings
    assert finding.basis is Basis.OBSERVED
    assert "3 of 4 texts" in finding.summary
    assert "2 people hold them" in finding.evidence[0].what
    assert not any(who in finding.model_dump_json() for who in ("ann-4711", "bob-0815", LONG))


@pytest.mark.parametrize(
    ("private", "corpus", "severity"),
    [
        (LONG, LONG, Severity.HIGH),
        ("Great place!", "great  place!", Severity.LOW),  # a common phrase proves nothing
        (OTHER, OTHER, Severity.LOW),  # eleven words
        (f"{LONG} {OTHER} and more of it", f"{LONG} {OTHER} and more of that", Severity.HIGH),
        (f"{LONG} {OTHER} and more of it", f"much else before {LONG} and much else", Severity.MEDIUM),  # half
    ],
)
def test_severity_follows_from_what_matched(private: str, corpus: str, severity: Severity, tmp_path: Path) -> None:
    (finding,) = answer(tmp_path, [(private, "a")], [corpus]).findings
    assert finding.severity is severity


def test_finding_nothing_in_a_sample_is_not_called_clean(tmp_path: Path) -> None:
    assert answer(tmp_path, [(LONG, "a")], [OTHER]).status is Status.CLEAN
    outcome = answer(tmp_path, [(LONG, "a")], [OTHER], published=1000)
    assert outcome.status is Status.SKIPPED
    assert "samples: reviews" in outcome.skips[0].reason


def test_a_corpus_that_is_not_given_is_named(tmp_path: Path) -> None:
    card = load_card(CARD)
    more = card.corpus[0].model_copy(update={"name": "books"})
    both = card.model_copy(update={"corpus": (*card.corpus, more)})
    data = {"reviews": records(tmp_path / "r.jsonl", "reviews", [(LONG, "a")])}
    corpora = {"web": records(tmp_path / "w.jsonl", "web", [(OTHER, ""), ("x", "y")])}
    outcome = put(all_checks()["contamination-found"], Subject(both, data=data, corpora=corpora))
    assert outcome.status is Status.SKIPPED
    assert "not given: books" in outcome.skips[0].reason


def audited(tmp_path: Path, private: list[tuple[str, str]], corpus: list[str]) -> AuditResult:
    data = records(tmp_path / "r.jsonl", "reviews", private)
    web = records(tmp_path / "w.jsonl", "web", [(text, "") for text in corpus] + [("x", "y")])
    return run_audit(CARD.parent, data={"reviews": f"{data.path},unit=who"}, corpora={"web": str(web.path)})


def test_the_result_counts_every_matched_record_once_by_kind_and_once_by_score(tmp_path: Path) -> None:
    private = [(LONG, "ann"), (OTHER, "ann"), (f"{LONG} {OTHER} and more of it", "bob"), ("nothing like it", "cy")]
    (found,) = audited(tmp_path, private, [LONG.upper(), f"zero {OTHER} zero"]).overlaps
    assert {kind.kind: kind.records for kind in found.kinds} == {"exact": 1, "contained": 1, "in-part": 1}
    assert {kind.kind: kind.long_records for kind in found.kinds} == {"exact": 1, "contained": 0, "in-part": 1}
    assert found.histogram == {45: 1, 100: 2}  # 13 of the third one's 28 words are in one place
    people = {level.score: level.people.count for level in found.at_least if level.people}
    assert people == {0.45: 2, 0.5: 1, 0.6: 1, 0.7: 1, 0.8: 1, 0.9: 1, 1.0: 1}
    assert [level.records.of for level in found.at_least] == [4] * 7
    assert not any(word in found.model_dump_json() for word in ("ann", "soup", "noodles"))


def test_a_clean_search_carries_the_recall_of_records_planted_into_this_corpus(tmp_path: Path) -> None:
    result = audited(tmp_path, [(LONG, "a"), (OTHER, "b")], [f"one two three {n}" for n in range(30)])
    (outcome,) = (o for o in result.outcomes if o.check == "contamination-found")
    assert not outcome.findings
    (found,) = result.overlaps
    assert found.at_least[0].records.count == 0
    assert found.recall is not None
    assert found.recall.pages == 31
    first = found.recall.kinds[0]
    assert (first.kind, first.found.count, first.found.of) == ("verbatim", 200, 200)


def test_recall_is_not_claimed_where_nothing_can_be_planted(tmp_path: Path) -> None:
    for private, corpus in ((OTHER, OTHER.upper()), (LONG, LONG)):
        data = records(tmp_path / "r.jsonl", "reviews", [(private, "a"), (private, "b")])
        web = records(tmp_path / "w.jsonl", "web", [(corpus, ""), (corpus, "")])
        (found,) = Subject(load_card(CARD), data={"reviews": data}, corpora={"web": web}).overlaps
        assert found.at_least[0].records.count == 2
        assert found.recall is None  # eleven words are too few to plant; a page that holds a record would find it


def test_a_search_that_fails_leaves_the_rest_of_the_audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.subject.corpus_overlap", lambda private, corpus: 1 / 0)
    result = audited(tmp_path, [(LONG, "a"), (OTHER, "b")], [LONG])
    (outcome,) = (o for o in result.outcomes if o.check == "contamination-found")
    assert outcome.status is Status.FAILED
    assert result.overlaps == ()
    assert result.claims


def test_two_snapshots_of_one_source_are_found_in_each_other(test_data: Path) -> None:
    """Reviews whose id is in both snapshots have the same text: more of them match than there are such ids."""
    result = run_audit(
        CARD.parent,
        data={"reviews": f"{test_data}/airbnb_albany_b.jsonl.gz,text=comments,unit=reviewer_id"},
        corpora={"web": f"{test_data}/airbnb_albany_a.jsonl.gz,text=comments"},
    )
    (outcome,) = (o for o in result.outcomes if o.check == "contamination-found")
    (finding,) = outcome.findings
    assert finding.severity is Severity.HIGH
    matched, total = (int(word.replace(",", "")) for word in finding.summary.split(" texts")[0].split(" of "))
    assert total == 25_313
    assert 21_000 <= matched <= total


def test_the_ladder_says_which_records_no_epsilon_covers_and_keeps_the_rungs_it_has(tmp_path: Path) -> None:
    ladders = []
    for corpus in (OTHER, f"before {LONG} after"):
        private = records(tmp_path / "r.jsonl", "reviews", [(LONG, "a"), ("another text altogether", "b")])
        web = records(tmp_path / "w.jsonl", "web", [(corpus, ""), ("x", "y")])
        specs = {"data": {"reviews": f"{private.path},unit=who"}, "corpora": {"web": str(web.path)}}
        ladders.append(run_audit(CARD.parent, **specs).claims[0].ladder)
    clean, found = ladders
    assert found[:-1] == clean
    assert found[-1].unavailable == "Not covered: the released model had seen them without DP."
    assert found[-1].epsilon_upper is None
    assert "1 of 2 texts" in found[-1].assumption
    assert "not ε = ∞" in found[-1].assumption
