"""Ledgers: chained, adding up, fitting their schema, and telling on a loop that is not ours."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from transformers import TrainerControl, TrainerState
from transformers.trainer_callback import CallbackHandler

from audit.types import Ledger
from reimpl import calibration
from reimpl.ledger import Batches, LedgerCallback, Recorder, declaration, digest, fingerprint, recorded

KEY = bytes(32)


def declared(**changes: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "recipe": "own-loop",
        "records": 40,
        "fingerprint": fingerprint([("a text", 1)], KEY),
        "privacy_unit": "one review",
        "expected_batch_size": 8,
        "noise_multiplier": 1.1,
        "clip_norm": 1.0,
        "steps_accounted": 6,
        "randomness": "os-entropy",
    }
    return declaration(**(facts | changes))


def chain_is_whole(ledger: dict[str, Any]) -> bool:
    """What a reader checks, written from the format's description."""
    expected = digest(ledger["declared"])
    for number, entry in enumerate(ledger["entries"]):
        if entry["number"] != number or entry["previous"] != expected:
            return False
        expected = digest(entry)
    return bool(ledger["head"] == expected)


def test_a_ledger_fits_the_schema_and_the_auditors_type(repository: Path) -> None:
    recorder = Recorder(declared())
    recorder.step(7)
    recorder.access("validation loss", covered=False, why="not priced")
    recorder.step(0)
    recorder.resumed(2)
    recorder.step(0, noisy=False)
    ledger = recorder.as_json()
    schema = json.loads((repository / "audit/schemas/ledger.schema.json").read_text())
    jsonschema.validate(ledger, schema)
    Ledger.model_validate_json(json.dumps(ledger))
    totals = ledger["totals"]
    assert totals["steps_run"] == 2
    assert totals["batches"] == {"batches": 3, "records": 7, "smallest": 0, "largest": 7, "empty": 2}
    assert (totals["accesses"], totals["accesses_not_covered"]) == (1, 1)
    assert (totals["resumes"], totals["discarded_steps"]) == (1, 2)


@pytest.mark.parametrize("removed", range(4))
def test_a_removed_entry_breaks_the_chain(removed: int) -> None:
    recorder = Recorder(declared())
    for _ in range(2):
        recorder.step(8)
        recorder.access("log", covered=True)
    ledger = recorder.as_json()
    assert chain_is_whole(ledger)
    del ledger["entries"][removed]
    assert not chain_is_whole(ledger)


def test_a_changed_declaration_breaks_the_chain() -> None:
    recorder = Recorder(declared())
    recorder.step(8)
    ledger = recorder.as_json()
    ledger["declared"]["noise_multiplier"] = 2.0
    assert not chain_is_whole(ledger)


def test_a_ledger_goes_on_where_it_was_read_back() -> None:
    straight, halved = Recorder(declared()), Recorder(declared())
    for recorder in (straight, halved):
        recorder.step(8)
        recorder.commit()
    halved = Recorder(json.loads(json.dumps(halved.declared)), json.loads(json.dumps(halved.entries)))
    for recorder in (straight, halved):
        recorder.step(5)
    assert straight.as_json()["head"] == halved.as_json()["head"]


@given(st.lists(st.lists(st.integers(0, 50), max_size=5), max_size=5))
def test_sizes_summed_up_in_parts_are_sizes_summed_up_at_once(parts: list[list[int]]) -> None:
    whole, merged = Batches(), Batches()
    for part in parts:
        some = Batches()
        for size in part:
            some.add(size)
            whole.add(size)
        merged.merge(some)
    sizes = [size for part in parts for size in part]
    assert whole == merged
    assert whole == Batches(len(sizes), sum(sizes), min(sizes, default=0), max(sizes, default=0), sizes.count(0))


def test_a_fingerprint_depends_on_the_records_and_the_key_and_not_on_their_order() -> None:
    records = [("one", 1), ("two", 2)]
    assert fingerprint(records, KEY) == fingerprint(records[::-1], KEY)
    assert fingerprint(records, KEY) != fingerprint(records[:1], KEY)
    assert fingerprint(records, KEY) != fingerprint(records, b"another key")


def opacus_loop(path: Path, steps: int, fail_at: int | None = None) -> list[int]:
    """A Poisson-sampled Opacus loop with physical batches of 3; returns the sizes its loader drew."""
    from opacus import PrivacyEngine
    from opacus.utils.batch_memory_manager import BatchMemoryManager
    from torch.utils.data import DataLoader, TensorDataset

    torch.manual_seed(0)
    rows = TensorDataset(torch.randn(40, 3), torch.randn(40, 1))
    model = torch.nn.Linear(3, 1)
    engine = PrivacyEngine(accountant="prv")
    model, optimizer, loader = engine.make_private(
        module=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        data_loader=DataLoader(rows, batch_size=8),
        noise_multiplier=1.1,
        max_grad_norm=1.0,
    )
    sizes: list[int] = []
    sampler = loader.batch_sampler
    original = type(sampler).__iter__

    class Watched(type(sampler)):  # type: ignore[misc]
        def __iter__(self) -> Any:
            for batch in original(self):
                sizes.append(len(batch))
                yield batch

    sampler.__class__ = Watched
    with recorded(path, declared(steps_accounted=steps), optimizer) as run:
        run.access("validation loss after each epoch", covered=False)
        done = 0
        while done < steps:
            with BatchMemoryManager(data_loader=loader, max_physical_batch_size=3, optimizer=optimizer) as physical:
                for x, y in physical:
                    optimizer.zero_grad()
                    ((model(x) - y) ** 2).mean().backward()
                    optimizer.step()
            done += len(loader)
            if fail_at is not None and done >= fail_at:
                raise RuntimeError("the loop breaks")
    assert len(engine.accountant) > 0, "the accountant's own hook is still called"
    return sizes


