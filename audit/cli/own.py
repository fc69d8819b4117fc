"""Commands on one's own paper: `audit init`, `checklist`, `validate`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from audit import result as results
from audit import summary
from audit.cli.console import err, out, write


def init(
    folder: Annotated[Path, typer.Argument(help="folder for the card; made where it is missing")],
    title: Annotated[str | None, typer.Option(help="title of the paper")] = None,
    model: Annotated[str | None, typer.Option(help="the model that was trained, as GPT-2")] = None,
    dataset: Annotated[str | None, typer.Option(help="short name of the private data, as reviews")] = None,
    epsilon: Annotated[float | None, typer.Option(help="the ε claimed")] = None,
    delta: Annotated[str | None, typer.Option(help="the δ claimed: a number, 1/N, 1/(10N) or 1/(N ln N)")] = None,
    records: Annotated[int | None, typer.Option(min=1, help="training records: the N of the accounting")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="logical batch size")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="epochs accounted")] = None,
    noise_multiplier: Annotated[float | None, typer.Option(help="noise standard deviation / clip norm")] = None,
    clip_norm: Annotated[float | None, typer.Option(help="per-record gradient norm")] = None,
    accountant: Annotated[str | None, typer.Option(help="pld, prv, rdp, rdp-old, gdp or moments")] = None,
    sampler: Annotated[str | None, typer.Option(help="what the accountant assumes, as poisson")] = None,
    privacy_unit: Annotated[str | None, typer.Option(help="what one neighbour has and the other lacks")] = None,
    text_column: Annotated[str | None, typer.Option(help="column of the texts")] = None,
    unit_column: Annotated[str | None, typer.Option(help="column that names the person")] = None,
) -> None:
    """Write a commented card and manifest for your own paper; asks for what no option gives."""
    from audit.init import Answers, write_card

    def ask(given: str | None, question: str, default: str) -> str:
        return given if given is not None else str(_prompt(question, default=default))

    answers = Answers(
        paper=folder.resolve().name.lower(),
        title=ask(title, "Title of the paper", "Synthetic text under differential privacy"),
        model=ask(model, "Model that was trained", "GPT-2"),
        dataset=ask(dataset, "Short name of the private data", "reviews"),
        epsilon=epsilon if epsilon is not None else float(_prompt("ε claimed", default=8.0, type=float)),
        delta=ask(delta, "δ claimed (a number, 1/N, 1/(10N) or 1/(N ln N))", "1/(10N)"),
        records=records if records is not None else _ask_records(),
        batch_size=batch_size,
        epochs=epochs,
        noise_multiplier=noise_multiplier,
        clip_norm=clip_norm,
        accountant=accountant,
        sampler=sampler,
        privacy_unit=privacy_unit,
        text_column=text_column,
        unit_column=unit_column,
    )
    for path in write_card(folder, answers):
        out.print(f"wrote {path}", markup=False, soft_wrap=True)
    out.print(f"next: fill in what is commented out, then `audit run {folder}`", markup=False, soft_wrap=True)


def _ask_records() -> int | None:
    """The number of training records, without which nothing is priced; None where the answer is empty."""
    question = "Training records, the N of the accounting (empty: not known yet)"
    return cast(int | None, _prompt(question, default="", show_default=False, value_proc=_records))


def _prompt(question: str, **options: Any) -> Any:
    """The answer; a usage error where nobody is there to answer, as in a script."""
    try:
        return typer.prompt(question, **options)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        raise typer.BadParameter(f"no answer to “{question}”: give one, or the option for it") from None


def _records(text: str) -> int | None:
    plain = text.strip().replace(",", "")
    if not plain:
        return None
    if not re.fullmatch("0*[1-9][0-9]{0,12}", plain):
        raise typer.BadParameter("expected a whole number of at least 1, or nothing")
    return int(plain)


def checklist(
    result: Annotated[Path, typer.Argument(help="result.json of an audit")],
    out_file: Annotated[Path | None, typer.Option("--out", help="write there instead of printing")] = None,
) -> None:
    """Map an audit's answers to reviewers' checklists, with a privacy statement to paste, as Markdown."""
    from reports.publication import render

    text = render(json.loads(results.to_json(results.read(result))))
    if out_file is None:
        typer.echo(text, nl=False)
    else:
        write({out_file.name: text}, out_file.parent)


def validate(files: Annotated[list[Path], typer.Argument(help="card or manifest files (TOML)")]) -> None:
    """Check cards and manifests; every complaint names the file, the key and what was expected."""
    complaints = [line for path in files for line in (summary.complaint(path) or "").splitlines()]
    for text in complaints:
        err.print(f"audit: {summary.plain(text)}", style="red", markup=False, soft_wrap=True)
    if complaints:
        raise typer.Exit(2)
    out.print(f"{len(files)} valid", markup=False)
