"""Synthetic records on disk: reproducible, whole, tied to a ledger, and loadable by others."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from reimpl import recipe as recipes
from reimpl.__main__ import app
from reimpl.generate import GenerateError, generate, in_proportion, ledger_digest
from reimpl.generated import generated
from reimpl.ledger import Recorder, declaration, digest
from reimpl.synthetic import SyntheticError, read, synthetic_files
from reimpl.trainable import adapter_module
from reimpl.vocabulary import tokenizer


def untrained(folder: Path, name: str, **choices: Any) -> Path:
    """The folder of a run that ended after one step, with the weights it started from."""
    chosen = recipes.load(name, scale="smoke", epsilon=8.0, **choices)
    model = {**chosen.model, **({"num_timesteps": 3} if "config" not in chosen.model else {})}
    recipe = replace(chosen, model=model, generation={**chosen.generation, "count": 10, "batch_size": 4})
    folder.mkdir()
    made = adapter_module(recipe.adapter).build(recipe, tokenizer("generated"))
    made.save(folder, made.module.state_dict())
    (folder / "recipe.json").write_text(recipe.as_json())
    declared = declaration(
        recipe=recipe.id,
        records=300,
        fingerprint="0" * 64,
        privacy_unit="one record",
        expected_batch_size=32,
        noise_multiplier=1.0,
        clip_norm=1.0,
        steps_accounted=1,
        randomness="os-entropy",
    )
    recorder = Recorder(declared)
    recorder.step(32)
    recorder.write(folder / "ledger.json")
    return folder


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("runs") / "gpt2", "yue-2023-gpt2")


@pytest.fixture
def run(gpt2: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(gpt2, tmp_path / "run"))


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_row_says_where_it_comes_from(run: Path) -> None:
    found = rows(generate(run, seed=7))
    assert [row["label"] for row in found] == [0, 1] * 5
    recipe = recipes.load("yue-2023-gpt2", scale="smoke")
    for row in found:
        assert row["prompt"] == recipe.data.prompts[row["label"]]
        assert row["label_name"] == recipe.data.labels[row["label"]]
        assert row["seed"] == 7
        assert json.loads(row["options"])["top_k"] == 50
        assert row["ledger_sha256"] == hashlib.sha256((run / "ledger.json").read_bytes()).hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run: Path) -> None:
    found = [row["text"] for row in rows(generate(run, seed=1))]
    assert found[:4] != found[4:8]  # the same prompts in another batch
    first = generate(run, seed=1).read_bytes()
    assert generate(run, seed=1).read_bytes() == first
    assert [r["text"] for r in rows(generate(run, seed=2))] != [r["text"] for r in rows(generate(run, seed=1))]


def test_a_small_model_generates_on_one_thread_and_gives_the_others_back(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def watched(path: Path, *_: Any) -> Path:
        seen.append(torch.get_num_threads())
        return path

    monkeypatch.setattr("reimpl.generate.written", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        generate(run)
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(before)


class DiesError(RuntimeError):
    pass


@pytest.mark.parametrize("survived", [0, 1, 2])
def test_a_killed_call_goes_on_with_the_same_rows(run: Path, monkeypatch: pytest.MonkeyPatch, survived: int) -> None:
    whole = generate(run, seed=3).read_bytes()
    shutil.rmtree(run / "synthetic")
    module = adapter_module("causal")
    load, calls = module.load, []

    class Dying:
        def __init__(self, inner: Any) -> None:
            self.inner, self.module = inner, inner.module

        def generate(
            self, prompts: Sequence[str], generator: torch.Generator, options: Mapping[str, Any]
        ) -> Iterator[list[str]]:
            if len(calls) == survived:
                raise DiesError
            calls.append(len(prompts))
            return self.inner.generate(prompts, generator, options)

    monkeypatch.setattr(module, "load", lambda folder: Dying(load(folder)))
    with pytest.raises(DiesError):
        generate(run, seed=3)
    assert not list(synthetic_files(run))  # nothing that looks finished
    part = run / "synthetic" / ".seed-3.part"
    lines = whole.splitlines(keepends=True)
    assert part.read_bytes() == b"".join(lines[: 4 * survived])
    part.write_bytes(b"".join(lines[: 4 * survived + 1]) + b'{"text": "half a li')  # killed while it wrote a batch
    sampled: list[int] = []
    monkeypatch.setattr(module, "load", lambda folder: Counting(load(folder), sampled))
    assert generate(run, seed=3).read_bytes() == whole
    assert sum(sampled) == 10 - 4 * survived


class Counting:
    """Writes down how many texts were asked for."""

    def __init__(self, inner: Any, sampled: list[int]) -> None:
        self.inner, self.module, self.sampled = inner, inner.module, sampled

    def generate(self, prompts: Sequence[str], *rest: Any) -> Iterator[list[str]]:
        self.sampled.append(len(prompts))
        return self.inner.generate(prompts, *rest)


def test_rows_of_another_order_are_not_kept(run: Path) -> None:
    whole = generate(run, seed=3).read_bytes()
    part = run / "synthetic" / ".seed-3.part"
    part.write_bytes(whole.replace(b'"seed": 3', b'"seed": 4'))
    assert generate(run, seed=3).read_bytes() == whole


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_other_libraries_load_the_file(run: Path, form: str) -> None:
    from datasets import Dataset

    path = generate(run, seed=1, form=form)
    loaded = Dataset.from_parquet(str(path)) if form == "parquet" else Dataset.from_json(str(path))
    assert loaded.column_names[:4] == ["text", "label", "label_name", "prompt"]
    assert list(loaded["label"]) == [0, 1] * 5
    assert read(path)[1] == ledger_digest(run)


@pytest.mark.parametrize("name", ["ochs-2025-genie", "ochs-2025-diffuseq", "ochs-2025-seqdiffuseq"])
def test_diffusion_models_write_the_same_format(tmp_path: Path, name: str) -> None:
    folder = untrained(tmp_path / "run", name)
    found = rows(generate(folder, count=5))
    assert len(found) == 5
    assert set(found[0]) == {"text", "label", "label_name", "prompt", "model", "seed", "options", "ledger_sha256"}
    assert generate(folder, count=5).read_bytes() == (folder / "synthetic" / "seed-0.jsonl").read_bytes()


def test_the_public_start_writes_beside_the_trained_model(run: Path) -> None:
    path = generate(run, public_only=True)
    assert path.name == "public-only-seed-0.jsonl"
    first, trained = path.read_bytes(), generate(run).read_bytes()
    model = adapter_module("causal").load(run)
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.add_(0.5 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    model.save(run, model.module.state_dict())
    assert generate(run).read_bytes() != trained
    assert generate(run, public_only=True).read_bytes() == first  # whatever was trained
    assert "public start" in rows(path)[0]["model"]
    generate(run)
    assert [p.name for p in synthetic_files(run)] == ["seed-0.jsonl"]


def test_exact_label_counts_are_used_as_published_and_noted_in_the_ledger(tmp_path: Path) -> None:
    folder = untrained(tmp_path / "run", "yue-2023-gpt2", variant="as-published")
    before = json.loads((folder / "ledger.json").read_text())
    found = rows(generate(folder, count=100))
    private = Counter(label for _, label, _ in generated("train", 2))
    for label, count in private.items():
        share = 100 * count / sum(private.values())
        assert abs(sum(row["label"] == label for row in found) - share) < 1
    after = json.loads((folder / "ledger.json").read_text())
    *same, entry = after["entries"]
    assert same == before["entries"]
    assert entry["access"]["covered"] is False
    assert "label counts" in entry["access"]["what"]
    assert entry["previous"] == digest(same[-1])
    assert after["totals"]["accesses_not_covered"] == before["totals"]["accesses_not_covered"] + 1
    assert after["totals"]["steps_run"] == before["totals"]["steps_run"]
    assert found[0]["ledger_sha256"] == ledger_digest(folder)
    generate(folder, count=10, seed=5)
    assert json.loads((folder / "ledger.json").read_text()) == after  # noted once


def test_the_corrected_variant_reads_nothing_private(run: Path) -> None:
    before = (run / "ledger.json").read_bytes()
    generate(run)
    assert (run / "ledger.json").read_bytes() == before


@given(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any), st.integers(0, 200))
def test_labels_in_proportion_are_within_one_of_their_share(weights: list[int], count: int) -> None:
    labels = in_proportion(weights, count)
    assert len(labels) == count
    for label, weight in enumerate(weights):
        share = weight * count / sum(weights)
        assert share - 1 < labels.count(label) < share + 1


@pytest.mark.parametrize("missing", ["recipe.json", "ledger.json", "model.safetensors"])
def test_an_unfinished_run_is_refused(run: Path, missing: str) -> None:
    (run / missing).unlink()
    with pytest.raises(GenerateError, match=f"no {missing}"):
        generate(run)


def test_what_is_not_known_has_to_be_given(run: Path) -> None:
    content = json.loads((run / "recipe.json").read_text())
    del content["generation"]["count"]
    (run / "recipe.json").write_text(json.dumps(content))
    with pytest.raises(GenerateError, match="give --count"):
        generate(run)
    content["data"] |= {"labels": [], "prompts": []}
    (run / "recipe.json").write_text(json.dumps(content))
    with pytest.raises(GenerateError, match="no labels"):
        generate(run, count=3)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["ochs-2025-genie"], "is a run of yue-2023-gpt2"),
        (["yue-2023-gpt2", "--variant", "as-published"], "variant corrected"),
        (["yue-2023-gpt2", "--epsilon", "3"], "epsilon 8"),
        (["yue-2023-gpt2", "--scale", "small"], "scale smoke"),
    ],
)
def test_a_command_line_that_names_another_run_is_one_line(run: Path, options: list[str], complaint: str) -> None:
    ended = CliRunner().invoke(app, ["generate", *options, "--out", str(run)])
    assert ended.exit_code == 2
    assert complaint in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_the_command_writes_and_prints_the_file(run: Path) -> None:
    ended = CliRunner().invoke(app, ["generate", "yue-2023-gpt2", "--out", str(run), "--count", "3", "--seed", "9"])
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.strip() == str(run / "synthetic" / "seed-9.jsonl")
    assert len(rows(run / "synthetic" / "seed-9.jsonl")) == 3


def test_rows_that_were_not_generated_are_refused(tmp_path: Path) -> None:
    (tmp_path / "seed-0.jsonl").write_text('{"text": "a"}\n')
    with pytest.raises(SyntheticError, match="expected rows"):
        read(tmp_path / "seed-0.jsonl")


def test_every_command_of_the_page_names_a_recipe_and_options_that_exist() -> None:
    from typer.main import get_command

    page = (Path(__file__).resolve().parents[2] / "docs" / "generation.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python -m reimpl (\S+) (\S+) (.*)$", page, re.MULTILINE)
    assert {command for command, _, _ in commands} == {"train", "generate", "evaluate"}
    group = get_command(app)
    for command, recipe, options in commands:
        known = {option for parameter in group.commands[command].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", options)) <= known
        assert recipe in recipes.names()
    table = page.split("## Recipes")[1].split("## Generating")[0]
    for name in recipes.names():
        assert name.removeprefix("ochs-2025") in table
