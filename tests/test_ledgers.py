"""A run's ledger, priced and judged. The ledgers are written here by hand, their digests by hashlib alone."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.checks.run_not_as_accounted import _beside_card
from audit.departures import departures
from audit.init import Answers, write_card
from audit.ledger import LedgerError, event_of, read_ledger
from audit.run import run_audit
from audit.runs import audited
from audit.types import PricedEvent, RunResult, Severity
from audit.utility import read_utility

Json = dict[str, Any]
STEPS, Q, NOISE = 1000, 0.01, 1.0


def sha(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def gaussian_run(steps: int, q: float, noise: float) -> Json:
    gaussian = {"kind": "gaussian", "noise_multiplier": noise}
    sampled = {"kind": "poisson-sampled", "sampling_probability": q, "event": gaussian}
    return {"kind": "self-composed", "count": steps, "event": sampled}


def ledger(
    entries: list[Json] | None = None, *, declared: Json | None = None, totals: Json | None = None, chain: bool = True
) -> Json:
    """A ledger of 10,000 records, batches of 100: by default one entry with all steps accounted."""
    told = {
        "recipe": "small",
        "variant": "corrected",
        "records": 10_000,
        "fingerprint": "0" * 64,
        "privacy_unit": "one record",
        "group_size": 1,
        "neighboring_relation": "add-or-remove-one",
        "sampler": "poisson",
        "sampling_probability": Q,
        "expected_batch_size": 100.0,
        "clip_norm": 1.0,
        "noise_multiplier": NOISE,
        "steps_accounted": STEPS,
        "target_epsilon": 2.0,
        "delta": 1e-5,
        "priced": gaussian_run(STEPS, Q, NOISE),
        "randomness": "os-entropy",
        "versions": {},
    } | (declared or {})
    lines = entries if entries is not None else [steps(STEPS)]
    previous = sha(told)
    for number, entry in enumerate(lines):
        if chain:
            entry |= {"number": number, "previous": previous}
        previous = sha(entry)
    batches = [e["batches"] for e in lines if e.get("batches")]
    added = {
        "steps_run": sum(e.get("steps", 0) for e in lines),
        "batches": {
            "batches": sum(b["batches"] for b in batches),
            "records": sum(b["records"] for b in batches),
            "smallest": min(b["smallest"] for b in batches),
            "largest": max(b["largest"] for b in batches),
            "empty": 0,
        },
        "accesses": sum(e["kind"] == "access" for e in lines),
        "accesses_not_covered": sum(e["kind"] == "access" and not e["access"]["covered"] for e in lines),
        "resumes": 0,
        "discarded_steps": 0,
        "seconds": 1.0,
        "peak_memory_bytes": 1,
    }
    return {"version": 1, "declared": told, "entries": lines, "totals": added | (totals or {}), "head": previous}


def steps(count: int, *, batches: int | None = None, size: int = 100, spread: int = 30) -> Json:
    drawn = batches or count
    sizes = {"batches": drawn, "records": drawn * size, "smallest": size - spread, "largest": size + spread, "empty": 0}
    return {"kind": "steps", "steps": count, "batches": sizes}


def access(what: str, *, covered: bool) -> Json:
    return {"kind": "access", "access": {"what": what, "covered": covered, "why": None}}


def read(tmp_path: Path, body: Json) -> RunResult:
    path = tmp_path / "ledger.json"
    path.write_text(json.dumps(body), encoding="utf-8")
    return audited(read_ledger(path))


def as_run(run: RunResult) -> tuple[float, float]:
    (rung,) = (r for r in run.ladder if r.id == "as-run")
    assert rung.epsilon_lower is not None
    assert rung.epsilon_upper is not None
    return rung.epsilon_lower, rung.epsilon_upper


def test_a_run_as_priced_has_the_epsilon_of_opacus_own_accountant(tmp_path: Path) -> None:
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(NOISE, Q, STEPS)]
    run = read(tmp_path, ledger())
    lower, upper = as_run(run)
    assert lower <= accountant.get_epsilon(delta=1e-5) + 0.02
    assert upper >= accountant.get_epsilon(delta=1e-5) - 0.02
    assert upper - lower < 0.02
    assert run.verdict_level == "holds"
    assert run.faults == run.departures == ()


@given(st.integers(0, 4))
@settings(max_examples=5, deadline=None)
def test_whichever_entry_is_removed_the_ledger_does_not_hang_together(
    tmp_path_factory: pytest.TempPathFactory, gone: int
) -> None:
    body = ledger([steps(200) for _ in range(5)])
    del body["entries"][gone]
    run = read(tmp_path_factory.mktemp("run"), body)
    assert run.faults
    assert run.verdict_level == "unknown"


def test_an_entry_that_was_changed_breaks_the_chain_even_when_the_totals_fit(tmp_path: Path) -> None:
    body = ledger([steps(600), steps(600)])
    body["entries"][0]["steps"] = 400
    body["totals"]["steps_run"] = 1000
    assert any("digest differs" in fault for fault in read(tmp_path, body).faults)


def test_a_last_entry_cut_off_is_noticed_by_the_head(tmp_path: Path) -> None:
    body = ledger([steps(600), steps(400)])
    whole = ledger([steps(600)])
    body["entries"], body["totals"] = whole["entries"], whole["totals"]
    assert any("last line" in fault for fault in read(tmp_path, body).faults)


@pytest.mark.parametrize("name", ["steps_run", "accesses", "accesses_not_covered", "resumes", "discarded_steps"])
def test_a_total_that_its_entries_do_not_add_up_to_is_named(tmp_path: Path, name: str) -> None:
    body = ledger()
    body["totals"][name] += 1
    assert read(tmp_path, body).faults == (f"totals.{name} is not what the entries add up to",)


def test_more_steps_than_accounted_cost_more_than_was_asked_for(tmp_path: Path) -> None:
    run = read(tmp_path, ledger([steps(2 * STEPS)]))
    assert as_run(run)[0] > 2.0
    assert run.verdict_level == "broken"
    assert run.departures == ("2,000 noisy updates ran; 1,000 were accounted",)


def test_a_run_that_stopped_early_departs_in_nothing_and_costs_less(tmp_path: Path) -> None:
    run = read(tmp_path, ledger([steps(STEPS // 2)]))
    assert run.departures == ()
    assert as_run(run)[1] < as_run(read(tmp_path, ledger()))[0]


def test_noise_from_a_fixed_seed_leaves_no_upper_bound(tmp_path: Path) -> None:
    run = read(tmp_path, ledger(declared={"randomness": "fixed-seed"}))
    assert run.ladder[-1].id == "channels"
    assert run.ladder[-1].epsilon_upper == math.inf
    assert run.verdict_level == "broken"


def test_an_access_counts_only_where_the_price_does_not_cover_it(tmp_path: Path) -> None:
    noised = ledger([steps(STEPS), access("label counts with noise", covered=True)])
    exact = ledger([steps(STEPS), access("label counts", covered=False)])
    assert read(tmp_path, noised).verdict_level == "holds"
    assert read(tmp_path, exact).verdict_level == "broken"
    assert "label counts" in read(tmp_path, exact).verdict


def test_skipped_batches_show_and_are_not_covered(tmp_path: Path) -> None:
    run = read(tmp_path, ledger([steps(STEPS - 3, batches=STEPS)]))
    assert run.verdict_level == "broken"
    assert "3 batches made no noisy update" in run.departures[0]


def test_batches_all_of_one_size_are_not_poisson_batches(tmp_path: Path) -> None:
    run = read(tmp_path, ledger([steps(STEPS, spread=0)]))
    assert "Poisson batches vary" in run.departures[0]
    assert run.verdict_level == "unknown"


def test_sound_poisson_batches_are_never_doubted(tmp_path: Path) -> None:
    import numpy as np

    random, path = np.random.default_rng(7), tmp_path / "ledger.json"
    for _ in range(200):
        drawn = random.binomial(10_000, Q, size=STEPS)
        entry = steps(STEPS)
        entry["batches"] |= {
            "records": int(drawn.sum()),
            "smallest": int(drawn.min()),
            "largest": int(drawn.max()),
        }
        path.write_text(json.dumps(ledger([entry])), encoding="utf-8")
        whole = read_ledger(path).ledger
        assert list(departures(whole.declared, whole.totals)) == []


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"noise_multiplier": 0.5}, "noise multiplier 1 was priced"),
        ({"expected_batch_size": 200.0}, "sampling probability 0.01 was priced"),
        ({"group_size": 4}, "a unit holds up to 4 records; 1 were priced"),
        ({"sampler": "shuffle-each-epoch"}, "Poisson sampling was priced"),
        ({"priced": None}, "nothing was priced"),
        ({"clip_norm": None}, "gradients were not clipped"),
    ],
)
def test_what_was_priced_and_what_ran_are_compared(tmp_path: Path, declared: Json, said: str) -> None:
    run = read(tmp_path, ledger(declared=declared))
    assert any(said in line for line in run.departures)
    assert run.verdict_level != "holds"


def test_a_person_with_several_records_priced_as_such_departs_in_nothing(tmp_path: Path) -> None:
    mixture = {
        "kind": "mixture-of-gaussians",
        "noise_multiplier": NOISE,
        "sensitivities": [0.0, 1.0, 2.0],
        "probabilities": [(1 - Q) ** 2, 2 * Q * (1 - Q), Q**2],
    }
    priced = {"kind": "self-composed", "count": STEPS, "event": mixture}
    run = read(tmp_path, ledger(declared={"group_size": 2, "priced": priced, "target_epsilon": 5.0}))
    assert run.departures == ()
    recomputed = next(rung for rung in run.ladder if rung.id == "recomputed")
    assert as_run(run)[1] == pytest.approx(recomputed.epsilon_upper, rel=2e-3)


def test_an_event_without_its_numbers_is_refused_in_one_line() -> None:
    with pytest.raises(LedgerError, match=r"^priced: an event of kind self-composed without all its numbers$"):
        event_of(PricedEvent(kind="self-composed", count=3))


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "expected the JSON of a ledger"), ("[]", "the file"), ('{"version": 2}', "version"), ("[" * 5000, "JSON")],
)
def test_what_is_no_ledger_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LedgerError) as refused:
        read_ledger(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_ledger_given_to_an_audit_is_judged_and_its_figures_are_shown(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "ledger.json").write_text(json.dumps(ledger([steps(2 * STEPS)])), encoding="utf-8")
    digest = hashlib.sha256((folder / "ledger.json").read_bytes()).hexdigest()
    figures = {"macro_f1": {"mean": 0.8, "standard_deviation": 0.01, "values": [0.79, 0.81]}}
    evaluation = {"ledger_sha256": digest, "sets": {"synthetic": {"downstream": figures}}}
    (folder / "evaluation.json").write_text(json.dumps(evaluation), encoding="utf-8")
    card = Path(__file__).parent / "cases" / "ledger-broken" / "skip" / "no-ledger"
    result = run_audit(card, ledgers=[folder, folder])
    (run,) = result.runs
    assert run.ledger_sha256 == digest
    assert [(u.set, u.metric, u.mean) for u in run.utility] == [("synthetic", "macro_f1", 0.8)]
    (outcome,) = (o for o in result.outcomes if o.check == "run-not-as-accounted")
    assert "2,000 noisy updates ran" in outcome.findings[0].summary
    of_card = hashlib.sha256((card / "card.toml").read_bytes()).hexdigest()
    assert result.provenance.inputs == {f"card {result.paper.id}": of_card, "ledger 1": digest}


def card_of(folder: Path, **further: Any) -> Path:
    write_card(folder, Answers("small", "A", "a model", "rows", **({"epsilon": 2.0, "delta": "1e-5"} | further)))
    return folder


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, None),
        ({"epsilon": 0.5}, "ε asked for is 2, on the card 0.5"),
        ({"records": 20_000}, "number of records is 10,000, on the card 20,000"),
        ({"records": 10_000, "batch_size": 100, "epochs": 10, "sampler": "poisson", "noise_multiplier": 3.0},
         "noise multiplier is 1, on the card 3"),
    ],
)  # fmt: skip
def test_a_ledger_of_another_run_than_the_card_tells_is_found(tmp_path: Path, said: Json, found: str | None) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(json.dumps(ledger()), encoding="utf-8")
    result = run_audit(card_of(tmp_path / "card", **said), ledgers=[path])
    (outcome,) = (o for o in result.outcomes if o.check == "run-not-as-accounted")
    assert [found in f.summary for f in outcome.findings] == ([] if found is None else [True])
    assert {f.severity for f in outcome.findings} <= {Severity.MEDIUM}  # nothing in it refutes the claim
    assert all("another run" in f.summary for f in outcome.findings)


def test_an_evaluation_of_another_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "evaluation.json").write_text(json.dumps({"ledger_sha256": "1" * 64, "sets": {}}), encoding="utf-8")
    with pytest.raises(LedgerError, match="of another run"):
        read_utility(tmp_path, "0" * 64)


def test_a_run_of_one_dataset_is_held_against_the_claims_of_that_dataset_alone(tmp_path: Path) -> None:
    mechanism = {"mechanism": "lm", "epsilon": 2.0, "noise_multiplier": 1.0, "noise_multiplier_derived": True}
    claims = [SimpleNamespace(dataset=d, records=n, **mechanism) for d, n in (("a", 500), ("b", 10_000))]
    run = SimpleNamespace(mechanism=None, dataset="a", ladder=(), noise_multiplier=1.0, records=10_000)
    subject = SimpleNamespace(claims=claims)
    assert list(_beside_card(subject, run)) == ["its number of records is 10,000, on the card 500"]
    run.dataset = "c"  # on no card: any claim may be meant
    assert list(_beside_card(subject, run)) == []
