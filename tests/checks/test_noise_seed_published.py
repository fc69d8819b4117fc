from audit.types import Finding, Severity, Skip

IDENT = "noise-seed-published"


def test_seed_zero_is_a_seed(ask):
    [finding] = ask(IDENT, mechanism={"noise_seed": 0})
    assert isinstance(finding, Finding)
    assert finding.severity is Severity.HIGH


def test_a_secure_generator_makes_the_seed_harmless(ask):
    assert ask(IDENT, mechanism={"noise_seed": 102, "secure_noise": True}) == []


def test_a_secure_generator_that_only_a_digest_reports_does_not(ask):
    told = {"value": True, "where": "a digest", "known": "secondary"}
    [finding] = ask(IDENT, mechanism={"noise_seed": 102, "secure_noise": told})
    assert isinstance(finding, Finding)


def test_no_word_about_seeds_is_a_skip(ask):
    [skip] = ask(IDENT)
    assert isinstance(skip, Skip)
