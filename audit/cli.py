"""The command line: the only place that prints, exits, or reads the environment."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from platformdirs import user_cache_path
from rich.console import Console

from audit import result as results
from audit import summary
from audit.cards import CardError, built_in_cards, built_in_manifests, load_card, load_manifest, schema_text
from audit.check import all_checks
from audit.diff import fingerprints
from audit.files import write_atomically
from audit.ledger import LedgerError
from audit.records import RecordsError
from audit.reimplementation import ReimplementationError, perform, runs_of
from audit.run import Progress, run_audit, versions
from audit.target import TargetError, card_path, resolve
from audit.types import AuditResult, Severity, Status

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # help that wraps instead of being cut at 80 columns
    pretty_exceptions_enable=False,
    help="Tells whether a paper's differential-privacy claim on synthetic text holds.",
)
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
MENDABLE = (CardError, TargetError, RecordsError, LedgerError, ReimplementationError, results.ResultError)
FILES = {"json": "result.json", "html": "report.html", "md": "report.md", "sarif": "report.sarif"}


class FailOn(StrEnum):
    """The least severity that makes `audit run` exit 1."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"
    NEVER = "never"


class DiffFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    HTML = "html"


class ReimplScale(StrEnum):
    SMOKE = "smoke"


class SearchMode(StrEnum):
    CONTAINMENT = "containment"
    NEAR_DUPLICATE = "near-duplicate"


class ShingleUnit(StrEnum):
    WORD = "word"
    CHAR = "char"


class TextForm(StrEnum):
    STANDARD = "standard"
    PLAIN = "plain"


class SearchEngine(StrEnum):
    LOCAL = "local"
    RAY = "ray"


class Listed(StrEnum):
    PAPERS = "papers"
    CHECKS = "checks"
    MANIFESTS = "manifests"


class SchemaName(StrEnum):
    CARD = "card"
    MANIFEST = "manifest"
    LEDGER = "ledger"
    RESULT = "result"


def main() -> None:
    """Run the command line; an error that a user can mend is one line and exit 2."""
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")  # processes share the cores; threads inside them would only wait
    try:
        app()
    except MENDABLE as error:
        for line in str(error).splitlines():
            err.print(f"audit: {summary.plain(line)}", style="red", markup=False, soft_wrap=True)
        sys.exit(2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
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


@app.command()
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
    baseline: Annotated[
        Path | None, typer.Option(help="result.json of an earlier audit, for --fail-on-new")
    ] = None,
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
    with _progress(quiet or no_progress) as tell:
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
    written = _write(_rendered(result, wanted, card_path(target)), out_dir or Path("out") / result.paper.id)
    if not quiet:
        summary.show(out, result, written)
    raise typer.Exit(exit_code(result, fail_on, inconclusive=fail_on_inconclusive, known=known))


def exit_code(result: AuditResult, fail_on: FailOn, *, inconclusive: bool, known: Collection[str] = ()) -> int:
    """1: a finding at or above `fail_on`, neither waived nor `known` by its fingerprint; else 3: a check failed,
    or was skipped where that counts; else 0.
    """
    waived = {outcome.check for outcome in result.outcomes if outcome.waiver is not None}
    if any(
        found.severity in counted(fail_on) and check not in waived and name not in known
        for name, (check, found) in fingerprints(result).items()
    ):
        return 1
    failed = any(outcome.status is Status.FAILED for outcome in result.outcomes)
    skipped = any(outcome.skips for outcome in result.outcomes)
    return 3 if failed or (inconclusive and skipped) else 0


def counted(fail_on: FailOn) -> list[Severity]:
    """The severities at or above `fail_on`."""
    order = list(Severity)
    return [] if fail_on is FailOn.NEVER else order[: order.index(Severity(fail_on.value)) + 1]


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


def _write(texts: dict[str, str], folder: Path) -> list[Path]:
    """Write what is rendered already: nothing is half-written."""
    try:
        for name, text in texts.items():
            write_atomically(folder / name, text)
    except OSError as error:
        raise TargetError(f"{folder}: cannot write there: {error.strerror}; choose another --out") from None
    return [folder / name for name in texts]


@contextmanager
def _progress(silent: bool) -> Iterator[Progress | None]:
    """Progress bars on standard error where it is a terminal; else nothing."""
    if silent or not err.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=err, transient=True) as bars:
        tasks: dict[str, object] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield tell


@app.command()
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


