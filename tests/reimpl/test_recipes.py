"""The built-in recipes: complete, sourced, and of one mind with the facts on the paper cards."""

from __future__ import annotations

import fnmatch
import math
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reimpl import recipe as recipes
from reimpl import train
from reimpl.recipe import FOLDER, SCALES, Recipe, RecipeError, load
from reimpl.trainable import Trainable, adapter_module
from reimpl.vocabulary import tokenizer

ROOT = Path(__file__).resolve().parents[2]
MODELS = {  # recipe -> mechanism of the card
    "ochs-2025-bart-large": "bart",
    "ochs-2025-bloom-560m": "bloom",
    "ochs-2025-phi-1.5": "phi",
    "ochs-2025-genie": "genie",
    "ochs-2025-diffuseq": "diffuseq",
    "ochs-2025-seqdiffuseq": "seqdiffuseq",
}
UNKNOWN = "mattern-2022-gpt2"  # its batch size, rate and clip norm are not in the sources read


def card(paper: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "audit" / "papers" / f"{paper}.toml").read_text(encoding="utf-8"))


def mechanism(paper: str, ident: str) -> dict[str, Any]:
    (found,) = [one for one in card(paper)["mechanism"] if one["id"] == ident]
    return {key: fact.get("value") for key, fact in found.items() if isinstance(fact, dict)}


def test_every_model_of_the_paper_has_a_recipe_for_each_of_its_datasets() -> None:
    assert set(recipes.names()) == {*MODELS, "yue-2023-gpt2", UNKNOWN}
    names = {dataset["name"] for dataset in card("ochs-2025")["dataset"]}
    for name in MODELS:
        assert {load(name, dataset=dataset).data.name for dataset in names} == names


@pytest.mark.parametrize("name", sorted({*MODELS, "yue-2023-gpt2"}))
@pytest.mark.parametrize("scale", SCALES)
def test_every_recipe_can_be_resolved_and_its_corrected_variant_keeps_its_epsilon(name: str, scale: str) -> None:
    assert load(name, scale=scale).why_epsilon_fails() == []
    assert load(name, variant="as-published", scale=scale).variant == "as-published"


def test_what_no_source_says_is_missing_and_not_made_up() -> None:
    with pytest.raises(RecipeError, match="batch_size, learning_rate, clip_norm missing"):
        load(UNKNOWN)
    assert load(UNKNOWN, scale="smoke").training.batch_size == 32
    assert not [key for key in load("ochs-2025-seqdiffuseq").sources if key.startswith("epsilon")]


@pytest.mark.parametrize(("name", "ident"), sorted(MODELS.items()))
def test_training_values_are_those_of_the_card(name: str, ident: str) -> None:
    facts, training = mechanism("ochs-2025", ident), load(name).training
    if ident != "phi":  # the card has the script's batch of 8, the recipe the 16 that the checkpoints fit
        assert training.batch_size == facts["batch_size"]
    assert training.max_physical_batch_size == facts["physical_batch_size"]
    assert training.clip_norm == facts["clip_norm"]
    assert training.learning_rate == facts["learning_rate"]["base"]
    assert training.warmup_steps == facts["learning_rate"]["warmup_steps"]
    assert training.epochs == facts.get("epochs")
    assert training.steps == facts.get("steps_accounted", {}).get("nominal_steps")


def test_the_batch_of_phi_is_the_one_that_its_checkpoints_fit() -> None:
    note = next(one for one in card("ochs-2025")["mechanism"] if one["id"] == "phi")["batch_size"]["note"]
    assert "16" in note
    assert load("ochs-2025-phi-1.5").training.batch_size == 16


@pytest.mark.parametrize(("name", "ident"), sorted(MODELS.items()))
def test_switches_are_the_behaviours_on_the_card(name: str, ident: str) -> None:
    facts, switches = mechanism("ochs-2025", ident), load(name, variant="as-published").switches
    assert switches["position_gradient"] == facts["position_gradient"]
    assert switches["timestep_sampler"] == facts.get("timestep_sampler", "uniform")
    assert switches["noise_schedule"] == facts.get("noise_schedule", "fixed")
    assert switches["noise_seed"] == str(facts["noise_seed"] or "none")
    assert switches["sampler"] == facts["sampler_coded"]
    assert (switches["empty_batch"] == "skip") == (facts.get("empty_batch") == "skip")
    physical = facts.get("steps_run", {}).get("counted_in") == "physical"
    assert (switches["steps_counted"] == "physical") == physical
    stuck = facts["learning_rate"]["step_argument"] == "constant"
    assert (switches["learning_rate_schedule"] == "stuck-at-zero") == stuck


