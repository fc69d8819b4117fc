from audit.records import open_records
from audit.types import Basis, Finding, Manifest, Skip

IDENT = "records-per-person-ignored"
MANIFEST = {
    "version": 1,
    "id": "reviews",
    "name": "reviews",
    "kind": "private",
    "source": "-",
    "how_to_get": "-",
    "obtainable": True,
    "text_column": "text",
    "unit_column": "user",
    "unit_note": "-",
}


def people(tmp_path, users, **published):
    path = tmp_path / "reviews.csv"
    path.write_text("text,user\n" + "".join(f"some words,person-{user}\n" for user in users), encoding="utf-8")
    manifest = Manifest.model_validate(MANIFEST | published)
    return {"reviews": open_records(str(path), "reviews", manifest)}


def test_counts_come_from_the_file_and_outrank_the_card(ask, tmp_path):
    data = people(tmp_path, "aaaabbc")
    [finding] = ask(IDENT, dataset={"several_records_per_person": False}, data=data)
    assert isinstance(finding, Finding)
    assert finding.basis is Basis.OBSERVED
    shown = finding.summary + " ".join(e.what for e in finding.evidence)
    assert "3 people hold 7 records" in shown
    assert "66.7% of them hold more than one" in shown
    assert "maximum 4" in shown


def test_no_id_and_no_text_of_the_file_is_shown(ask, tmp_path):
    [finding] = ask(IDENT, data=people(tmp_path, "aab"))
    shown = finding.model_dump_json()
    assert "person-a" not in shown
    assert "some words" not in shown


def test_a_sample_is_called_a_sample(ask, tmp_path):
    [finding] = ask(IDENT, data=people(tmp_path, "aab", records=6_990))
    assert "only a sample" in finding.summary
    [finding] = ask(IDENT, data=people(tmp_path, "aab", records=3))
    assert "only a sample" not in finding.summary


def test_one_record_each_in_a_sample_proves_nothing(ask, tmp_path):
    [skip] = ask(IDENT, data=people(tmp_path, "abc", records=6_990))
    assert isinstance(skip, Skip)
    assert ask(IDENT, data=people(tmp_path, "abc", records=3)) == []


def test_a_bound_that_only_a_digest_reports_does_not_clear_the_claim(ask):
    told = {"value": True, "where": "a digest", "known": "secondary"}
    [finding] = ask(IDENT, dataset={"several_records_per_person": True, "records_per_person_bounded": told})
    assert isinstance(finding, Finding)
    assert finding.basis is Basis.READ


def test_person_level_epsilons_of_the_ladder_are_evidence(ask, priced, tmp_path):
    claim = priced(8.0, person_k2=(15.0, 15.2), person_max=(410.0, float("inf")))
    [finding] = ask(IDENT, data=people(tmp_path, "aab"), claims=(claim,))
    shown = " ".join(e.what for e in finding.evidence)
    assert "between 15 and 15.2" in shown
    assert "at least 410" in shown
    assert finding.claims == ("c/reviews/8",)


def test_a_claim_for_a_person_is_not_among_the_claims_affected(ask, priced):
    several = {"several_records_per_person": True}
    assert ask(IDENT, dataset=several, claim={"unit_is_person": True}, claims=(priced(8.0),)) == []


def test_reviewers_of_a_real_sample_are_counted(ask, test_data):
    records = open_records(f"{test_data / 'yelp_sample.jsonl.gz'},text=text,unit=user_id", "reviews")
    [finding] = ask(IDENT, data={"reviews": records})
    shown = finding.summary + " ".join(e.what for e in finding.evidence)
    assert "6,403 people hold 10,000 records" in shown
    assert "99th percentile 8, maximum 38" in shown
