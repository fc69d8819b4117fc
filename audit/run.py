"""Every check put to a subject, and the answers made one result."""

from __future__ import annotations

import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path

from audit.check import Check, all_checks
from audit.ladder import claim_result
from audit.ledger import read_ledger
from audit.probing import collected, not_run, remember, remembered, started, steps_of
from audit.records import Records, open_records
from audit.runs import audited
from audit.setting import Setting, settings
from audit.splits import counts_by_split
from audit.subject import Subject
from audit.target import Target, TargetError, resolve
from audit.types import (
    AuditResult,
    ClaimResult,
    CorpusOverlap,
    DataResult,
    Finding,
    Outcome,
    PaperCard,
    PaperInfo,
    ProbedStep,
    Provenance,
    RunResult,
    Skip,
)
from audit.uncovered import with_uncovered_access, with_uncovered_records
from audit.utility import read_utility
from audit.verdict import with_findings
from audit.waivers import apply

Progress = Callable[[str, int, int], None]  # stage, done, total
VERSIONED = ("dp-claim-audit", "dp-accounting", "numpy", "scipy", "pydantic", "pyarrow", "datasketch", "opacus")


def run_audit(
    target: str | Path,
    data: Mapping[str, str | Path] | None = None,
    corpora: Mapping[str, str | Path] | None = None,
    code: str | Path | None = None,
    ledgers: Iterable[str | Path] = (),
    reimplemented: Iterable[Path] = (),
    *,
    jobs: int = 1,
    cache: Path | None = None,
    progress: Progress | None = None,
    command: str = "run_audit",
    debug: bool = False,
    assume_max_records: int | None = None,
    probes: bool = False,
    waive: bool = True,
    today: date | None = None,
) -> AuditResult:
    """Audit a paper: its card, and the data, corpora and code that are given.

    Args:
        target: `prior-work/<paper>` for a built-in card, or a folder with a card.toml.
        data: private data, dataset name on the card -> "PATH[,text=COL][,unit=COL]".
        corpora: pretraining corpora, corpus name on the card -> the same.
        code: a checkout of the authors' code; read, never run.
        ledgers: ledgers of training runs, or the folders of these runs.
        reimplemented: folders of runs of the reimplementation; shown beside the paper, never held against it.
        jobs: processes that price claims; above 1 the caller needs a `__main__` guard.
        cache: folder for prices of earlier runs, or None; it holds no data and may be deleted.
        progress: called as (stage, done, total).
        debug: print the traceback of a check that fails.
        assume_max_records: suppose that nobody holds more records of a dataset whose people are not counted.
        probes: run the training steps that a built-in card names, in programs of their own, and measure them.
        waive: let the card's waivers hold.
        today: the day that waivers are held against; by default that of the clock.

    Raises:
        TargetError, CardError, RecordsError, LedgerError: one line each, before anything is computed.
    """
    begun, clock = datetime.now(UTC), time.monotonic()
    tell = progress or (lambda stage, done, total: None)
    found = resolve(target)
    opened = _open(found, {**found.data, **_specs(data)}, {d.name: d.manifest for d in found.card.dataset}, "dataset")
    opened_corpora = _open(found, {**found.corpora, **_specs(corpora)}, _corpora(found.card), "corpus")
    given = [("given", path) for path in (*found.ledgers, *map(Path, ledgers))]
    runs = _runs(found.card, [*given, *(("reimplementation", path) for path in reimplemented)], cache, tell)
    measured = _measure(opened, opened_corpora, tell)
    counts = {name: c for name in opened if (c := opened[name].counts) is not None}
    asked = [replace(setting, assumed_max_records=assume_max_records) for setting in settings(found.card, counts)]
    claims, probed = _price_and_probe(found, asked, jobs, cache, tell, probes=probes)
    folder = Path(code) if code is not None else found.code
    if folder is not None and not folder.is_dir():
        raise TargetError(f"{folder}: expected a folder with a checkout of the released code")
    judged = tuple(run for run in runs if run.origin == "given")
    subject = Subject(found.card, found.manifests, opened, opened_corpora, folder, claims, judged, probed)
    outcomes = _answer(subject, all_checks().values(), tell, debug)
    claims = with_uncovered_access(claims, outcomes, len(found.card.mechanism))
    claims = with_uncovered_records(claims, outcomes)
    given_waivers = found.card.waiver if waive else ()
    outcomes, waivers = apply(given_waivers, outcomes, today or begun.date())
    claims = with_findings(claims, outcomes, len(found.card.mechanism))
    inputs = {f"card {found.card.id}": found.card_sha256}
    inputs |= {f"{r.role} {r.name}": r.identity.sha256 for r in measured}
    inputs |= {f"ledger {place}": run.ledger_sha256 for place, run in enumerate(runs, 1)}
    inputs |= {"code": subject.checkout.sha256} if folder is not None else {}
    return AuditResult(
        paper=_paper(found.card),
        claims=claims,
        data=measured,
        runs=runs,
        outcomes=outcomes,
        probes=probed,
        overlaps=_overlaps(subject, outcomes),
        waivers=waivers,
        provenance=Provenance(
            command=command[:600],
            versions=versions(),
            commit=commit(),
            started=begun.isoformat(timespec="seconds"),
            seconds=round(time.monotonic() - clock, 1),
            inputs=inputs,
        ),
    )


def _specs(given: Mapping[str, str | Path] | None) -> dict[str, str]:
    return {name: str(spec) for name, spec in (given or {}).items()}


def _corpora(card: PaperCard) -> dict[str, str | None]:
    return {corpus.name: corpus.manifest for corpus in card.corpus}


