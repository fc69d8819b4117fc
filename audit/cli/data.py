"""Commands on a dataset: `audit users`, `cap`, `manifest`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from audit.cli.console import out, progress
from audit.files import write_atomically
from audit.target import TargetError


def users(
    path: Annotated[str, typer.Argument(help="file, folder, glob, or hf:owner/name[:config][:split]")],
    unit: Annotated[str | None, typer.Option(help="column that names the person")] = None,
    text: Annotated[str | None, typer.Option(help="column of the text: also look for copies and bots")] = None,
    name: Annotated[str | None, typer.Option(help="column of people's names: one id with several?")] = None,
    email: Annotated[str | None, typer.Option(help="column of e-mail addresses: several ids with one?")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="look at the first records only")] = None,
    assume_max_records: Annotated[
        int | None, typer.Option(min=1, help="without --unit: suppose that no person holds more records")
    ] = None,
    noise_multiplier: Annotated[float | None, typer.Option(help="noise standard deviation / clip norm")] = None,
    sampling_probability: Annotated[float | None, typer.Option(help="a record's chance per step")] = None,
    steps: Annotated[int | None, typer.Option(help="noisy updates")] = None,
    delta: Annotated[float | None, typer.Option(help="δ")] = None,
    target_epsilon: Annotated[float | None, typer.Option(help="ε to keep for a person [what a record has]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="show no progress")] = False,
) -> None:
    """Measure how many records each person holds, how far that can be trusted, and what a cap would mend."""
    from audit.accounting.inputs import AccountingInputError
    from audit.cells import Columns
    from audit.users.answer import as_json as answer_json
    from audit.users.answer import training_of
    from audit.users.answer import users as ask
    from audit.users.wording import lines

    try:
        with progress(no_progress) as tell:
            training = training_of(noise_multiplier, sampling_probability, steps, delta, target_epsilon)
            columns = Columns(text=text, unit=unit, name=name, email=email)
            found = ask(path, columns, limit=limit, assume_max_records=assume_max_records, training=training, tell=tell)
    except AccountingInputError as error:
        raise TargetError(str(error)) from None
    if as_json:
        typer.echo(json.dumps(answer_json(found), indent=2, ensure_ascii=False))
        return
    for line in lines(found):
        out.print(line, markup=False, soft_wrap=True)


def cap(
    path: Annotated[str, typer.Argument(help="file, folder or glob of csv, tsv, jsonl, json or parquet")],
    unit: Annotated[str, typer.Option(help="column that names the person")],
    max_records: Annotated[int, typer.Option(min=1, help="records of each person to keep")],
    out_file: Annotated[Path, typer.Option("--out", help="file to write, of the same format")],
    seed: Annotated[int, typer.Option(help="draws which records are kept")] = 0,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="show no progress")] = False,
) -> None:
    """Write a copy of a dataset in which no person holds more than a number of records."""
    from audit.cap import cap as write_capped

    with progress(no_progress) as tell:
        done = write_capped(path, unit, max_records, seed, out_file, tell)
    left_out = f"; {done.missing:,} records without an id were left out" if done.missing else ""
    out.print(
        f"{done.kept:,} of {done.records:,} records kept, {done.people_affected:,} of {done.people:,} people "
        f"affected{left_out}\n{out_file}  sha256 {done.sha256}",
        markup=False,
        soft_wrap=True,
    )


def manifest(
    path: Annotated[str, typer.Argument(help="file, folder, glob, or hf:owner/name[:config][:split]")],
    name: Annotated[str, typer.Option(help="what the dataset is called; its id is made from it")],
    text: Annotated[str | None, typer.Option(help="column of the text")] = None,
    unit: Annotated[str | None, typer.Option(help="column that names the person")] = None,
    label: Annotated[str | None, typer.Option(help="column of the label")] = None,
    out_file: Annotated[Path | None, typer.Option("--out", help="file to write [print it]")] = None,
    croissant: Annotated[Path | None, typer.Option(help="also write it as Croissant 1.0 JSON-LD")] = None,
) -> None:
    """Write a manifest from data: columns, counts and checksums measured, the rest left to fill in."""
    from audit.croissant import to_croissant
    from audit.manifest import manifest_of, to_toml

    found = manifest_of(path, name, text, unit, label)
    wanted = {out_file: to_toml(found), croissant: to_croissant(found) if croissant else ""}
    try:
        for file, content in wanted.items():
            if file is not None:
                write_atomically(file, content)
    except OSError as error:
        raise TargetError(f"{error.filename}: cannot be written: {error.strerror}") from None
    if out_file is None:
        typer.echo(wanted[None] or to_toml(found), nl=False)
