from audit.types import Finding, Severity, Skip

IDENT = "unaccounted-data-dependent-state"
NOT_STATED = {"value": None, "where": "all of it", "known": "code"}


def test_all_channels_of_a_mechanism_stand_in_one_finding(ask):
    state = {"timestep_sampler": "loss-aware", "noise_schedule": "adaptive-private", "raw_statistics_released": "a.npy"}
    [finding] = ask(IDENT, mechanism=state)
    assert finding.severity is Severity.HIGH
    assert len(finding.evidence) == 3


def test_what_is_written_is_low_until_it_is_released(ask):
    written = {"raw_statistics_written": "losses.pkl"}
    [finding] = ask(IDENT, mechanism=written)
    assert finding.severity is Severity.LOW
    [finding] = ask(IDENT, mechanism=written | {"raw_statistics_released": "losses.pkl"})
    assert finding.severity is Severity.HIGH


def test_uniform_timesteps_alone_do_not_clear_the_schedule(ask):
    [skip] = ask(IDENT, mechanism={"timestep_sampler": "uniform"})
    assert isinstance(skip, Skip)
    assert ask(IDENT, mechanism={"timestep_sampler": "uniform", "noise_schedule": "fixed"}) == []


def test_a_repository_read_whole_that_releases_nothing_is_clean_but_a_digest_is_not(ask):
    assert ask(IDENT, mechanism={"raw_statistics_released": NOT_STATED}) == []
    [skip] = ask(IDENT, mechanism={"raw_statistics_released": NOT_STATED | {"known": "secondary"}})
    assert isinstance(skip, Skip)


def test_a_sampler_known_from_a_digest_is_no_finding(ask):
    told = {"value": "loss-aware", "where": "a digest", "known": "unconfirmed"}
    assert not [a for a in ask(IDENT, mechanism={"timestep_sampler": told}) if isinstance(a, Finding)]
