"""`audit run`."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from platformdirs import user_cache_path

from audit import result as results
from audit import summary
from audit.check import all_checks
from audit.cli.console import out, progress, write
from audit.cli.exits import FailOn, exit_code
from audit.diff import fingerprints
from audit.reimplementation import perform, runs_of
from audit.run import run_audit
from audit.target import card_path, resolve
from audit.types import AuditResult

FILES = {"json": "result.json", "html": "report.html", "md": "report.md", "sarif": "report.sarif"}


class ReimplScale(StrEnum):
    SMOKE = "smoke"


def run(
    target: Annotated[str, typer.Argument(help="prior-work/PAPER, or a folder with a card.toml")],
    data: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH[,text=COL][,unit=COL] of a private dataset on the card")
    ] = None,
    corpus: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH[,text=COL] of a pretraining corpus on the card")
    ] = None,
    code: Annotated[Path | None, typer.Option(help="checkout of the authors' code; read, never run")] = None,
    ledger: Annotated[
        list[Path] | None, typer.Option(help="ledger.json of a training run, or the folder of one")
    ] = None,
    reimpl: Annotated[
        ReimplScale | None, typer.Option(help="first run our reimplementation, as published and corrected (minutes)")
    ] = None,
    out_dir: Annotated[Path | None, typer.Option("--out", help="folder for the results [out/<paper>]")] = None,
    formats: Annotated[str, typer.Option("--format", help="what to write, of json,html,md,sarif")] = "html,json",
    fail_on: Annotated[FailOn, typer.Option(help="exit 1 on a finding of this severity or above")] = FailOn.HIGH,
    fail_on_inconclusive: Annotated[bool, typer.Option(help="exit 3 when a check was skipped")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="fetch nothing (always so: the default)")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="print nothing but errors")] = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="show no progress")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="neither read nor write earlier prices")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="processes that price claims")] = os.cpu_count() or 1,
    no_probes: Annotated[bool, typer.Option("--no-probes", help="do not run and measure our training steps")] = False,
    debug: Annotated[bool, typer.Option(help="print the traceback of a check that fails")] = False,
    assume_max_records: Annotated[
        int | None, typer.Option(min=1, help="suppose that nobody holds more records, where no column names people")
    ] = None,
    no_waivers: Annotated[bool, typer.Option("--no-waivers", help="let no waiver of the card hold")] = False,
    baseline: Annotated[Path | None, typer.Option(help="result.json of an earlier audit, for --fail-on-new")] = None,
    fail_on_new: Annotated[bool, typer.Option(help="exit 1 only on findings that --baseline does not have")] = False,
) -> None:
    """Audit a paper: every check, the epsilon ladder of every claim, a result and a report.

    Exits 1 on a finding at or above --fail-on, else 3 when a check failed (or was skipped, with
    --fail-on-inconclusive), else 0; 2 when it could not run.
    """
    wanted = _formats(formats)
    if fail_on_new and baseline is None:
        raise typer.BadParameter("expected --baseline with it", param_hint="--fail-on-new")
    known = set(fingerprints(results.read(baseline))) if baseline is not None and fail_on_new else set()
    with progress(quiet or no_progress) as tell:
        reimplemented: tuple[Path, ...] = ()
        if reimpl is not None:
            card = resolve(target).card
            reimplemented = perform(runs_of(card, (out_dir or Path("out") / card.id) / "reimpl"), jobs, tell)
        result = run_audit(
            target,
            data=_named(data or [], "--data"),
            corpora=_named(corpus or [], "--corpus"),
            code=code,
            ledgers=ledger or [],
            reimplemented=reimplemented,
            jobs=jobs,
            cache=None if no_cache else user_cache_path("dp-claim-audit"),
            progress=tell,
            command=shlex.join(["audit", *sys.argv[1:]]),
            debug=debug,
            assume_max_records=assume_max_records,
            probes=not no_probes,
            waive=not no_waivers,
        )
    written = write(_rendered(result, wanted, card_path(target)), out_dir or Path("out") / result.paper.id)
    if not quiet:
        summary.show(out, result, written)
    raise typer.Exit(exit_code(result, fail_on, inconclusive=fail_on_inconclusive, known=known))


def _formats(text: str) -> list[str]:
    wanted = [part.strip() for part in text.split(",") if part.strip()]
    if not wanted or set(wanted) - set(FILES):
        raise typer.BadParameter(f"{text!r}: expected some of {','.join(FILES)}", param_hint="--format")
    return list(dict.fromkeys(wanted))


def _named(specs: Iterable[str], option: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for spec in specs:
        name, equals, rest = spec.partition("=")
        if not (name and equals and rest):
            raise typer.BadParameter(f"{spec!r}: expected NAME=PATH, NAME as on the card", param_hint=option)
        if name in named:
            raise typer.BadParameter(f"{name!r} is given twice", param_hint=option)
        named[name] = rest
    return named


def _rendered(result: AuditResult, wanted: list[str], card: str) -> dict[str, str]:
    """File name -> text. Every format shows the same result; none of them moves the exit code."""
    stored = results.to_json(result)
    body = json.loads(stored)

    def render(form: str) -> str:
        if form == "json":
            return stored
        if form == "sarif":
            from reports import sarif

            return sarif.render(body, card=card, pages={ident: item.page for ident, item in all_checks().items()})
        from reports import html, md

        return html.render(body) if form == "html" else md.render(body)

    return {FILES[form]: render(form) for form in wanted}
