"""The command line of the reimplementations: python -m reimpl train | generate | evaluate | parity | summary | import.

Exit codes: 0 done · 1 a comparison is out of tolerance · 2 could not run (one line says why).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reimpl import evaluate, generate
from reimpl import recipe as recipes
from reimpl import train as training
from reimpl.checkpoints import import_checkpoint, model_module, read_config

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Reimplemented text diffusion models.")


class ModelName(StrEnum):
    DIFFUSEQ = "diffuseq"
    SEQDIFFUSEQ = "seqdiffuseq"
    GENIE = "genie"


class Variant(StrEnum):
    CORRECTED = "corrected"
    AS_PUBLISHED = "as-published"


class Scale(StrEnum):
    SMOKE = "smoke"
    SMALL = "small"
    PUBLISHED = "published"


class Attention(StrEnum):
    EAGER = "eager"
    SDPA = "sdpa"
    BOTH = "both"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Bad input ends the command with one line and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A built-in recipe, or a .toml file.")],
    variant: Annotated[
        Variant, typer.Option(help="As the released code does it, or so that ε holds.")
    ] = Variant.CORRECTED,
    dataset: Annotated[str | None, typer.Option(help="A data set of the recipe; its first without one.")] = None,
    data: Annotated[str | None, typer.Option(help="generated, a file, a folder, or hf:OWNER/NAME.")] = None,
    epsilon: Annotated[float | None, typer.Option(help="Target ε; inf trains without noise.")] = None,
    scale: Annotated[Scale, typer.Option(help="smoke: minutes on a CPU.")] = Scale.PUBLISHED,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; below out/reimpl without one.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in --out.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1.")] = "cpu",
    show_loss: Annotated[bool, typer.Option("--show-loss", help="Show the private loss on the terminal.")] = False,
    insecure_noise_seed: Annotated[
        int | None, typer.Option(min=0, help="Repeatable noise, for tests: it voids the guarantee.")
    ] = None,
) -> None:
    """Train a recipe under DP; leaves the model and a ledger an auditor can price."""
    with one_line_errors():
        chosen = recipes.load(recipe, variant=variant, scale=scale, dataset=dataset, epsilon=epsilon)
        if data is not None:
            chosen = replace(chosen, data=replace(chosen.data, source=data))
        for reason in chosen.why_epsilon_fails() if chosen.private else []:
            typer.echo(f"ε does not hold: {reason}", err=True)
        if insecure_noise_seed is not None:
            typer.echo(f"ε does not hold: {recipes.SEED_FAILS}", err=True)
        folder = out or Path("out", "reimpl", f"{chosen.id}-{variant}-{chosen.data.name}-{chosen.epsilon:g}-{scale}")
        training.train(
            chosen,
            training.examples(chosen),
            folder,
            resume=resume,
            insecure_noise_seed=insecure_noise_seed,
            device=device,
            loss_shown=show_loss,
            on_step=shown(show_loss),
        )
    typer.echo(ended(folder / "ledger.json"), err=True)
    typer.echo(str(folder))


def ended(ledger: Path) -> str:
    """What was declared and done, in one line, and where an auditor finds it."""
    content = json.loads(ledger.read_text(encoding="utf-8"))
    declared, steps = content["declared"], content["totals"]["steps_run"]
    target, delta = declared["target_epsilon"], declared["delta"]
    asked = "so no privacy" if declared["noise_multiplier"] == 0 else f"calibrated for ε = {target:g}, δ = {delta:.4g}"
    noise = f"noise multiplier {declared['noise_multiplier']:.4g}"
    return f"{steps:,} steps of {declared['records']:,} records, {noise}, {asked}; ledger: {ledger}"


def shown(with_loss: bool) -> Callable[[training.Progress], None]:
    """Writes progress to the terminal's line, or every tenth of the way where nobody watches one."""
    watched = sys.stderr.isatty()

    def show(progress: training.Progress) -> None:
        if not watched and progress.step % max(1, progress.steps // 10):
            return
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        line = f"step {progress.step} of {progress.steps}, {minutes}:{seconds:02} left"
        loss = f", loss {progress.loss:.4f}" if with_loss else ""
        done = progress.step == progress.steps
        typer.echo(f"\r{line}{loss}   " if watched else f"{line}{loss}", err=True, nl=done or not watched)

    return show


app.command("generate")(generate.command)
app.command("evaluate")(evaluate.command)


@app.command()
def parity(
    model: ModelName,
    golden_dir: Path,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    attention: Annotated[Attention, typer.Option(help="Attention implementation to compare.")] = Attention.BOTH,
) -> None:
    """Recompute every output array of a golden folder and compare it with the original's."""
    from reimpl.parity.report import table
    from reimpl.parity.run import ATTENTION
    from reimpl.parity.run import parity as compare

    implementations = ATTENTION if attention is Attention.BOTH else (attention.value,)
    with one_line_errors():
        result = compare(model.value, golden_dir, implementations)
    typer.echo(json.dumps(result.as_json(), indent=1) if as_json else table(result))
    raise typer.Exit(0 if result.passed else 1)


@app.command()
def summary(
    model: ModelName,
    config: Annotated[Path | None, typer.Option(help="A config.json; the published size without one.")] = None,
) -> None:
    """Parameters, state_dict keys and settings of a model, and where each number comes from."""
    from reimpl.summary import summary as lines

    with one_line_errors():
        module = model_module(model.value)
        chosen = module.Config.published() if config is None else read_config(config, model.value)
    typer.echo(lines(module, chosen))


@app.command("import")
def import_(
    model: ModelName,
    file: Path,
    out: Annotated[Path, typer.Option(help="Folder for model.safetensors and config.json.")],
    config: Annotated[Path | None, typer.Option(help="A config.json; the published size without one.")] = None,
) -> None:
    """Convert an authors' checkpoint (plain, EMA, or GENIE's dict) after checking keys, shapes and ties."""
    with one_line_errors():
        chosen = None if config is None else read_config(config, model.value)
        import_checkpoint(model.value, file, out, chosen)
    typer.echo(f"{out}: {model.value}, every key, shape and tie checked")


if __name__ == "__main__":
    app()
