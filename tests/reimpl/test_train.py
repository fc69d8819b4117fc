"""Runs of tiny recipes: what they leave, that they learn, and that a killed run loses and repeats nothing."""

from __future__ import annotations

import json
import math
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import torch
from typer.main import get_command
from typer.testing import CliRunner

from audit.accounting.answer import answer
from audit.accounting.sampling import Schedule
from audit.ledger import event_of, read_ledger
from reimpl import calibration, plan, recipe, train
from reimpl.__main__ import app
from reimpl.resume import ResumeError
from reimpl.trainable import Example, adapter_module

SIZES = {
    "diffuseq": "num_layers = 1\nintermediate_size = 32\ntime_size = 8\nlength = 32",
    "genie": "intermediate_size = 32\ntime_size = 8\nsource_length = 10\nlength = 24\nencoder_dropout = 0.0",
    "seqdiffuseq": "encoder_layers = 1\ndecoder_layers = 1\nffn_size = 32\nsource_length = 10\nlength = 24",
}
TINY = """
version = 1
id = "tiny-{adapter}"
paper = "none"
adapter = "{adapter}"
epsilons = [8, "inf"]
[training]
batch_size = 16
max_physical_batch_size = 8
steps = 12
learning_rate = 0.01
clip_norm = 1.0
checkpoint_every = 4
[model]
hidden_size = 16
num_heads = 2
max_positions = 40
embedding_size = 8
num_timesteps = 20
dropout = 0.0
attention_dropout = 0.0
{sizes}
[dataset.made]
privacy_unit = "one made-up review"
delta = 1e-4
prompts = ["write a bad review: ", "write a good review: "]
labels = ["bad", "good"]
[dataset.people]
privacy_unit = "all reviews of a person"
unit_is_person = true
group_size = 2
delta = 1e-4
prompts = ["write a bad review: ", "write a good review: "]
labels = ["bad", "good"]
[as-published]
position_gradient = "batch-shared"
timestep_sampler = "loss-aware"
noise_seed = 102
empty_batch = "skip"
steps_counted = "physical"
steps_rounding = "whole-epochs"
"""


def tiny(tmp_path: Path, adapter: str = "diffuseq", **changes: Any) -> recipe.Recipe:
    path = tmp_path / f"tiny-{adapter}.toml"
    path.write_text(TINY.format(adapter=adapter, sizes=SIZES[adapter]))
    training = changes.pop("training", {})
    loaded = recipe.load(str(path), **changes)
    return replace(loaded, training=replace(loaded.training, **training))


def ledger_of(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "ledger.json").read_text()))


@pytest.mark.parametrize("adapter", sorted(SIZES))
def test_a_private_run_leaves_a_model_that_loads_and_a_ledger_that_fits(
    tmp_path: Path, repository: Path, adapter: str
) -> None:
    chosen = tiny(tmp_path, adapter, training={"steps": 3})
    seen = []
    out = train.train(chosen, train.examples(chosen), tmp_path / "out", on_step=lambda p: seen.append(p.step))
    assert seen == [1, 2, 3]
    schema = json.loads((repository / "audit/schemas/ledger.schema.json").read_text())
    jsonschema.validate(ledger_of(out), schema)
    assert read_ledger(out).faults == ()
    assert recipe.Recipe.from_json((out / "recipe.json").read_text()) == chosen
    model = adapter_module(adapter).load(out)
    texts = [t for part in model.generate(["write a bad review: "], torch.Generator().manual_seed(0), {}) for t in part]
    assert len(texts) == 1
    assert sorted(entry.name for entry in out.iterdir() if entry.is_dir()) == ["private"]


def test_nothing_that_a_run_leaves_holds_a_private_text_or_a_loss(tmp_path: Path) -> None:
    chosen = tiny(tmp_path, training={"steps": 2})
    losses: list[float] = []
    out = train.train(chosen, train.examples(chosen), tmp_path / "out", on_step=lambda p: losses.append(p.loss))
    texts = "\n".join(path.read_text() for path in out.rglob("*.json"))
    assert not any(example.target in texts for example in train.examples(chosen))
    assert not any(f"{loss:.5f}"[:-1] in texts for loss in losses)


def held_out_loss(model: Any, chosen: recipe.Recipe) -> float:
    """Mean loss on records no run has trained on, the same timesteps and noises for every model."""
    found = train.examples(chosen, "test")[:64]
    with torch.no_grad():
        drawn = model.draw(len(found), torch.Generator().manual_seed(5))
        return float(model.per_record_loss(model.module.eval(), model.collate(found), drawn).mean())