def _open(found: Target, specs: Mapping[str, str], names: Mapping[str, str | None], what: str) -> dict[str, Records]:
    """Open every file by its name on the card; a name that the card does not know is refused."""
    for name in specs:
        if name not in names:
            known = ", ".join(sorted(names)) or "none"
            raise TargetError(f"{name}: the card of {found.card.id} names no such {what}; it names: {known}")
    return {name: open_records(spec, name, found.manifests.get(names[name] or "")) for name, spec in specs.items()}


def _measure(
    data: Mapping[str, Records], corpora: Mapping[str, Records], tell: Progress
) -> tuple[DataResult, ...]:
    todo = [("private", r) for r in data.values()] + [("corpus", r) for r in corpora.values()]
    results = []
    for done, (role, records) in enumerate(todo):
        tell("reading data", done, len(todo))
        results.append(
            DataResult(
                name=records.name,
                role=role,
                format=records.format,
                identity=records.identity,
                text_column=records.text_column,
                unit_column=records.unit_column,
                counts=records.counts,
                splits=counts_by_split(records),
            )
        )
    if todo:
        tell("reading data", len(todo), len(todo))
    return tuple(results)


def _runs(
    card: PaperCard, paths: Iterable[tuple[str, Path]], cache: Path | None, tell: Progress
) -> tuple[RunResult, ...]:
    """Every run priced by its ledger. All are read before one is priced; a copy of a ledger counts once."""
    read = {found.sha256: (origin, found, path) for origin, path in paths for found in (read_ledger(path),)}
    utilities = {sha: read_utility(path, sha) if path.is_dir() else () for sha, (_, _, path) in read.items()}
    mechanisms = {mechanism.recipe: mechanism.id for mechanism in card.mechanism if mechanism.recipe is not None}
    priced: list[RunResult] = []
    for sha, (origin, found, _) in read.items():
        tell("pricing runs", len(priced), len(read))
        run = audited(found, cache, utilities[sha])
        priced.append(run.model_copy(update={"origin": origin, "mechanism": mechanisms.get(run.recipe)}))
    return tuple(priced)


def _price_and_probe(
    found: Target, todo: list[Setting], jobs: int, cache: Path | None, tell: Progress, *, probes: bool
) -> tuple[tuple[ClaimResult, ...], tuple[ProbedStep, ...]]:
    """Ladders, while the steps that the card names are probed beside."""
    steps = steps_of(found.card) if probes else ()
    if not found.built_in:
        return _price(todo, jobs, cache, tell), tuple(not_run(step) for step in steps)
    known = remembered(steps, cache)
    missing = tuple(step for step in steps if step not in known)
    with started(missing, jobs) as programs:
        claims = _price(todo, jobs, cache, tell)
        for done, program in enumerate(programs):
            tell("probing", done, len(programs))
            program.wait()
        tell("probing", len(programs), len(programs))
        fresh = dict(zip(missing, collected(programs, missing), strict=True))
    remember(fresh, cache)
    return claims, tuple({**known, **fresh}[step] for step in steps)


def _price(todo: list[Setting], jobs: int, cache: Path | None, tell: Progress) -> tuple[ClaimResult, ...]:
    """Ladders of all claims, in the card's order whatever the number of processes."""
    tell("pricing claims", 0, len(todo))
    if jobs <= 1 or len(todo) < 2:
        done = []
        for setting in todo:
            done.append(claim_result(setting, cache))
            tell("pricing claims", len(done), len(todo))
        return tuple(done)
    with ProcessPoolExecutor(min(jobs, len(todo)), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(claim_result, setting, cache): place for place, setting in enumerate(todo)}
        results: dict[int, ClaimResult] = {}
        for future in as_completed(futures):
            results[futures[future]] = future.result()
            tell("pricing claims", len(results), len(todo))
    return tuple(results[place] for place in range(len(todo)))


def _answer(subject: Subject, checks: Iterable[Check], tell: Progress, debug: bool) -> tuple[Outcome, ...]:
    todo = list(checks)
    outcomes: list[Outcome] = []
    for check in todo:
        tell("checking", len(outcomes), len(todo))
        outcomes.append(put(check, subject, debug=debug))
    tell("checking", len(outcomes), len(todo))
    return tuple(outcomes)


def _overlaps(subject: Subject, outcomes: Iterable[Outcome]) -> tuple[CorpusOverlap, ...]:
    """What the corpora were found to hold; nothing where the search itself failed."""
    failed = any(outcome.error for outcome in outcomes if outcome.check == "contamination-found")
    return () if failed else subject.overlaps


def put(check: Check, subject: Subject, *, debug: bool = False) -> Outcome:
    """Put one check to a subject. A check that raises fails alone; its message, which may hold data, is dropped."""
    try:
        answers = list(check.run(subject))
    except Exception as error:
        if debug:
            traceback.print_exc(file=sys.stderr)
        return Outcome(check=check.ident, question=check.question, error=_place(error))
    return Outcome(
        check=check.ident,
        question=check.question,
        findings=tuple(answer for answer in answers if isinstance(answer, Finding)),
        skips=tuple(answer for answer in answers if isinstance(answer, Skip)),
    )


def _place(error: Exception) -> str:
    """The exception's type and the module:line it was raised at."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(frame.filename).stem}:{frame.lineno}"


def _paper(card: PaperCard) -> PaperInfo:
    return PaperInfo(
        id=card.id,
        title=card.title,
        citation=card.citation,
        arxiv=card.arxiv,
        about=card.about,
        caveat=card.caveat,
        sources=card.sources,
        observations=card.observation,
        reported=card.reported,
        not_in_sources=card.not_in_sources,
        response=card.response,
        corrections=card.corrections,
    )


def versions() -> dict[str, str]:
    """Versions of this toolkit, of Python and of what the figures depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in VERSIONED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Commit of the toolkit's own checkout, or None when it runs from an installed package."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=5
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
