from audit.types import Basis, Finding, Skip

IDENT = "per-record-gradient-coupled"
SEEN = {
    "id": "seen",
    "kind": IDENT,
    "mechanisms": ("m",),
    "where": "model.py:93",
    "commit": "0123456",
    "basis": "observed",
    "what": "Positions are looked up once.",
    "figures": ("28 C",),
}


def test_an_observation_beside_a_fact_is_evidence_and_leaves_the_basis(ask):
    [finding] = ask(IDENT, mechanism={"position_gradient": "batch-shared"}, observation=(SEEN,))
    assert finding.basis is Basis.READ
    assert [e for e in finding.evidence if "28 C" in e.what and "0123456" in e.where]


def test_an_observation_alone_is_read_and_says_that_it_repeats_a_reading(ask):
    finding, skip = ask(IDENT, observation=(SEEN,))
    assert isinstance(finding, Finding)
    assert isinstance(skip, Skip)
    assert finding.basis is Basis.READ
    assert "repeats a reading" in finding.summary


def test_the_bound_counts_the_rows_handled_together(ask):
    shared = {"position_gradient": "batch-shared", "batch_size": 256}
    [finding] = ask(IDENT, mechanism=shared)
    assert "512 C for the 256 rows" in finding.evidence[1].what
    [finding] = ask(IDENT, mechanism=shared | {"physical_batch_size": 64})
    assert "128 C for the 64 rows" in finding.evidence[1].what


def test_either_coupling_is_enough_and_both_facts_are_needed_to_clear(ask):
    assert ask(IDENT, mechanism={"position_gradient": "per-record", "loss_reduction": "per-record"}) == []
    for one in ({"position_gradient": "per-record"}, {"loss_reduction": "per-record"}):
        [skip] = ask(IDENT, mechanism=one)
        assert isinstance(skip, Skip)
    [finding] = ask(IDENT, mechanism={"position_gradient": "per-record", "loss_reduction": "batch-token-mean"})
    assert isinstance(finding, Finding)
