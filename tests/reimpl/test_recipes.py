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

from reimpl import plan, train
from reimpl import recipe as recipes
from reimpl.dpsgd import Entropy
from reimpl.ledger import Recorder
from reimpl.recipe import FOLDER, SCALES, VARIANTS, Recipe, RecipeError, load
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
def test_only_the_datasets_that_the_card_says_so_of_are_cut_to_their_smallest_class(name: str) -> None:
    for dataset in card("ochs-2025")["dataset"]:
        published = load(name, variant="as-published", dataset=dataset["name"])
        cut = dataset["class_balance"]["value"] == "minimum-class-count"
        assert published.switches["class_balance"] == ("minimum" if cut else "none")
        assert any(reason.startswith("class_balance") for reason in published.why_epsilon_fails()) == cut
        assert load(name, dataset=dataset["name"]).switches["class_balance"] == "none"


ARMS = {  # recipe -> (value, with DP, without DP, where a card says so)
    "ochs-2025-genie": [("batch_size", 256, 128, "GENIE batch 256 against 128")],
    "ochs-2025-bart-large": [("epochs", 8, 4, "BART, BLOOM and Phi 8 epochs against 4")],
    "ochs-2025-bloom-560m": [("epochs", 8, 4, "BART, BLOOM and Phi 8 epochs against 4")],
    "ochs-2025-phi-1.5": [("epochs", 8, 4, "BART, BLOOM and Phi 8 epochs against 4")],
    "ochs-2025-diffuseq": [
        ("start", "models/pretrained/pretrained_weights.pt", "random", "DiffuSeq a QQP warm start only with DP"),
        ("frozen", ("word_embedding.weight", "lm_head.bias"), (), "DiffuSeq a QQP warm start only with DP"),
    ],
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", sorted(ARMS))
def test_runs_without_dp_differ_from_private_ones_as_published(name: str, variant: str) -> None:
    private, without = (load(name, variant=variant, epsilon=epsilon).training for epsilon in (8.0, math.inf))
    for key, with_dp, without_dp, fact in ARMS[name]:
        assert fact in (ROOT / "audit" / "papers" / "ochs-2025.toml").read_text(encoding="utf-8")
        assert (getattr(private, key), getattr(without, key)) == (with_dp, without_dp)
    changed = {key: with_dp for key, with_dp, _, _ in ARMS[name]}
    assert replace(without, **changed) == private, "nothing else differs"


USERS = """
version = 1
id = "own"
adapter = "genie"
epsilons = [8, "inf"]
[training]
batch_size = 1
learning_rate = 1.0
clip_norm = 1.0
steps = 1
warmup_steps = 1
[without-dp.training]
batch_size = { value = 2, source = "somewhere" }
warmup_steps = 2
weight_decay = 2.0
[dataset.one]
[dataset.two]
[as-published]
class_balance = "fixed-n"
empty_batch = "skip"
[as-published.training]
warmup_steps = 3
weight_decay = 3.0
[as-published.dataset.two]
class_balance = { value = "minimum", source = "elsewhere" }
[scale.smoke.training]
weight_decay = 4.0
"""


def users(tmp_path: Path, was: str = "version = 1", becomes: str = "version = 1", **choices: Any) -> Recipe:
    assert was in USERS
    (tmp_path / "own.toml").write_text(USERS.replace(was, becomes, 1))
    return load(str(tmp_path / "own.toml"), **choices)


@pytest.mark.parametrize(
    ("choices", "expected"),  # batch size, warm-up steps, weight decay
    [
        ({"epsilon": 8.0}, (1, 1, 0.0)),
        ({"epsilon": math.inf}, (2, 2, 2.0)),
        ({"epsilon": math.inf, "variant": "as-published"}, (2, 3, 3.0)),
        ({"epsilon": math.inf, "variant": "as-published", "scale": "smoke"}, (2, 3, 4.0)),
        ({"epsilon": 8.0, "variant": "as-published"}, (1, 3, 3.0)),
    ],
)
def test_values_without_dp_lie_over_the_base_and_under_variant_and_scale(
    tmp_path: Path, choices: dict[str, Any], expected: tuple[float, ...]
) -> None:
    training = users(tmp_path, **choices).training
    assert (training.batch_size, training.warmup_steps, training.weight_decay) == expected


def test_a_switch_for_one_dataset_changes_that_dataset_and_switch_alone(tmp_path: Path) -> None:
    one, two = (users(tmp_path, variant="as-published", dataset=name).switches for name in ("one", "two"))
    assert (one["class_balance"], two["class_balance"]) == ("fixed-n", "minimum")
    assert {key for key in one if one[key] != two[key]} == {"class_balance"}
    assert users(tmp_path, dataset="two").switches["class_balance"] == "none"


def test_values_without_dp_and_switches_for_one_dataset_keep_their_sources(tmp_path: Path) -> None:
    sources = users(tmp_path).sources
    assert sources["without-dp.training.batch_size"] == "somewhere"
    assert sources["as-published.dataset.two.class_balance"] == "elsewhere"


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ("[without-dp.training]", "[without-dp.model]", "without-dp.model: unknown; expected training"),
        (
            "[without-dp.training]",
            "[without-dp.training]\nbatch = 2",
            "without-dp.training.batch: unknown; expected batch_",
        ),
        ("warmup_steps = 2", "warmup_steps = 2.5", "without-dp.training.warmup_steps: expected int; got 2.5"),
        (
            "[without-dp.training]",
            "[without-dp]\ntraining = 3\n[scale.small.data]",
            "without-dp.training: expected a table",
        ),
        ("dataset.two]\nclass", "dataset.three]\nclass", "as-published.dataset.three: unknown; expected one, two"),
        ("class_balance = {", "balance = {", "as-published.dataset.two.balance: unknown; expected position_gradient"),
        ('"minimum"', '"least"', "as-published.dataset.two.class_balance: expected one of none, fixed-n, minimum; got"),
        (
            "[as-published.dataset.two]",
            "[as-published.dataset]\ntwo = 3\n[scale.small.data]",
            "dataset.two: expected a table",
        ),
        ("[as-published.dataset.two]", "[as-published.datasets.two]", "as-published.datasets: unknown; expected"),
        ("[scale.smoke.training]", "[scale.smok.training]", "scale.smok: unknown; expected smoke, small, published"),
    ],
)
def test_what_the_schema_does_not_know_is_refused_in_one_line_whichever_run_is_asked_for(
    tmp_path: Path, was: str, becomes: str, message: str
) -> None:
    for variant in VARIANTS:
        for epsilon in (8.0, math.inf):
            with pytest.raises(RecipeError, match=re.escape(message)) as refused:
                users(tmp_path, was, becomes, variant=variant, epsilon=epsilon, dataset="one")
            assert "\n" not in str(refused.value)


