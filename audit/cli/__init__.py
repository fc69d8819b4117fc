"""The command line: the only place that prints, exits, or reads the environment."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from audit import result as results
from audit import summary
from audit.cards import CardError
from audit.cli import built_in, compare, data, overlap, own, price, probe, run
from audit.cli.console import err, out
from audit.cli.pipe import ending_with_its_reader
from audit.ledger import LedgerError
from audit.records import RecordsError
from audit.reimplementation import ReimplementationError
from audit.run import versions
from audit.target import TargetError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # help that wraps instead of being cut at 80 columns
    pretty_exceptions_enable=False,
    help="Tells whether a paper's differential-privacy claim on synthetic text holds.",
)

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MENDABLE = (CardError, TargetError, RecordsError, LedgerError, ReimplementationError, results.ResultError)
COMMANDS: dict[str, Callable[..., None]] = {  # in the order of `audit --help`
    "run": run.run,
    "epsilon": price.epsilon,
    "users": data.users,
    "init": own.init,
    "checklist": own.checklist,
    "index": compare.index,
    "diff": compare.diff_,
    "cap": data.cap,
    "probe": probe.probe,
    "overlap": overlap.overlap,
    "manifest": data.manifest,
    "list": built_in.list_,
    "explain": built_in.explain,
    "validate": own.validate,
    "schema": built_in.schema,
}


def main() -> None:
    """Run the command line; an error that a user can mend is one line and exit 2."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")  # processes share the cores; threads inside them would only wait
    sys.stdout, sys.stderr = ending_with_its_reader(sys.stdout), ending_with_its_reader(sys.stderr)
    try:
        app()
    except MENDABLE as error:
        for line in str(error).splitlines():
            err.print(f"audit: {summary.plain(line)}", style="red", markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("audit: interrupted; nothing was written", markup=False)
        sys.exit(130)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"dp-claim-audit {versions()['dp-claim-audit']}", markup=False)
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="print it")] = False,
) -> None:
    """Tells whether a paper's differential-privacy claim on synthetic text holds."""


for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
