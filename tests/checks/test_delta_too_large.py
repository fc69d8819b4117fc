import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.check import all_checks
from audit.subject import Subject
from audit.types import Basis, Finding, PaperCard, Severity, Skip

IDENT = "delta-too-large"


@pytest.mark.parametrize("records", [3, 7, 49, 1_939_290, 10**9 + 7])
def test_one_over_n_is_found_and_a_tenth_of_it_is_not_for_any_n(ask, records):
    [finding] = ask(IDENT, dataset={"records": records}, claim={"delta": "1/N"})
    assert finding.severity is Severity.HIGH
    assert finding.basis is Basis.COMPUTED
    assert ask(IDENT, dataset={"records": records}, claim={"delta": "1/(10N)"}) == []


def test_one_over_n_ln_n_is_noted_only_below_e_to_the_ten_records(ask):
    limit = math.exp(10)
    [finding] = ask(IDENT, dataset={"records": math.floor(limit) - 10}, claim={"delta": "1/(N ln N)"})
    assert finding.severity is Severity.LOW
    assert ask(IDENT, dataset={"records": math.ceil(limit) + 10}, claim={"delta": "1/(N ln N)"}) == []


def test_a_rule_for_a_single_record_is_a_skip_and_no_crash(ask):
    for rule in ("1/N", "1/(10N)", "1/(N ln N)"):
        [skip] = ask(IDENT, dataset={"records": 1}, claim={"delta": rule})
        assert isinstance(skip, Skip)


def test_a_number_of_records_from_a_digest_alone_is_a_skip(ask):
    told = {"value": 100, "where": "a digest", "known": "secondary"}
    [skip] = ask(IDENT, dataset={"records": told}, claim={"delta": 0.5})
    assert isinstance(skip, Skip)


@given(st.floats(1e-12, 0.99), st.integers(2, 10**9))
def test_severity_follows_the_product_of_delta_and_n(delta, records):
    fact = {"where": "section 1", "known": "paper"}
    card = PaperCard.model_validate(
        {
            "version": 1,
            "id": "small",
            "title": "-",
            "citation": "-",
            "about": "-",
            "caveat": "-",
            "sources": ({"id": "p", "kind": "paper", "citation": "-", "read": "-"},),
            "mechanism": ({"id": "m", "model": "-"},),
            "dataset": ({"name": "d", "manifest": "d", "records": fact | {"value": records}},),
            "claim": (
                {
                    "id": "c",
                    "mechanism": "m",
                    "datasets": ("d",),
                    "wording": "-",
                    "epsilons": fact | {"value": (1.0,)},
                    "delta": fact | {"value": delta},
                },
            ),
        }
    )
    answers = list(all_checks()[IDENT].run(Subject(card)))
    severities = [answer.severity for answer in answers if isinstance(answer, Finding)]
    if delta * records > 1.001:
        assert severities == [Severity.HIGH]
    elif 0.1001 < delta * records < 0.999:
        assert severities == [Severity.LOW]
    elif delta * records < 0.0999:
        assert answers == []
