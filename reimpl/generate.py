"""Synthetic records from a trained model: python -m reimpl generate RECIPE --out DIR.

DIR is the folder of a run (see reimpl.train). What is written:

    DIR/synthetic/seed-<seed>.jsonl                from the trained model
    DIR/synthetic/public-only-seed-<seed>.jsonl    from the model that training started from, which saw nothing private

Each row: text, label (its index), label_name, prompt, model, seed, options (JSON), ledger_sha256. `datasets` loads the
files as they are. A call that was killed is simply repeated: it goes on where it stopped (`reimpl.synthetic`).

How many texts a label gets is `label_counts` of the recipe: "uniform" reads nothing private; "private-exact" repeats
the proportions of the training data, as arXiv 2210.14348 does, and notes that access in the ledger.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from reimpl.data import load
from reimpl.dpsgd import fitting_threads
from reimpl.ledger import Recorder, write_durably
from reimpl.recipe import Recipe
from reimpl.synthetic import PUBLIC_ONLY, Order, written
from reimpl.train import build
from reimpl.trainable import adapter_module

OURS = ("count", "counts", "label_counts", "sampling_prompts", "batch_size")  # of [generation]; the rest is the model's
BATCH_SIZE = 16
LABEL_COUNTS_READ = "exact label counts of the training data set how many texts are generated of each label"


class GenerateError(ValueError):
    """What cannot be generated from: one line that says what was expected."""


class Form(StrEnum):
    JSONL = "jsonl"
    PARQUET = "parquet"


def generate(
    run: Path,
    *,
    count: int | None = None,
    seed: int = 0,
    form: str = "jsonl",
    public_only: bool = False,
    device: str = "cpu",
) -> Path:
    """Write synthetic records of a run and return their file. GenerateError where the folder is not that of a run."""
    recipe = read_run(run)
    name = f"{PUBLIC_ONLY if public_only else ''}seed-{seed}"
    labels = labels_for(recipe, run, count or size(recipe))
    order = ordered(recipe, run, labels, seed, public_only)
    folder = run / "synthetic"
    folder.mkdir(exist_ok=True)
    model = build(recipe) if public_only else adapter_module(recipe.adapter).load(run)  # build: before its first step
    model.module.to(device)
    with fitting_threads(model.module.parameters()):
        return written(folder / f"{name}.{form}", order, model, seed, model_options(recipe))


def read_run(run: Path) -> Recipe:
    """The recipe of a finished run."""
    for name in ("recipe.json", "ledger.json", "model.safetensors"):
        if not (run / name).is_file():
            raise GenerateError(f"{run}: no {name}; expected the folder of a finished run of `python -m reimpl train`")
    try:
        return Recipe.from_json((run / "recipe.json").read_text(encoding="utf-8"))
    except (ValueError, KeyError, TypeError):
        raise GenerateError(f"{run / 'recipe.json'}: expected what `python -m reimpl train` wrote") from None


def size(recipe: Recipe) -> int:
    """How many texts the recipe generates of its dataset."""
    counts = recipe.generation.get("counts", {}) if recipe.scale == "published" else {}
    found = counts.get(recipe.data.name, recipe.generation.get("count"))
    if not found:
        raise GenerateError(f"{recipe.id}: how many texts are generated is not in the sources read; give --count")
    return int(found)


def labels_for(recipe: Recipe, run: Path, count: int) -> list[int]:
    """The label of each row; labels take turns, so any beginning of the rows is balanced alike."""
    classes = len(recipe.data.labels)
    if classes == 0:
        raise GenerateError(f"{recipe.id}: dataset {recipe.data.name} has no labels and prompts in the sources read")
    rule = recipe.generation.get("label_counts", "uniform")
    if rule == "uniform":
        return [row % classes for row in range(count)]
    if rule != "private-exact":
        raise GenerateError(f"generation.label_counts: expected uniform or private-exact; got {rule!r}")
    counts = Counter(record.label for record in load(recipe.data.source, "train", recipe.data.labels))
    note_access(run / "ledger.json", LABEL_COUNTS_READ)
    return in_proportion([counts[label] for label in range(classes)], count)


def in_proportion(weights: Sequence[int], count: int) -> list[int]:
    """count labels with counts proportional to weights (largest remainders), spread evenly over the rows."""
    exact = [weight * count / sum(weights) for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda label: (counts[label] - exact[label], label))
    for label in by_remainder[: count - sum(counts)]:
        counts[label] += 1
    places = [((row + 0.5) / counts[label], label) for label in range(len(weights)) for row in range(counts[label])]
    return [label for _, label in sorted(places)]


def note_access(ledger: Path, what: str) -> None:
    """An access that nothing pays for, appended to the ledger of a finished run, once."""
    content = json.loads(ledger.read_text(encoding="utf-8"))
    if any((entry["access"] or {}).get("what") == what for entry in content["entries"]):
        return
    recorder = Recorder(content["declared"], content["entries"])
    recorder.access(what, covered=False, why="counts of private records are released without noise")
    after = recorder.as_json()
    after["totals"] |= {name: content["totals"][name] for name in ("seconds", "peak_memory_bytes")}
    write_durably(ledger, json.dumps(after, indent=1, sort_keys=True) + "\n")


def ordered(recipe: Recipe, run: Path, labels: list[int], seed: int, public_only: bool) -> Order:
    generation = recipe.generation
    prompts = generation.get("sampling_prompts", {}).get(recipe.data.name, recipe.data.prompts)
    options = model_options(recipe)
    batch_size = int(generation.get("batch_size", BATCH_SIZE))
    shared = {
        "model": f"{recipe.id}, {'public start' if public_only else recipe.variant}, {recipe.scale}",
        "seed": seed,
        "options": json.dumps(options | {"batch_size": batch_size}, sort_keys=True),
        "ledger_sha256": ledger_digest(run),
    }
    return Order(labels, [prompts[label] for label in labels], shared, recipe.data.labels, batch_size)


def ledger_digest(run: Path) -> str:
    """SHA-256 of the bytes of the run's ledger.json."""
    return hashlib.sha256((run / "ledger.json").read_bytes()).hexdigest()


