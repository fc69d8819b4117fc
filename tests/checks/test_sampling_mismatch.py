import pytest

from audit.types import Basis, Finding, Sampler, Severity, Skip

IDENT = "sampling-mismatch"
SHUFFLED = {"sampler_accounted": "poisson", "sampler_coded": "shuffle-each-epoch"}


def test_a_lower_bound_above_the_claim_makes_it_false_in_the_worst_case(ask, priced):
    [finding] = ask(IDENT, mechanism=SHUFFLED, claims=(priced(4.0, sampler_as_coded=(22.86, 24.54)),))
    assert (finding.severity, finding.basis) == (Severity.HIGH, Basis.COMPUTED)
    assert "between 22.86 and 24.54" in finding.summary


def test_a_bracket_around_the_claim_leaves_it_unproven(ask, priced):
    [finding] = ask(IDENT, mechanism=SHUFFLED, claims=(priced(4.0, sampler_as_coded=(3.1, 24.54)),))
    assert (finding.severity, finding.basis) == (Severity.MEDIUM, Basis.READ)
    assert "unproven" in finding.summary


@pytest.mark.parametrize("coded", Sampler)
@pytest.mark.parametrize("accounted", Sampler)
def test_clean_exactly_where_the_accounting_covers_the_loader(ask, accounted, coded):
    covered = accounted is coded or (
        accounted is Sampler.DETERMINISTIC and coded in (Sampler.SHUFFLE_ONCE, Sampler.SHUFFLE_EACH_EPOCH)
    )
    answers = ask(IDENT, mechanism={"sampler_accounted": accounted, "sampler_coded": coded})
    assert bool(answers) is not covered


@pytest.mark.parametrize("missing", SHUFFLED)
def test_half_of_the_comparison_is_a_skip(ask, missing):
    [skip] = ask(IDENT, mechanism={k: v for k, v in SHUFFLED.items() if k != missing})
    assert isinstance(skip, Skip)


def test_released_code_may_differ_from_the_code_that_ran(ask):
    [finding] = ask(IDENT, mechanism=SHUFFLED)
    assert isinstance(finding, Finding)
    assert "may differ" in finding.summary


def test_noise_that_was_derived_from_the_claim_is_called_so(ask, priced):
    stated = priced(4.0, sampler_as_coded=(22.86, 24.54))
    derived = stated.model_copy(update={"noise_multiplier_derived": True})
    for claim, said in ((stated, False), (derived, True)):
        [finding] = ask(IDENT, mechanism=SHUFFLED, claims=(claim,))
        assert ("smallest noise" in finding.summary) is said
        assert ("smallest noise" in finding.evidence[2].what) is said
