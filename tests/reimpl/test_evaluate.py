"""Scores of synthetic records: a good generator scores well, a copying one is found, all sets are treated alike."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel
from typer.testing import CliRunner

from reimpl import language_model
from reimpl import recipe as recipes
from reimpl.__main__ import app
from reimpl.classifier import ClassifierError, Protocol, fine_tuned
from reimpl.data import Record
from reimpl.evaluate import Choices, EvaluateError, evaluate
from reimpl.generated import canaries, generated
from reimpl.language_model import LanguageModelError, perplexity
from reimpl.vocabulary import tokenizer

RECIPE = "ochs-2025-phi-1.5"


def run_with(folder: Path, texts: list[tuple[str, int]], public: list[tuple[str, int]] = []) -> Path:  # noqa: B006
    """The folder of a run whose model wrote these texts."""
    folder.mkdir(exist_ok=True)
    recipe = recipes.load(RECIPE, scale="smoke", epsilon=8.0)
    (folder / "recipe.json").write_text(recipe.as_json())
    (folder / "model.safetensors").write_bytes(b"")
    (folder / "ledger.json").write_text("{}")
    synthetic = folder / "synthetic"
    synthetic.mkdir(exist_ok=True)
    for name, rows in (("seed-0", texts), ("public-only-seed-0", public)):
        if rows:
            lines = [{"text": t, "label": k, "ledger_sha256": hashlib.sha256(b"{}").hexdigest()} for t, k in rows]
            (synthetic / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def fresh(count: int = 150, split: str = "public") -> list[tuple[str, int]]:
    return [(text, label) for text, label, _ in generated(split, 2, count)]


def gibberish(count: int = 150) -> list[tuple[str, int]]:
    return [(f"qq{row} zz ww", row % 2) for row in range(count)]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return run_with(tmp_path / "run", fresh(), gibberish())


SEEDS = Choices(seeds=(1, 2, 3))


def test_texts_like_the_real_ones_score_like_them_and_gibberish_does_not(good: Path) -> None:
    sets = evaluate(good, SEEDS)["sets"]
    f1 = {name: found["downstream"]["macro_f1"]["mean"] for name, found in sets.items()}
    assert f1["synthetic"] > 0.75
    assert abs(f1["synthetic"] - f1["real"]) < 0.15
    assert f1["public-only"] < 0.65
    divergence = {name: found["shape"]["vocabulary_divergence"] for name, found in sets.items()}
    assert divergence["real"] < 0.1 < 0.9 < divergence["public-only"]
    assert divergence["synthetic"] < 0.1
    assert sets["public-only"]["shape"]["length_distance"] > sets["synthetic"]["shape"]["length_distance"]


def test_every_set_has_the_same_size_metrics_and_cut(tmp_path: Path) -> None:
    long = [(f"{text} " + "again " * 500, label) for text, label in fresh()]
    result = evaluate(run_with(tmp_path / "run", long, gibberish(100)), SEEDS)
    assert {name: found["texts"] for name, found in result["sets"].items()} == dict.fromkeys(result["sets"], 100)
    assert len({tuple(sorted(found)) for found in result["sets"].values()}) == 1
    assert result["sets"]["synthetic"]["shape"]["mean_length"] <= result["words_kept_of_a_text"] == 32


def test_a_generator_that_copies_its_training_data_is_found(tmp_path: Path) -> None:
    copied = fresh(150, "train") + [(text, label) for _, (text, label, member) in canaries(2) if member]
    run = run_with(tmp_path / "run", copied * 2)
    (run / "synthetic" / "seed-0.jsonl").rename(run / "synthetic" / "seed-5.jsonl")
    found = evaluate(run, SEEDS)
    synthetic = found["sets"]["synthetic"]["duplicates"]
    assert synthetic["copies_of_training_records"] == found["sets"]["synthetic"]["texts"]
    assert found["sets"]["real"]["duplicates"]["copies_of_training_records"] < 20  # of the real test texts, by chance
    assert found["membership"]["n-gram"]["tpr"] > 0.9
    assert found["membership"]["nearest-neighbour"]["tpr_low"] > 0.05  # 23 of the 25 neighbours know nothing of it


def test_a_generator_that_never_saw_the_canaries_is_at_chance(good: Path) -> None:
    found = evaluate(good, SEEDS)["membership"]
    members = sum(member for _, (_, _, member) in canaries(2))
    assert found["members"] == members
    for attack in ("n-gram", "nearest-neighbour"):
        assert found[attack]["tpr_low"] <= 0.02
    assert found["calibrated_by_reference"]


def test_the_files_are_the_same_bytes_again_and_the_table_names_every_set(good: Path) -> None:
    evaluate(good, SEEDS)
    first = {name: (good / name).read_bytes() for name in ("evaluation.json", "evaluation.md")}
    evaluate(good, SEEDS)
    assert first == {name: (good / name).read_bytes() for name in first}
    table = first["evaluation.md"].decode()
    assert "| | synthetic | real | public-only |" in table
    assert "does not show that nothing leaks" in table
    for private in fresh(150, "train"):
        assert private[0] not in first["evaluation.json"].decode() + table


def test_what_was_left_out_is_said(tmp_path: Path) -> None:
    run = run_with(tmp_path / "run", fresh())
    said = " ".join(evaluate(run, SEEDS)["skipped"])
    assert "--lm" in said
    assert "--public-only" in said
    content = json.loads((run / "recipe.json").read_text())
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "test"):
        lines = [json.dumps({"text": text, "label": label}) for text, label in fresh(60, split)]
        (data / f"{split}.jsonl").write_text("\n".join(lines))
    content["data"]["source"] = str(data)
    (run / "recipe.json").write_text(json.dumps(content))
    found = evaluate(run, SEEDS)
    assert "canaries" in " ".join(found["skipped"])
    assert "membership" not in found
    planted = tmp_path / "canaries.jsonl"
    rows = [{"text": text, "member": member} for _, (text, _, member) in canaries(2)]
    planted.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert evaluate(run, replace(SEEDS, canaries=planted))["membership"]["others"] > 100
    planted.write_text('{"text": "SECRET", "member": 1}\n')
    with pytest.raises(EvaluateError, match="row 1: expected text and member") as error:
        evaluate(run, replace(SEEDS, canaries=planted))
    assert "SECRET" not in str(error.value)


def test_rows_of_another_ledger_are_refused(good: Path) -> None:
    (good / "ledger.json").write_text('{"other": 1}')
    with pytest.raises(EvaluateError, match="another ledger"):
        evaluate(good, SEEDS)
    for path in (good / "synthetic").iterdir():
        path.unlink()
    with pytest.raises(EvaluateError, match="no synthetic records"):
        evaluate(good, SEEDS)


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    torch.manual_seed(0)
    words = tokenizer("generated")
    config = GPT2Config(vocab_size=len(words), n_positions=48, n_embd=16, n_layer=1, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def test_perplexity_is_that_of_transformers_on_each_text_alone(lm: Path) -> None:
    loaded = language_model.load(str(lm))
    texts = ["today the screen was slow and the phone", "honestly", "never again please help", ""]
    found = perplexity(loaded, texts)
    each, losses, tokens = [], 0.0, 0
    for text in texts:
        ids = torch.tensor([loaded.tokenizer(text, add_special_tokens=False)["input_ids"]], dtype=torch.long)
        if ids.shape[1] > 1:
            loss = loaded.module(input_ids=ids, labels=ids).loss.item()
            each.append(math.exp(loss))
            losses, tokens = losses + loss * (ids.shape[1] - 1), tokens + ids.shape[1] - 1
    assert found["mean"] == pytest.approx(sum(each) / len(each), rel=1e-4)
    assert found["corpus"] == pytest.approx(math.exp(losses / tokens), rel=1e-4)
    assert (found["scored"], found["without"]) == (2, 2)  # one word without a start token predicts nothing


def test_nothing_to_score_has_no_perplexity(lm: Path) -> None:
    assert perplexity(language_model.load(str(lm)), ["", " "]) == {"scored": 0.0, "without": 2.0}


def test_a_language_model_scores_every_set(good: Path, lm: Path) -> None:
    result = evaluate(good, replace(SEEDS, lm=str(lm)))
    assert {round(found["perplexity"]["scored"]) for found in result["sets"].values()} == {150}
    assert "perplexity, mean over texts" in (good / "evaluation.md").read_text()


def test_mauve_is_higher_for_texts_like_the_real_ones(lm: Path) -> None:
    pytest.importorskip("mauve", reason="needs the extra [mauve]")
    loaded = language_model.load(str(lm))
    real, like, unlike = ([t for t, _ in rows] for rows in (fresh(120, "test"), fresh(120), gibberish(120)))
    assert language_model.mauve(loaded, like, real)["mauve"] > language_model.mauve(loaded, unlike, real)["mauve"] + 0.3


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LanguageModelError, match="expected a causal model") as error:
        language_model.load(str(tmp_path))
    assert "\n" not in str(error.value)
    with pytest.raises(ClassifierError, match="expected an encoder"):
        fine_tuned(Protocol(str(tmp_path)), [Record("a", 0)], [Record("a", 0)], 2, 1)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    words = tokenizer("generated")
    config = BertConfig(
        vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertForSequenceClassification(config).bert.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def test_the_published_protocol_learns_and_repeats_with_its_seed(encoder: Path) -> None:
    train, test = ([Record(*row) for row in fresh(count, split)] for count, split in ((120, "train"), (60, "test")))
    protocol = Protocol(str(encoder), length=32, learning_rate=3e-3, epochs=5)
    predicted = fine_tuned(protocol, train, test, 2, 1)
    right = sum(label == record.label for label, record in zip(predicted, test, strict=True))
    assert right > 42  # chance is 30
    assert predicted == fine_tuned(protocol, train, test, 2, 1)


def test_the_command_takes_the_protocol_of_the_recipe(good: Path, encoder: Path, monkeypatch: Any) -> None:
    seen = []
    monkeypatch.setattr("reimpl.evaluate.fine_tuned", lambda p, train, test, *_: seen.append(p) or [0] * len(test))
    ended = CliRunner().invoke(
        app, ["evaluate", RECIPE, "--out", str(good), "--classifier", str(encoder), "--seeds", "3,4"]
    )
    assert ended.exit_code == 0, ended.output
    assert seen[0] == Protocol(str(encoder), length=256, batch_size=8, learning_rate=2e-5, epochs=5)
    assert len(seen) == 2 * 3  # two seeds of three sets
    assert "macro-F1" in ended.stdout


@pytest.mark.parametrize("seeds", ["", "1,x", "-1"])
def test_seeds_that_are_no_numbers_are_one_line(good: Path, seeds: str) -> None:
    ended = CliRunner().invoke(app, ["evaluate", RECIPE, "--out", str(good), f"--seeds={seeds}"])
    assert ended.exit_code == 2
    assert "expected numbers" in ended.stderr