@pytest.mark.parametrize("adapter", sorted(SIZES))
def test_training_without_noise_lowers_the_loss_on_held_out_records(tmp_path: Path, adapter: str) -> None:
    chosen = tiny(tmp_path, adapter, epsilon=math.inf, training={"steps": 40})
    out = train.train(chosen, train.examples(chosen), tmp_path / "out")
    untrained = train.build(chosen)
    assert held_out_loss(adapter_module(adapter).load(out), chosen) < 0.8 * held_out_loss(untrained, chosen)


@pytest.mark.parametrize(("dataset", "group_size"), [("made", 1), pytest.param("people", 2, marks=pytest.mark.slow)])
def test_the_ledger_priced_by_the_auditor_gives_the_epsilon_that_was_calibrated_for(
    tmp_path: Path, dataset: str, group_size: int
) -> None:
    chosen = tiny(tmp_path, epsilon=8.0, dataset=dataset, training={"steps": 5})
    out = train.train(chosen, train.examples(chosen), tmp_path / "out")
    ledger = read_ledger(out).ledger
    declared, run = ledger.declared, ledger.totals.steps_run
    assert declared.group_size == group_size
    assert declared.sampling_probability is not None
    assert declared.delta is not None
    schedule = Schedule("poisson", declared.sampling_probability, run, None, None, None)
    priced = answer(schedule, declared.noise_multiplier, declared.delta, group_size=group_size)
    assert priced["epsilon_upper"] == pytest.approx(8.0, abs=0.02)
    assert declared.priced is not None
    assert event_of(declared.priced) == calibration.event(
        declared.noise_multiplier, declared.sampling_probability, run, group_size
    )


def test_at_most_group_size_records_of_a_person_are_trained_on(tmp_path: Path) -> None:
    chosen = tiny(tmp_path, dataset="people")
    units = [example.unit for example in train.examples(chosen)]
    assert max(units.count(unit) for unit in units) == 2


def test_which_records_of_a_person_are_kept_depends_on_that_person_alone() -> None:
    mine = [Example("", f"mine {i}", 0, "me") for i in range(4)]
    theirs = [Example("", f"theirs {i}", 0, f"you {i % 3}") for i in range(9)]
    alone = train.bounded(mine, 2)
    mixed = [example for pair in zip(mine, theirs, strict=False) for example in pair]
    assert [e for e in train.bounded(mixed, 2) if e.unit == "me"] == alone


# Killed by SIGKILL inside the seventh update, in the middle of writing a checkpoint, and after the model but before the
# ledger is written.
KILLED = """
import os, signal, sys
from pathlib import Path
from reimpl import dpsgd, recipe, resume, train
place, toml, out = sys.argv[1:]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if place == "update":
    real = dpsgd.PrivateStep.update
    def update(self, noisy, count=[0]):
        count[0] += 1
        die() if count[0] == 7 else real(self, noisy)
    dpsgd.PrivateStep.update = update
if place == "checkpoint":
    real_write = resume.write_durably
    def write(path, text, count=[0]):
        count[0] += 1
        real_write(path, text)
        die() if count[0] == 3 else None
    resume.write_durably = write
if place == "ledger":
    train.Recorder.write = die
chosen = recipe.load(toml, epsilon=8.0)
train.train(chosen, train.examples(chosen), Path(out))
"""