@app.command()
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
        with _progress(no_progress) as tell:
            training = training_of(noise_multiplier, sampling_probability, steps, delta, target_epsilon)
            columns = Columns(text=text, unit=unit, name=name, email=email)
            found = ask(
                path, columns, limit=limit, assume_max_records=assume_max_records, training=training, tell=tell
            )
    except AccountingInputError as error:
        raise TargetError(str(error)) from None
    if as_json:
        typer.echo(json.dumps(answer_json(found), indent=2, ensure_ascii=False))
        return
    for line in lines(found):
        out.print(line, markup=False, soft_wrap=True)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="folder for the card; made where it is missing")],
    title: Annotated[str | None, typer.Option(help="title of the paper")] = None,
    model: Annotated[str | None, typer.Option(help="the model that was trained, as GPT-2")] = None,
    dataset: Annotated[str | None, typer.Option(help="short name of the private data, as reviews")] = None,
    epsilon: Annotated[float | None, typer.Option(help="the ε claimed")] = None,
    delta: Annotated[str | None, typer.Option(help="the δ claimed: a number, 1/N, 1/(10N) or 1/(N ln N)")] = None,
    records: Annotated[int | None, typer.Option(min=1, help="training records")] = None,
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
        return given if given is not None else str(typer.prompt(question, default=default))

    answers = Answers(
        paper=folder.resolve().name.lower(),
        title=ask(title, "Title of the paper", "Synthetic text under differential privacy"),
        model=ask(model, "Model that was trained", "GPT-2"),
        dataset=ask(dataset, "Short name of the private data", "reviews"),
        epsilon=epsilon if epsilon is not None else float(typer.prompt("ε claimed", default=8.0, type=float)),
        delta=ask(delta, "δ claimed (a number, 1/N, 1/(10N) or 1/(N ln N))", "1/(10N)"),
        records=records,
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


@app.command()
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
        _write({out_file.name: text}, out_file.parent)


@app.command()
def index(
    folders: Annotated[list[Path], typer.Argument(help="folders that hold result.json files, at any depth")],
    out_file: Annotated[Path | None, typer.Option("--out", help="the page [index.html in the first folder]")] = None,
) -> None:
    """Show many results as one page."""
    from reports.index import render

    page = out_file or folders[0] / "index.html"
    found = results.find(folders)
    shown = [(results.link(path.with_name(FILES["html"]), page), results.read(path)) for path in found]
    text = render([(link, json.loads(results.to_json(result))) for link, result in shown])
    for path in _write({page.name: text}, page.parent):
        out.print(f"wrote {path} ({len(found)} results)", markup=False, soft_wrap=True)


@app.command("diff")
def diff_(
    old: Annotated[Path, typer.Argument(help="result.json of the earlier audit")],
    new: Annotated[Path, typer.Argument(help="result.json of the later audit")],
    form: Annotated[DiffFormat, typer.Option("--format", help="how to say it")] = DiffFormat.TEXT,
    out_file: Annotated[Path | None, typer.Option("--out", help="write there instead of printing")] = None,
) -> None:
    """Say what changed between two audits.

    Exits 0 when nothing changed, 1 when something did, 2 when it could not compare. Times, versions and
    digests alone are no change.
    """
    from audit.diff import compare
    from audit.diff_text import lines

    found = compare(results.read(old), results.read(new))
    if form is DiffFormat.HTML:
        from reports.diff_html import render

        text = render(found.model_dump(mode="json"))
    elif form is DiffFormat.JSON:
        text = json.dumps(found.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    else:
        text = "".join(f"{summary.plain(line)}\n" for line in lines(found))
    if out_file is None:
        typer.echo(text, nl=False)
    else:
        _write({out_file.name: text}, out_file.parent)
    raise typer.Exit(0 if found.same else 1)


@app.command()
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

    with _progress(no_progress) as tell:
        done = write_capped(path, unit, max_records, seed, out_file, tell)
    left_out = f"; {done.missing:,} records without an id were left out" if done.missing else ""
    out.print(
        f"{done.kept:,} of {done.records:,} records kept, {done.people_affected:,} of {done.people:,} people "
        f"affected{left_out}\n{out_file}  sha256 {done.sha256}",
        markup=False,
        soft_wrap=True,
    )


@app.command()
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


@app.command()
def overlap(
    private: Annotated[Path, typer.Argument(help="private records: a file, a folder, a glob or hf:OWNER/NAME")],
    corpus: Annotated[Path, typer.Argument(help="corpus: the same, or web archives (.warc, .wet, each also .gz)")],
    private_text: Annotated[str, typer.Option(help="column of the private text")] = "text",
    private_id: Annotated[str | None, typer.Option(help="column of a private record's id")] = None,
    private_unit: Annotated[str | None, typer.Option(help="column that names the person")] = None,
    corpus_text: Annotated[str, typer.Option(help="column of the corpus text")] = "text",
    corpus_id: Annotated[str | None, typer.Option(help="column of a text's id; of archives, a header")] = None,
    mode: Annotated[
        SearchMode, typer.Option(help="inside longer texts, or record against record")
    ] = SearchMode.CONTAINMENT,
    shingle: Annotated[ShingleUnit, typer.Option(help="word; char for languages without spaces")] = ShingleUnit.WORD,
    shingle_size: Annotated[int, typer.Option(min=1, max=64, help="words or characters in a shingle")] = 5,
    normalisation: Annotated[
        TextForm, typer.Option(help="plain: only case and white space make no difference")
    ] = TextForm.STANDARD,
    threshold: Annotated[
        float | None, typer.Option(help="share of a record found in order [0.45], or Jaccard similarity [0.8]")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="index one shingle in N of longer records: less memory")] = 1,
    engine: Annotated[SearchEngine, typer.Option(help="ray needs the extra of that name")] = SearchEngine.LOCAL,
    ray_address: Annotated[
        str | None, typer.Option(help="of a running cluster; without it, one is started here")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="processes")] = os.cpu_count() or 1,
    out_file: Annotated[
        Path, typer.Option("--out", help="matching pairs, without text")
    ] = Path("out/overlap/matches.parquet"),
    plants: Annotated[int, typer.Option(min=0, help="records of each kind planted to estimate recall; 0: none")] = 200,
    show_text: Annotated[int, typer.Option(min=0, help="print the texts of so many pairs")] = 0,
    strict: Annotated[bool, typer.Option("--strict", help="refuse where a shard cannot be read")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="print nothing but errors")] = False,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="show no progress")] = False,
) -> None:
    """Look for private texts in a corpus: matching pairs as parquet, and a summary with its intervals.

    Run again after an interruption, it goes on where it was. Exits 3 when a shard could not be searched.
    """
    from audit.contamination import Asked, ask, excerpts
    from audit.contamination_text import as_json as summary_json
    from audit.contamination_text import lines

    asked = Asked(
        private, corpus, private_text, private_id, private_unit, corpus_text, corpus_id, mode.value, shingle.value,
        shingle_size, normalisation.value, threshold, sample, engine.value, ray_address, jobs, out_file, plants, strict,
    )  # fmt: skip
    with _progress(quiet or no_progress) as tell:
        searched = ask(asked, tell or (lambda stage, done, total: None))
    if as_json:
        typer.echo(summary_json(searched.summary))
    elif not quiet:
        for line in [*lines(searched.summary), f"wrote {out_file}", *excerpts(searched, show_text)]:
            out.print(summary.plain(line), markup=False, soft_wrap=True)
    raise typer.Exit(3 if searched.summary.skipped else 0)


