"""The command line of the reimplementations: python -m reimpl parity | summary | import.

Exit codes: 0 done · 1 a comparison is out of tolerance · 2 could not run (one line says why).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reimpl.checkpoints import CheckpointError, import_checkpoint, model_module, read_config
from reimpl.parity.golden import GoldenError

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Reimplemented text diffusion models.")


class ModelName(StrEnum):
    DIFFUSEQ = "diffuseq"
    SEQDIFFUSEQ = "seqdiffuseq"
    GENIE = "genie"


class Attention(StrEnum):
    EAGER = "eager"
    SDPA = "sdpa"
    BOTH = "both"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Bad input ends the command with one line and exit code 2."""
    try:
        yield
    except (CheckpointError, GoldenError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


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