@pytest.mark.parametrize(
    ("place", "discarded"),
    [
        ("update", 3),
        pytest.param("checkpoint", 4, marks=pytest.mark.slow),
        pytest.param("ledger", 0, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_resumes_to_exactly_the_accounted_steps(tmp_path: Path, place: str, discarded: int) -> None:
    chosen, out = tiny(tmp_path, epsilon=8.0), tmp_path / "out"
    toml = str(tmp_path / "tiny-diffuseq.toml")
    killed = subprocess.run([sys.executable, "-c", KILLED, place, toml, str(out)], timeout=240, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (out / "ledger.json").exists()
    with pytest.raises(ResumeError, match="--resume"):
        train.train(chosen, train.examples(chosen), out)
    train.train(chosen, train.examples(chosen), out, resume=True)
    straight = train.train(chosen, train.examples(chosen), tmp_path / "straight")
    ours, theirs = ledger_of(out), ledger_of(straight)
    assert read_ledger(out).faults == ()
    assert ours["totals"]["steps_run"] == theirs["totals"]["steps_run"] == theirs["declared"]["steps_accounted"] == 12
    assert ours["totals"]["batches"]["batches"] == 12
    assert (ours["totals"]["resumes"], ours["totals"]["discarded_steps"]) == (1, discarded)
    assert ours["totals"]["accesses"] == theirs["totals"]["accesses"]
    differing = {"fingerprint"}  # each run has a key of its own
    assert {k: v for k, v in ours["declared"].items() if k not in differing} == {
        k: v for k, v in theirs["declared"].items() if k not in differing
    }


def test_a_resume_gives_the_weights_of_an_unbroken_run_where_randomness_is_seeded(tmp_path: Path) -> None:
    """Moments, average and learning rate come back too: any of them lost would change the later weights."""
    chosen = tiny(tmp_path, epsilon=8.0, training={"ema_decay": 0.5, "warmup_steps": 6})
    found = train.examples(chosen)

    class StopError(Exception):
        pass

    def stop(progress: train.Progress) -> None:
        if progress.step == 6:
            raise StopError

    with pytest.raises(StopError):
        train.train(chosen, found, tmp_path / "broken", insecure_noise_seed=1, on_step=stop)
    train.train(chosen, found, tmp_path / "broken", insecure_noise_seed=1, resume=True)
    train.train(chosen, found, tmp_path / "whole", insecure_noise_seed=1)
    one, other = (adapter_module("diffuseq").load(tmp_path / name).module for name in ("broken", "whole"))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_a_resume_with_other_records_or_another_recipe_is_refused(tmp_path: Path) -> None:
    chosen = tiny(tmp_path)
    found = train.examples(chosen)
    with pytest.raises(ZeroDivisionError):
        train.train(chosen, found, tmp_path / "out", on_step=lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(ResumeError, match="not those the run began with"):
        train.train(chosen, found[1:], tmp_path / "out", resume=True)
    with pytest.raises(ResumeError, match="another recipe"):
        train.train(replace(chosen, epsilon=3.0), found, tmp_path / "out", resume=True)
    with pytest.raises(ResumeError, match="began with os-entropy"):
        train.train(chosen, found, tmp_path / "out", resume=True, insecure_noise_seed=3)


def test_the_published_variant_runs_other_steps_than_it_accounts_for_and_says_why_epsilon_fails(tmp_path: Path) -> None:
    chosen = tiny(tmp_path, "genie", variant="as-published", epsilon=8.0, training={"steps": 7})
    out = train.train(chosen, train.examples(chosen)[:48], tmp_path / "out")
    ledger = ledger_of(out)
    records = ledger["declared"]["records"]
    loader = math.ceil(records / 16)
    assert ledger["declared"]["steps_accounted"] == math.ceil(7 / loader) * loader
    assert ledger["totals"]["steps_run"] == math.ceil(7 / (2 * loader)) * loader
    assert ledger["declared"]["randomness"] == "fixed-seed"
    assert ledger["totals"]["accesses_not_covered"] == 1
    reasons = " ".join(chosen.why_epsilon_fails())
    assert all(word in reasons for word in ("position_gradient", "timestep_sampler", "noise_seed", "steps_counted"))


def test_the_corrected_variant_has_no_reason_why_epsilon_fails(tmp_path: Path) -> None:
    assert tiny(tmp_path).why_epsilon_fails() == []


def test_an_empty_batch_is_noised_and_counted_or_skipped_and_seen(tmp_path: Path) -> None:
    chosen = tiny(tmp_path, epsilon=8.0, training={"batch_size": 1, "steps": 12})
    found = train.examples(chosen)[:4]
    out = train.train(chosen, found, tmp_path / "noised", insecure_noise_seed=4)
    skipping = replace(chosen, switches={**chosen.switches, "empty_batch": "skip"})
    other = train.train(skipping, found, tmp_path / "skipped", insecure_noise_seed=4)
    noised, skipped = ledger_of(out)["totals"], ledger_of(other)["totals"]
    assert noised["batches"] == skipped["batches"]
    assert noised["batches"]["empty"] > 0
    assert noised["steps_run"] == 12
    assert skipped["steps_run"] == 12 - noised["batches"]["empty"]


def test_a_learning_rate_stuck_at_zero_never_moves_a_weight(tmp_path: Path) -> None:
    chosen = tiny(tmp_path, epsilon=8.0, training={"steps": 2})
    stuck = replace(chosen, switches={**chosen.switches, "learning_rate_schedule": "stuck-at-zero"})
    out = train.train(stuck, train.examples(stuck), tmp_path / "out")
    trained, start = adapter_module("diffuseq").load(out).module, train.build(stuck).module
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, start.state_dict()[name]), name


@pytest.mark.parametrize(
    ("schedule", "step", "factor"),
    [("linear", 0, 0.1), ("linear", 9, 0.55), ("linear", 20, 0.0), ("constant", 50, 1.0),
     ("linear-unfloored", 30, -0.5), ("linear-physical", 5, 0.25), ("stuck-at-zero", 5, 0.0)],
)  # fmt: skip
def test_learning_rate_schedules(tmp_path: Path, schedule: str, step: int, factor: float) -> None:
    chosen = tiny(tmp_path, training={"steps": 20, "warmup_steps": 10})
    got = plan.learning_rate_factor(schedule, step, chosen, steps=20, physical=3 * step)
    assert got == pytest.approx(factor)


def test_balancing_by_the_smallest_class_drops_one_record_of_every_class_with_one_of_it(tmp_path: Path) -> None:
    chosen = tiny(tmp_path)
    minimum = replace(chosen, switches={**chosen.switches, "class_balance": "minimum"})
    found = [Example("", f"a{i}", 0) for i in range(9)] + [Example("", f"b{i}", 1) for i in range(5)]
    assert len(train.balanced(found, minimum, b"key")) == 10
    assert len(train.balanced(found[:-1], minimum, b"key")) == 8
    assert train.balanced(found, minimum, b"key") == train.balanced(found, minimum, b"key")


def test_the_command_trains_refuses_to_overwrite_and_prints_why_a_seed_voids_epsilon(tmp_path: Path) -> None:
    tiny(tmp_path)
    arguments = ["train", str(tmp_path / "tiny-diffuseq.toml"), "--epsilon", "8", "--out", str(tmp_path / "out")]
    runner = CliRunner()
    first = runner.invoke(app, [*arguments, "--insecure-noise-seed", "1"])
    assert first.exit_code == 0, first.output
    assert "ε does not hold" in first.output
    declared = ledger_of(tmp_path / "out")["declared"]
    assert declared["randomness"] == "fixed-seed"
    assert f"noise multiplier {declared['noise_multiplier']:.4g}, calibrated for ε = 8" in first.output
    again = runner.invoke(app, arguments)
    assert again.exit_code == 2
    assert "finished run" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["nothing-such"], "no recipe 'nothing-such'"), (["RECIPE", "--dataset", "none"], "dataset: expected one of made"),
     (["RECIPE", "--epsilon", "-1"], "epsilon: expected a number above 0"),
     (["RECIPE", "--data", "no/file"], "no such")],
)  # fmt: skip
def test_bad_choices_end_in_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    tiny(tmp_path)
    named = [str(tmp_path / "tiny-diffuseq.toml") if part == "RECIPE" else part for part in arguments]
    result = CliRunner().invoke(app, ["train", *named, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert message in result.output
    assert not (tmp_path / "out" / "recipe.json").exists()


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ("version = 1", "version = 2", "expected version = 1"),
        ("clip_norm = 1.0", "clip = 1.0", "training.clip: unknown"),
        ("clip_norm = 1.0", "", "clip_norm missing"),
        ("clip_norm = 1.0", "clip_norm = -1.0", "training.clip_norm: expected float"),
        ("steps = 12", "steps = 12.5", "training.steps: expected int"),
        ("steps = 12", "steps = 12\nepochs = 2", "exactly one of steps and epochs"),
        ('labels = ["bad", "good"]', 'labels = ["bad"]', "as many prompts as labels"),
        (
            'position_gradient = "batch-shared"',
            'position_gradient = "none"',
            "expected one of per-record, batch-shared",
        ),
        ('epsilons = [8, "inf"]', 'epsilons = ["many"]', "epsilons: expected numbers"),
        ("[training]", "[scale]\nsmoke = 3\n[training]", "scale.smoke: expected a table"),
        ("dropout = 0.0", "logits_mode = 2\ndropout = 0.0", "model.logits_mode"),
        ("dropout = 0.0", "drop = 0.0", "model.drop: unknown"),
    ],
)
def test_a_bad_recipe_is_refused_by_file_key_and_what_was_expected(
    tmp_path: Path, was: str, becomes: str, message: str
) -> None:
    tiny(tmp_path)
    file = tmp_path / "tiny-diffuseq.toml"
    file.write_text(file.read_text().replace(was, becomes, 1))
    arguments = ["train", str(file), "--variant", "as-published", "--epsilon", "8", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert message in result.output


def test_records_read_from_a_file_are_trained_on_after_the_prompt_of_their_label(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"text": f"text {i}", "label": "good"}) + "\n" for i in range(3)))
    chosen = tiny(tmp_path)
    found = train.examples(replace(chosen, data=replace(chosen.data, source=str(file))))
    assert found[0] == Example("write a good review: ", "text 0", 1, None)


def test_the_page_on_training_names_every_switch_with_its_choices_and_options_that_exist(repository: Path) -> None:
    page = (repository / "docs" / "training.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (.+) \|$", page, re.MULTILINE))
    assert set(rows) == set(recipe.SWITCHES)
    for switch, choices in recipe.SWITCHES.items():
        assert [c for c in re.findall(r"`([a-z-]+)`", rows[switch]) if c in choices] == list(choices)
        for choice in choices:
            voids = re.search(rf"`{choice}` ✗", rows[switch]) is not None
            assert voids == ((switch, choice) in recipe.WHY_EPSILON_FAILS)
    options = {o for p in get_command(app).commands["train"].params for o in p.opts}  # type: ignore[attr-defined]
    used = {o for line in page.splitlines() if "reimpl train" in line for o in re.findall(r"--[a-z-]+", line)}
    assert used <= options
