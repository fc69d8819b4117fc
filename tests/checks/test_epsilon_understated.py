import math

from audit.types import Basis, Finding, Severity, Skip

IDENT = "epsilon-understated"
STATED = {"noise_multiplier": 0.6}


def test_a_lower_bound_above_the_claim_contradicts_it(ask, priced):
    [finding] = ask(IDENT, mechanism=STATED, claims=(priced(3.0, recomputed=(3.9, 4.0)),))
    assert isinstance(finding, Finding)
    assert (finding.severity, finding.basis) == (Severity.HIGH, Basis.COMPUTED)
    assert "between 3.9 and 4" in finding.summary
    assert finding.claims == ("c/reviews/3",)


def test_an_upper_bound_above_the_claim_does_not(ask, priced):
    assert ask(IDENT, mechanism=STATED, claims=(priced(3.0, recomputed=(2.9, 7.0)),)) == []
    assert ask(IDENT, mechanism=STATED, claims=(priced(3.0, recomputed=(2.9, math.inf)),)) == []


def test_rounding_of_the_claim_is_no_contradiction(ask, priced):
    assert ask(IDENT, mechanism=STATED, claims=(priced(3.0, recomputed=(3.01, 3.012)),)) == []
    assert len(ask(IDENT, mechanism=STATED, claims=(priced(3.0, recomputed=(3.02, 3.03)),))) == 1


def test_only_the_claims_that_are_contradicted_are_named(ask, priced):
    claims = (priced(3.0, recomputed=(3.9, 4.0)), priced(8.0, recomputed=(3.9, 4.0)))
    [finding] = ask(IDENT, mechanism=STATED, claims=claims)
    assert finding.claims == ("c/reviews/3",)


def test_noise_derived_from_the_claim_contradicts_nothing(ask, priced):
    [skip] = ask(IDENT, claims=(priced(3.0, recomputed=(3.9, 4.0)),))
    assert isinstance(skip, Skip)


def test_a_claim_that_could_not_be_priced_is_skipped_beside_one_that_was(ask, priced):
    answers = ask(IDENT, mechanism=STATED, claims=(priced(3.0, recomputed=(3.9, 4.0)), priced(8.0)))
    assert [type(answer) for answer in answers] == [Finding, Skip]


def test_the_central_limit_accountant_is_found_without_a_ladder(ask):
    found = [a for a in ask(IDENT, mechanism={"accountant": "gdp"}) if isinstance(a, Finding)]
    assert [f.basis for f in found] == [Basis.READ]
    assert not [a for a in ask(IDENT, mechanism={"accountant": "prv"}) if isinstance(a, Finding)]
