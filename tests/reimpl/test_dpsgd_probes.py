"""The auditor's probes on our own steps: they pass the corrected ones, and find in the published ones what is there."""

from __future__ import annotations

import pytest

from audit.probes.load import load
from audit.probes.plan import BRIEF
from audit.probes.suite import probe
from audit.types import ProbeStatus

PUBLISHED_FLAWS = {
    "diffuseq": {"sensitivity", "additivity", "replay", "randomness"},
    "seqdiffuseq": {"replay"},
    "genie": {"sensitivity", "additivity", "replay", "randomness", "steps"},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["diffuseq", "seqdiffuseq"])
def test_no_probe_finds_anything_in_a_corrected_step(name: str) -> None:
    loop = load(f"reimpl.probe_steps:{name}_corrected")
    assert {answer.status for answer in probe(loop, BRIEF)} == {ProbeStatus.HOLDS}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["diffuseq", "seqdiffuseq"])
def test_the_probes_find_the_flaws_of_a_published_step(name: str) -> None:
    loop = load(f"reimpl.probe_steps:{name}_published")
    violated = {answer.probe for answer in probe(loop, BRIEF) if answer.status is ProbeStatus.VIOLATED}
    assert violated == PUBLISHED_FLAWS[name]


def test_a_published_step_has_noise_and_batches_that_its_public_seed_repeats() -> None:
    loop = load("reimpl.probe_steps:genie_published")
    answers = {answer.probe: answer.status for answer in probe(loop, BRIEF, ["randomness", "steps"])}
    assert answers == {"randomness": ProbeStatus.VIOLATED, "steps": ProbeStatus.VIOLATED}