@pytest.mark.parametrize("name", sorted(MODELS))
def test_datasets_have_the_size_and_the_labels_of_the_card(name: str) -> None:
    for dataset in card("ochs-2025")["dataset"]:
        data = load(name, dataset=dataset["name"]).data
        assert data.records == dataset["records"]["value"]
        assert data.manifest == dataset["manifest"]
        assert [label.lower() for label in data.labels] == [x.lower() for x in dataset["labels_in_data"]["value"]]
        for label, prompt in zip(data.labels, data.prompts, strict=True):
            assert f" {label} " in prompt


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_published_sampling_prompts_are_the_shifted_ones_of_the_card(name: str) -> None:
    (webmd,) = [one for one in card("ochs-2025")["dataset"] if one["name"] == "webmd"]
    published = load(name, variant="as-published", dataset="webmd").generation["sampling_prompts"]["webmd"]
    assert [prompt.split()[2] for prompt in published] == webmd["labels_in_generation"]["value"]
    assert "sampling_prompts" not in load(name, dataset="webmd").generation


def test_yue_has_the_values_of_its_card() -> None:
    facts, found = mechanism("yue-2023", "gpt2"), load("yue-2023-gpt2", variant="as-published")
    training = found.training
    assert (training.batch_size, training.epochs) == (facts["batch_size"], facts["epochs"])
    assert (training.clip_norm, training.learning_rate) == (facts["clip_norm"], facts["learning_rate"]["base"])
    assert found.switches["sampler"] == facts["sampler_coded"]
    assert found.switches["loss_reduction"] == facts["loss_reduction"]
    assert found.generation["label_counts"] == "private-exact"
    assert load("yue-2023-gpt2").generation["label_counts"] == "uniform"
    assert found.data.records == card("yue-2023")["dataset"][0]["records"]["value"]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_every_value_has_a_source_or_is_called_ours(path: Path) -> None:
    place = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"\[([^\]]+)\](.*)", line):
            place = header[1] + header[2]
        if not re.match(r"[\w-]+ = ", line) or not place or place.startswith("scale."):
            continue  # the names of the recipe itself; scales are ours, as their comment says
        if line.split(" = ")[0] in ("manifest",) or ("source = " in line and "value = " in line):
            continue
        assert "ours" in line + place, line


@pytest.mark.parametrize("name", sorted({*MODELS, "yue-2023-gpt2", UNKNOWN}))
def test_a_smoke_model_is_tiny_and_can_be_built(name: str) -> None:
    recipe = load(name, scale="smoke", epsilon=8.0)
    made = adapter_module(recipe.adapter).build(recipe, tokenizer(recipe.data.vocabulary))
    assert sum(parameter.numel() for parameter in made.module.parameters()) < 2_000_000
    names = [parameter for parameter, _ in made.module.named_parameters()]
    for pattern in recipe.training.frozen:
        assert fnmatch.filter(names, pattern), pattern
    assert recipe.data.source == "generated"


def held_out_loss(model: Trainable, recipe: Recipe) -> float:
    """Mean loss over the generated test records, with the same draws for every model."""
    found, model.module = train.examples(recipe, "test"), model.module.eval()
    drawn = model.draw(len(found), torch.Generator().manual_seed(0))
    with torch.no_grad():
        return float(model.per_record_loss(model.module, model.collate(found), drawn).mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*MODELS, "yue-2023-gpt2", UNKNOWN}))
def test_a_smoke_run_without_noise_lowers_the_loss_on_held_out_records(name: str, tmp_path: Path) -> None:
    chosen = load(name, scale="smoke", epsilon=math.inf)
    shorter = {"steps": 40} if chosen.training.steps else {"epochs": 3}
    recipe = replace(chosen, training=replace(chosen.training, **shorter))
    out = train.train(recipe, train.examples(recipe), tmp_path / "run")
    trained = adapter_module(recipe.adapter).load(out)
    untrained = train.build(recipe)
    if recipe.model.get("mismatch"):
        trained.prompts = untrained.prompts  # a loaded model samples; only training contrasts prompts
    assert held_out_loss(trained, recipe) < 0.9 * held_out_loss(untrained, recipe)
