"""A mechanism that trains nothing, but lets every record vote, has no batches and no gradients to find fault with."""

from __future__ import annotations

import pytest

VOTES = {"kind": "gaussian-votes", "noise_multiplier": 8.0, "steps": 10}
OF_TRAINING = ["sampling-mismatch", "empty-batch-skipped", "per-record-gradient-coupled", "training-had-no-effect"]


@pytest.mark.parametrize("check", OF_TRAINING)
def test_a_flaw_of_training_loops_cannot_be_in_a_vote(ask, check):
    assert ask(check, mechanism=VOTES, dataset={"records": 1000}) == []
    assert ask(check, mechanism=VOTES | {"kind": "dp-sgd"}, dataset={"records": 1000}) != []


def test_as_many_rounds_as_accounted_are_clean(ask):
    assert ask("steps-mismatch", mechanism=VOTES | {"steps_run": 10}, dataset={"records": 1000}) == []
    [finding] = ask("steps-mismatch", mechanism=VOTES | {"steps_run": 20}, dataset={"records": 1000})
    assert "20" in finding.summary


def test_exact_label_counts_are_found_in_votes_too(ask):
    [finding] = ask("label-distribution-released", mechanism=VOTES | {"label_distribution": "exact"})
    assert finding.severity == "high"
