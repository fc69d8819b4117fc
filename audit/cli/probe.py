"""`audit probe`."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from audit.cli.console import out
from audit.cli.exits import FailOn, counted
from audit.target import TargetError


def probe(
    steps: Annotated[list[str], typer.Argument(help="module:factory of a training step; its code is run")],
    only: Annotated[list[str] | None, typer.Option("--probe", help="one probe's name; may be repeated")] = None,
    seed: Annotated[int, typer.Option(min=0, help="public; all batches and records tried follow from it")] = 0,
    brief: Annotated[bool, typer.Option("--brief", help="try fewer neighbours and sizes")] = False,
    installed: Annotated[bool, typer.Option("--installed", help="do not look into the current folder")] = False,
    fail_on: Annotated[FailOn, typer.Option(help="exit 1 on a violation of this severity or above")] = FailOn.HIGH,
    fail_on_inconclusive: Annotated[bool, typer.Option(help="exit 3 when a probe could not judge")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    debug: Annotated[bool, typer.Option(help="print the traceback of a step or a probe that fails")] = False,
) -> None:
    """Measure what training steps do to one record: sensitivity, noise, sampling, what they carry on.

    Runs the code named. Exits as `audit run` does. With --json: a list, one entry a step.
    """
    from audit.probes.command import ProbeError, exit_code, lines, probed

    try:
        with redirect_stdout(sys.stderr):  # what the step's own code prints is no part of the answer
            folder = None if installed else Path.cwd()
            found = [probed(s, only, seed=seed, brief=brief, folder=folder, debug=debug) for s in steps]
    except ProbeError as error:
        raise TargetError(str(error)) from None
    if as_json:
        typer.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=2, ensure_ascii=False))
    for line in () if as_json else (line for one in found for line in lines(one)):
        out.print(line, markup=False, soft_wrap=True)
    answers = [answer for one in found for answer in one.answers]
    raise typer.Exit(exit_code(answers, counted(fail_on), inconclusive=fail_on_inconclusive))