def model_options(recipe: Recipe) -> dict[str, Any]:
    return {name: value for name, value in recipe.generation.items() if name not in OURS}


def agreed(run: Path, recipe: str, **chosen: Any) -> Recipe:
    """The recipe of a run. GenerateError where the command line names another recipe, variant, scale, dataset or ε."""
    found = read_run(run)
    known = {"variant": found.variant, "scale": found.scale, "dataset": found.data.name, "epsilon": found.epsilon}
    if recipe not in (found.id, str(run)) and Path(recipe).stem != found.id:
        raise GenerateError(f"{run} is a run of {found.id}, not of {recipe}")
    for name, value in chosen.items():
        if value is not None and value != known[name]:
            raise GenerateError(f"{run} is a run with {name} {known[name]}, not {value}; leave --{name} out")
    return found


def ends_in_one_line(error: Exception) -> typer.Exit:
    typer.echo(f"error: {error}", err=True)
    return typer.Exit(2)


def command(
    recipe: Annotated[str, typer.Argument(help="The recipe of the run.")],
    out: Annotated[Path, typer.Option(help="The folder of the run.")],
    variant: Annotated[str | None, typer.Option(help="Has to be that of the run.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Has to be that of the run.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Has to be that of the run.")] = None,
    scale: Annotated[str | None, typer.Option(help="Has to be that of the run.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Texts; the recipe's number without it.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Public: sampling needs no secret.")] = 0,
    form: Annotated[Form, typer.Option("--format", help="jsonl or parquet.")] = Form.JSONL,
    public_only: Annotated[bool, typer.Option(help="From the model before training, as a baseline.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1.")] = "cpu",
) -> None:
    """Write synthetic records from the model of a run."""
    try:
        agreed(out, recipe, variant=variant, dataset=dataset, epsilon=epsilon, scale=scale)
        path = generate(out, count=count, seed=seed, form=form.value, public_only=public_only, device=device)
    except (ValueError, OSError) as error:
        raise ends_in_one_line(error) from None
    typer.echo(str(path))
