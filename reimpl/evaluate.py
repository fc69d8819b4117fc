"""How good synthetic records are and what they give away: python -m reimpl evaluate RECIPE --out DIR.

DIR is the folder of a run with synthetic records in it (`python -m reimpl generate`). Every metric is taken of three
sets, cut alike and of one size: the synthetic records, as many real training records, and, where there are some, those
of the public start model. Written are DIR/evaluation.json and DIR/evaluation.md.

The figures are statistics of private records without noise: they are for whoever may see those records.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from reimpl import language_model
from reimpl.classifier import Protocol, fine_tuned
from reimpl.data import GENERATED, Record, load, local_rows
from reimpl.generate import agreed, ends_in_one_line, ledger_digest, read_run
from reimpl.generated import canaries as generated_canaries
from reimpl.ledger import write_durably
from reimpl.membership import Canary, membership
from reimpl.metrics import cut, downstream, duplicates, over_seeds, scores, shape
from reimpl.recipe import Recipe
from reimpl.synthetic import PUBLIC_ONLY, read, synthetic_files
from reimpl.utility_table import table

LENGTH = 256  # words, where the recipe says nothing
SEEDS = (1, 2, 3, 4, 5)
NOTES = (
    "computed from private records without noise: not covered by the run's ε, and not for release under it",
    "the real set is a sample of the training records; its duplicates are those of the real test records instead",
    "spread is over seeds of the classifier's training sample and over files of synthetic records, not over trainings",
)


class EvaluateError(ValueError):
    """What cannot be evaluated: one line that says what was expected."""


@dataclass(frozen=True)
class Choices:
    """What to compute beyond the default, and with what."""

    seeds: tuple[int, ...] = SEEDS
    classifier: Protocol | None = None
    lm: str | None = None
    canaries: Path | None = None


@dataclass(frozen=True)
class Sets:
    """Records, all cut to the same number of words."""

    named: dict[str, list[list[Record]]]  # synthetic, real, public-only: a list for each file
    train: list[Record]
    test: list[Record]

    def texts(self, name: str) -> list[str]:
        return [record.text for part in self.named[name] for record in part]


def evaluate(run: Path, choices: Choices | None = None) -> dict[str, Any]:
    """Compute, write and return what evaluation.json holds."""
    choices = choices or Choices()
    recipe = read_run(run)
    length = int(recipe.evaluation.get("length", LENGTH))
    sets = gathered(recipe, run, length)
    lm = None if choices.lm is None else language_model.load(choices.lm)
    result: dict[str, Any] = {
        "version": 1,
        "recipe": recipe.id,
        "variant": recipe.variant,
        "scale": recipe.scale,
        "dataset": recipe.data.name,
        "epsilon": recipe.epsilon if recipe.private else "inf",
        "ledger_sha256": ledger_digest(run),
        "words_kept_of_a_text": length,
        "classifier": "TF-IDF and logistic regression" if choices.classifier is None else choices.classifier.name,
        "seeds": list(choices.seeds),
        "sets": {name: measured(name, sets, choices, lm, recipe) for name in sets.named},
        "skipped": skipped(sets, choices),
        "notes": list(NOTES),
    }
    result |= membership_of(recipe, sets, choices, length, result["skipped"])
    result = rounded(result)
    write_durably(run / "evaluation.json", json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    write_durably(run / "evaluation.md", table(result))
    return result


def gathered(recipe: Recipe, run: Path, length: int) -> Sets:
    """The three sets, of one size. EvaluateError where there are no synthetic records, or those of another run."""
    parts = {"synthetic": files(run, "seed-", length), "public-only": files(run, f"{PUBLIC_ONLY}seed-", length)}
    if not parts["synthetic"]:
        raise EvaluateError(f"{run / 'synthetic'}: no synthetic records; first run `python -m reimpl generate`")
    train, test = (
        shortened(load(recipe.data.source, split, recipe.data.labels), length) for split in ("train", "test")
    )
    most = min(len(train), *(len(part) for side in parts.values() for part in side))
    rows = np.random.RandomState(0).permutation(len(train))[:most]
    named = {name: [part[:most] for part in side] for name, side in parts.items() if side}
    return Sets({"real": [[train[row] for row in rows]], **named}, train, test)


def files(run: Path, prefix: str, length: int) -> list[list[Record]]:
    found = []
    for path in synthetic_files(run, prefix):
        records, ledger = read(path)
        if ledger != ledger_digest(run):
            raise EvaluateError(f"{path}: made from another ledger than {run / 'ledger.json'}; generate it anew")
        found.append(shortened(records, length))
    return found


def shortened(records: Sequence[Record], length: int) -> list[Record]:
    return [Record(cut(record.text, length), record.label, record.person) for record in records]


def measured(
    name: str, sets: Sets, choices: Choices, lm: language_model.LanguageModel | None, recipe: Recipe
) -> dict[str, Any]:
    """All metrics of one set."""
    texts, test = sets.texts(name), [record.text for record in sets.test]
    runs = [tested(part, sets.test, seed, choices, recipe) for part in sets.named[name] for seed in choices.seeds]
    found = {
        "texts": len(texts),
        "downstream": over_seeds(runs),
        "shape": shape(texts, test),
        "duplicates": duplicates(test if name == "real" else texts, [record.text for record in sets.train]),
    }
    if lm is not None:
        found["perplexity"] = language_model.perplexity(lm, texts)
        if has_mauve():
            found["mauve"] = language_model.mauve(lm, texts, test)
    return found


def tested(train: list[Record], test: list[Record], seed: int, choices: Choices, recipe: Recipe) -> dict[str, float]:
    if choices.classifier is None:
        return downstream(train, test, seed)
    return scores(fine_tuned(choices.classifier, train, test, len(recipe.data.labels), seed), test)


def has_mauve() -> bool:
    from importlib.util import find_spec

    return find_spec("mauve") is not None


def skipped(sets: Sets, choices: Choices) -> list[str]:
    """What was not computed, and what it would need."""
    found = []
    if choices.lm is None:
        found.append("perplexity and MAUVE: need a language model (--lm)")
    elif not has_mauve():
        found.append("MAUVE: needs the extra [mauve]")
    if "public-only" not in sets.named:
        found.append("public-only baseline: needs its texts (python -m reimpl generate ... --public-only)")
    return found


def membership_of(recipe: Recipe, sets: Sets, choices: Choices, length: int, left_out: list[str]) -> dict[str, Any]:
    """The attacks on planted canaries, or a reason without them."""
    planted = canaries(recipe, choices.canaries)
    if not planted:
        left_out.append("membership inference: needs canaries that were planted by a coin before training (--canaries)")
        return {}
    short = [Canary(cut(canary.text, length), canary.member) for canary in planted]
    reference = sets.texts("public-only") if "public-only" in sets.named else []
    return {"membership": membership(short, sets.texts("synthetic"), reference)}


def canaries(recipe: Recipe, path: Path | None) -> list[Canary]:
    """Those of a jsonl file {text, member}, or the planted ones of the generated records."""
    if path is None:
        if recipe.data.source != GENERATED:
            return []
        return [Canary(text, member) for _, (text, _, member) in generated_canaries(len(recipe.data.labels))]
    found = []
    for where, row in local_rows(path, "train"):
        if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not isinstance(row.get("member"), bool):
            raise EvaluateError(f"{where}: expected text and member (true or false)")
        found.append(Canary(row["text"], row["member"]))
    return found


def rounded(value: Any) -> Any:
    """Floats to six significant digits, so that the file does not depend on the order of sums."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.6g}")
    return value