def test_an_opacus_loop_with_physical_batches_is_counted_in_logical_steps(tmp_path: Path) -> None:
    sizes = opacus_loop(tmp_path / "ledger.json", steps=10)
    ledger = json.loads((tmp_path / "ledger.json").read_text())
    Ledger.model_validate_json(json.dumps(ledger))
    assert chain_is_whole(ledger)
    assert ledger["totals"]["steps_run"] == len(sizes) == 10
    assert ledger["totals"]["batches"]["records"] == sum(sizes)
    assert ledger["totals"]["accesses_not_covered"] == 1


def test_the_example_loop_runs_and_leaves_the_ledger_of_its_steps(tmp_path: Path, repository: Path) -> None:
    runpy.run_path(str(repository / "examples" / "opacus_loop.py"))["main"](tmp_path)
    ledger = json.loads((tmp_path / "ledger.json").read_text())
    Ledger.model_validate_json(json.dumps(ledger))
    assert chain_is_whole(ledger)
    assert ledger["totals"]["steps_run"] == ledger["declared"]["steps_accounted"] == 30
    assert ledger["declared"]["calibrated"]["pld"] == pytest.approx(8.0, abs=0.02)


def test_a_loop_that_breaks_leaves_the_ledger_of_the_steps_it_made(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the loop breaks"):
        opacus_loop(tmp_path / "ledger.json", steps=20, fail_at=5)
    assert json.loads((tmp_path / "ledger.json").read_text())["totals"]["steps_run"] == 5


def callback_for(path: Path) -> LedgerCallback:
    return LedgerCallback(path, declared(sampler="shuffle-each-epoch", expected_batch_size=4))


def check_callback_ledger(path: Path, steps: int) -> None:
    ledger = json.loads(path.read_text())
    Ledger.model_validate_json(json.dumps(ledger))
    noted = [entry["access"]["what"] for entry in ledger["entries"] if entry["access"]]
    assert chain_is_whole(ledger)
    assert ledger["totals"]["steps_run"] == steps
    assert len(noted) == 2
    assert any("evaluation" in what for what in noted)
    assert any("losses" in what for what in noted)


def test_a_callback_counts_steps_and_notes_what_else_reads_the_data(tmp_path: Path) -> None:
    callback = callback_for(tmp_path / "ledger.json")
    handler = CallbackHandler([callback], torch.nn.Linear(1, 1), None, None, None)
    state, control = TrainerState(), TrainerControl()
    arguments = SimpleNamespace(train_batch_size=4, gradient_accumulation_steps=1, load_best_model_at_end=False)
    handler.on_train_begin(arguments, state, control)
    for _ in range(6):
        state.global_step += 1
        handler.on_step_end(arguments, state, control)
        handler.on_log(arguments, state, control, {"loss": 1.0})
    handler.on_evaluate(arguments, state, control, {"eval_loss": 1.0})
    handler.on_train_end(arguments, state, control)
    check_callback_ledger(tmp_path / "ledger.json", steps=6)


def test_a_trainer_with_the_callback_leaves_a_ledger(tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="needs accelerate, which Trainer asks for")
    from transformers import Trainer, TrainingArguments

    class Rows(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
        def __len__(self) -> int:
            return 12

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            return {"x": torch.tensor([float(index)])}

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(1, 1)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"loss": self.line(x).square().mean()}

    arguments = TrainingArguments(
        output_dir=str(tmp_path / "out"),
        per_device_train_batch_size=4,
        num_train_epochs=2,
        logging_steps=1,
        eval_strategy="epoch",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    callback = callback_for(tmp_path / "ledger.json")
    Trainer(Model(), arguments, train_dataset=Rows(), eval_dataset=Rows(), callbacks=[callback]).train()
    check_callback_ledger(tmp_path / "ledger.json", steps=6)


@pytest.mark.parametrize(("target", "group_size"), [(1.0, 1), (8.0, 1), (1.0, 2)])
def test_calibrated_noise_reaches_its_target_from_below(target: float, group_size: int) -> None:
    noise = calibration.noise_multiplier_for(target, 1e-5, 0.05, 20, group_size)
    reached = calibration.epsilon(calibration.event(noise, 0.05, 20, group_size), 1e-5)
    assert target * 0.998 <= reached <= target


def test_a_group_drawn_by_one_coin_each_costs_more_than_one_record_and_less_than_all_at_once() -> None:
    one, three = (calibration.epsilon(calibration.event(1.5, 0.1, 10, size), 1e-5) for size in (1, 3))
    together = calibration.epsilon(calibration.event(0.5, 0.1, 10), 1e-5)  # three records always drawn together
    assert one < three < together


def test_the_records_of_a_unit_in_a_batch_are_binomial() -> None:
    content = calibration.as_json(calibration.event(1.3, 0.1, 70, 3))["event"]
    assert content["sensitivities"] == [0, 1, 2, 3]
    assert content["probabilities"] == pytest.approx(binom.pmf(range(4), 3, 0.1))


def test_the_event_in_a_ledger_is_the_one_that_was_priced() -> None:
    content = calibration.as_json(calibration.event(1.3, 0.02, 70))
    assert content == {
        "kind": "self-composed",
        "count": 70,
        "event": {
            "kind": "poisson-sampled",
            "sampling_probability": 0.02,
            "event": {"kind": "gaussian", "noise_multiplier": 1.3},
        },
    }
