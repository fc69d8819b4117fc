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


def test_rounding_of_the_claim_is_noted_and_no_contradiction(ask, priced):
    [noted] = ask(IDENT, mechanism=STATED, claims=(priced(3.0, recomputed=(3.01, 3.012)),))
    assert (noted.severity, noted.basis) == (Severity.INFO, Basis.COMPUTED)
    [finding] = ask(IDENT, mechanism=STATED, claims=(priced(3.0, recomputed=(3.02, 3.03)),))
    assert finding.severity is Severity.HIGH
    assert ask(IDENT, mechanism=STATED, claims=(priced(3.0, recomputed=(3.0, 3.001)),)) == []


def test_noise_stated_for_each_epsilon_of_the_claim_is_held_against_it(ask, priced):
    claim = {"epsilons": (3.0, 8.0), "noise_multipliers": (1.5, 0.7)}
    claims = (priced(3.0, recomputed=(3.9, 4.0)), priced(8.0, recomputed=(7.9, 8.0)))
    [finding] = ask(IDENT, claim=claim, claims=claims)
    assert (finding.severity, finding.claims) == (Severity.HIGH, ("c/reviews/3",))
    assert "1.5, 0.7" in finding.evidence[0].what


def test_votes_are_priced_by_their_closed_form(ask, priced):
    """`gdp` names the central-limit approximation; the exact composition of Gaussians is no approximation."""
    votes = {"kind": "gaussian-votes", "accountant": {"value": "closed-form", "where": "a.py:1", "known": "code"}}
    claims = (priced(8.0, recomputed=(7.9, 8.0)),)
    assert ask(IDENT, mechanism=votes, claim={"noise_multipliers": (2.0,)}, claims=claims) == []


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
