from audit.types import Basis, Finding, Skip

IDENT = "privacy-unit-unstated"


def test_silence_of_a_source_read_whole_is_a_finding_of_low_confidence(ask):
    [finding] = ask(IDENT, claim={"privacy_unit": {"value": None, "where": "all of it", "known": "paper"}})
    assert isinstance(finding, Finding)
    assert finding.basis is Basis.SILENCE
    assert finding.confidence == "low"


def test_silence_of_a_source_that_was_not_read_is_a_skip(ask):
    for known in ("secondary", "unconfirmed"):
        for value in (None, "one review"):
            [skip] = ask(IDENT, claim={"privacy_unit": {"value": value, "where": "a digest", "known": known}})
            assert isinstance(skip, Skip)


def test_the_skip_names_the_claims_it_cannot_judge(ask, priced):
    [skip] = ask(IDENT, claims=(priced(3.0), priced(8.0)))
    assert skip.claims == ("c/reviews/3", "c/reviews/8")


def test_a_unit_that_only_released_code_shows_is_not_a_statement_of_the_claim(ask):
    for known in ("code", "executed", "derived"):
        [skip] = ask(IDENT, claim={"privacy_unit": {"value": "one row", "where": "train.py:1", "known": known}})
        assert isinstance(skip, Skip)
    assert ask(IDENT, claim={"privacy_unit": {"value": "one row", "where": "section 2", "known": "paper"}}) == []