def command(
    recipe: Annotated[str, typer.Argument(help="The recipe of the run.")],
    out: Annotated[Path, typer.Option(help="The folder of the run.")],
    variant: Annotated[str | None, typer.Option(help="Has to be that of the run.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Has to be that of the run.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Has to be that of the run.")] = None,
    scale: Annotated[str | None, typer.Option(help="Has to be that of the run.")] = None,
    classifier: Annotated[str | None, typer.Option(help="An encoder to fine-tune, by name or folder.")] = None,
    lm: Annotated[str | None, typer.Option(help="A causal model for perplexity: name, folder or .gguf file.")] = None,
    canaries: Annotated[Path | None, typer.Option(help="A jsonl file with text and member (true or false).")] = None,
    seeds: Annotated[str | None, typer.Option(help="Comma-separated; the recipe's without it.")] = None,
) -> None:
    """Score the synthetic records of a run: utility, likeness, copies, membership inference."""
    try:
        found = agreed(out, recipe, variant=variant, dataset=dataset, epsilon=epsilon, scale=scale)
        choices = Choices(seeds_of(seeds, found), protocol(classifier, found), lm, canaries)
        evaluate(out, choices)
    except (ValueError, OSError) as error:
        raise ends_in_one_line(error) from None
    typer.echo((out / "evaluation.md").read_text(encoding="utf-8"))


def seeds_of(text: str | None, recipe: Recipe) -> tuple[int, ...]:
    if text is None:
        return tuple(recipe.evaluation.get("seeds", SEEDS))
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise EvaluateError(f"--seeds: expected numbers separated by commas; got {text!r}")
    return tuple(int(part) for part in text.split(","))


def protocol(name: str | None, recipe: Recipe) -> Protocol | None:
    """The recipe's settings of fine-tuning, with this model."""
    if name is None:
        return None
    settings: dict[str, Callable[[Any], Any]] = {
        "length": int,
        "batch_size": int,
        "learning_rate": float,
        "epochs": int,
    }
    given = recipe.evaluation
    return Protocol(
        name, **{k: kind(given[f"classifier_{k}"]) for k, kind in settings.items() if f"classifier_{k}" in given}
    )
