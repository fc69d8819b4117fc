"""`audit epsilon`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from audit.cli.console import out
from audit.target import TargetError


def epsilon(
    delta: Annotated[float, typer.Option(help="δ")],
    noise_multiplier: Annotated[float | None, typer.Option(help="noise standard deviation / clip norm")] = None,
    sampling_probability: Annotated[float | None, typer.Option(help="a record's chance per step")] = None,
    steps: Annotated[int | None, typer.Option(help="noisy updates")] = None,
    group_size: Annotated[str, typer.Option(help="records of one person: K, or FIRST:LAST for a curve")] = "1",
    sampler: Annotated[
        str, typer.Option(help="poisson, fixed-size, shuffle-each-epoch, shuffle-once or deterministic")
    ] = "poisson",
    neighboring_relation: Annotated[
        str, typer.Option(help="add-or-remove-one, replace-one or replace-special")
    ] = "add-or-remove-one",
    accountant: Annotated[str, typer.Option(help="all, pld, rdp, prv, contour or rdp-old")] = "all",
    batch_size: Annotated[int | None, typer.Option(help="records in a batch")] = None,
    records: Annotated[int | None, typer.Option(help="training records")] = None,
    epochs: Annotated[int | None, typer.Option(help="passes, of records // batch size steps each")] = None,
    target_epsilon: Annotated[float | None, typer.Option(help="find the noise multiplier for this ε instead")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON; a curve is a list")] = False,
) -> None:
    """Price a training run: ε as a bracket, by two routes, and what it means for an attack."""
    from audit.accounting.inputs import AccountingInputError
    from audit.epsilon import Query, answers, lines

    asked = Query(
        noise_multiplier, sampling_probability, steps, delta, group_size, sampler, neighboring_relation, accountant,
        batch_size, records, epochs, target_epsilon,
    )  # fmt: skip
    try:
        found = answers(asked)
    except AccountingInputError as error:
        raise TargetError(str(error)) from None
    if as_json:
        typer.echo(json.dumps(found if len(found) > 1 else found[0], indent=2, ensure_ascii=False))
        return
    for line in lines(found):
        out.print(line, markup=False, soft_wrap=True)