@pytest.mark.parametrize("listed", ["", "epsilons = []"])
def test_a_recipe_that_lists_no_epsilon_never_trains_without_dp_unasked(tmp_path: Path, listed: str) -> None:
    lists = 'epsilons = [8, "inf"]'
    with pytest.raises(RecipeError, match=r"own\.toml: epsilons: none listed; give --epsilon \(inf"):
        users(tmp_path, lists, listed)
    assert users(tmp_path, lists, listed, epsilon=3.0).epsilon == 3.0
    assert not users(tmp_path, lists, listed, epsilon=math.inf).private
    assert users(tmp_path).epsilon == 8.0


@pytest.mark.parametrize("listed", ['"83"', "8", '["many"]', "[[8]]", '["nan"]', "[0]"])
def test_epsilons_that_are_no_list_of_numbers_above_zero_are_refused(tmp_path: Path, listed: str) -> None:
    with pytest.raises(RecipeError, match="epsilon"):
        users(tmp_path, '[8, "inf"]', listed)


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


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", sorted({*MODELS, "yue-2023-gpt2", UNKNOWN}))
def test_a_smoke_step_is_made_in_both_variants_with_every_timestep(name: str, variant: str) -> None:
    recipe = load(name, scale="smoke", variant=variant, epsilon=8.0)
    found = train.examples(recipe)[:4]
    run = train.Run(recipe, train.build(recipe), found, plan.Plan(4, 1.0, 1, 1, 1.0, 1e-5), Entropy(0), Recorder({}))
    run.advance()
    watched = getattr(run.trainable, "adaptive", None)
    if watched is not None:  # as published, losses are kept by timestep
        timesteps = torch.arange(recipe.model["num_timesteps"])
        empty = torch.zeros(len(timesteps), recipe.model["length"])
        watched.add(timesteps.numpy(), empty.numpy(), empty.numpy())
    assert math.isfinite(run.private_step.last_loss)
    assert run.step == 1


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