@app.command()
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


@app.command("list")
def list_(
    what: Annotated[Listed, typer.Argument(help="papers, checks or manifests")],
    table: Annotated[bool, typer.Option("--table", help="papers × checks, as Markdown")] = False,
) -> None:
    """Name what is built in."""
    if table:
        if what is not Listed.PAPERS:
            raise typer.BadParameter("expected with papers alone", param_hint="--table")
        from audit.overview import markdown, overview

        typer.echo(markdown(overview(user_cache_path("dp-claim-audit"))), nl=False)
        return
    if what is Listed.CHECKS:
        rows = [(ident, item.question) for ident, item in all_checks().items()]
    elif what is Listed.PAPERS:
        rows = [(f"prior-work/{ident}", load_card(path).title) for ident, path in built_in_cards().items()]
    else:
        rows = [(ident, load_manifest(path).name) for ident, path in built_in_manifests().items()]
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        out.print(f"{name:<{width}}  {text}", markup=False, soft_wrap=True)


@app.command()
def explain(check: Annotated[str, typer.Argument(help="a check's ident, e.g. sampling-mismatch")]) -> None:
    """Say what a check looks for, why it matters, and what it cannot see."""
    known = all_checks()
    if check not in known:
        raise TargetError(f"{summary.closest(check, known)} (`audit list checks` names them all)")
    from rich.markdown import Markdown

    out.print(f"{check}: {known[check].question}\n", style="bold", markup=False)
    out.print(Markdown(known[check].page))


@app.command()
def validate(files: Annotated[list[Path], typer.Argument(help="card or manifest files (TOML)")]) -> None:
    """Check cards and manifests; every complaint names the file, the key and what was expected."""
    complaints = [line for path in files for line in (summary.complaint(path) or "").splitlines()]
    for text in complaints:
        err.print(f"audit: {summary.plain(text)}", style="red", markup=False, soft_wrap=True)
    if complaints:
        raise typer.Exit(2)
    out.print(f"{len(files)} valid", markup=False)


@app.command()
def schema(name: Annotated[SchemaName, typer.Argument(help="card, manifest, ledger or result")]) -> None:
    """Print a JSON Schema."""
    typer.echo(schema_text(name.value), nl=False)


if __name__ == "__main__":
    main()
