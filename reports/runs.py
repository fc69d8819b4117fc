"""Training runs beside each other: as published, corrected, and what the paper reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from reports.numbers import as_float, bracket, number, whole

Json = Mapping[str, Any]
NOT_READ = "not in the sources read"
SCORED = "the scores below: counted from private records without noise, and not in the ledger"
ORDER = ("as-published", "corrected")
SETS = {"synthetic": "synthetic records", "real": "real records", "public-only": "public model alone"}
METRICS = {"macro_f1": "macro-F1", "accuracy": "accuracy"}
SCALES = {
    "smoke": "Smoke scale: a tiny model on generated records. The figures show the mechanism, not the quality that a "
    "model of the paper's size would reach.",
}


@dataclass(frozen=True)
class RunColumn:
    """One run: its heading, how it stands, and its digest."""

    name: str
    level: str
    verdict: str
    digest: str


@dataclass(frozen=True)
class RunTable:
    """All runs of one recipe on one data set, and the paper's column where the card names its mechanism."""

    anchor: str
    title: str
    note: str
    ours: bool
    columns: tuple[RunColumn, ...]
    paper: str | None  # heading of the last column
    rows: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]  # label, and the lines of each cell


def run_tables(result: Json) -> list[RunTable]:
    """One table a recipe and data set, in the order of the result."""

    def key(run: Json) -> tuple[str, str, str]:
        return str(run["origin"]), str(run["recipe"]), str(run["dataset"])

    ordered = sorted(result["runs"], key=lambda run: (*key(run), _place(run), run["ledger_sha256"]))
    return [_table(list(group), result, place) for place, (_, group) in enumerate(groupby(ordered, key=key), 1)]


def _place(run: Json) -> int:
    return ORDER.index(run["variant"]) if run["variant"] in ORDER else len(ORDER)


def _table(runs: list[Json], result: Json, place: int) -> RunTable:
    first = runs[0]
    claims = _claims_beside(first, result["claims"])
    paper = "reported in the paper" if first["mechanism"] is not None else None
    return RunTable(
        anchor=f"run-{place}",
        title=f"{first['recipe']}{' on ' + first['dataset'] if first['dataset'] else ''}",
        note=SCALES.get(first["scale"] or "", ""),
        ours=first["origin"] == "reimplementation",
        columns=tuple(
            RunColumn(run["variant"], run["verdict_level"], run["verdict"], run["ledger_sha256"]) for run in runs
        ),
        paper=paper,
        rows=tuple(
            (label, (*cells, _of_paper(label, claims)) if paper else cells) for label, cells in _rows(runs)
        ),
    )


def _claims_beside(run: Json, claims: Sequence[Json]) -> list[Json]:
    """The paper's claims for the run's mechanism; those on its data set where there are some."""
    of_mechanism = [claim for claim in claims if claim["mechanism"] == run["mechanism"]]
    return [claim for claim in of_mechanism if claim["dataset"] == run["dataset"]] or of_mechanism


def _rows(runs: Sequence[Json]) -> Iterator[tuple[str, tuple[tuple[str, ...], ...]]]:
    def row(label: str, *cells: tuple[str, ...]) -> tuple[str, tuple[tuple[str, ...], ...]]:
        return label, cells

    yield row("ε asked for", *((_rung(run, "claimed"),) for run in runs))
    yield row("ε of the event priced", *((_rung(run, "recomputed"),) for run in runs))
    yield row("ε as run", *((_rung(run, "as-run"),) for run in runs))
    yield row("protects", *((_unit(run),) for run in runs))
    yield row("noisy updates", *((_steps(run),) for run in runs))
    yield row("batches", *((run["sampler"],) for run in runs))
    yield row("noise multiplier", *((number(float(f"{run['noise_multiplier']:.4g}")),) for run in runs))
    yield row("randomness", *((run["randomness"].replace("-", " "),) for run in runs))
    yield row("departs from what was priced", *(_departures(run) for run in runs))
    yield row("outside the price", *(_outside(run) for run in runs))
    for name, metric in _figures(runs):
        label = f"{METRICS.get(metric, metric)}, {SETS.get(name, name)}"
        yield row(label, *((_figure(run, name, metric),) for run in runs))


def _rung(run: Json, ident: str) -> str:
    for rung in run["ladder"]:
        if rung["id"] == ident:
            if rung["unavailable"] is not None:
                return str(rung["unavailable"])
            return bracket(as_float(rung["epsilon_lower"]), as_float(rung["epsilon_upper"]))
    return "none"


def _unit(run: Json) -> str:
    size = run["group_size"]
    return str(run["privacy_unit"]) if size == 1 else f"{run['privacy_unit']}, up to {whole(size)} records"


def _steps(run: Json) -> str:
    return f"{whole(run['steps_run'])} run, {whole(run['steps_accounted'])} accounted"


def _departures(run: Json) -> tuple[str, ...]:
    fewer = run["steps_run"] < run["steps_accounted"]
    return tuple(run["departures"]) or ("in fewer steps alone, which cost less" if fewer else "in nothing",)


def _outside(run: Json) -> tuple[str, ...]:
    scored = (SCORED,) if run["utility"] else ()
    return (*(access["what"] for access in run["accesses"] if not access["covered"]), *scored) or ("nothing",)


def _figures(runs: Sequence[Json]) -> list[tuple[str, str]]:
    found = {(u["set"], u["metric"]): None for run in runs for u in run["utility"]}
    return sorted(found, key=lambda pair: (pair[1], list(SETS).index(pair[0]) if pair[0] in SETS else len(SETS)))


def _figure(run: Json, name: str, metric: str) -> str:
    for u in run["utility"]:
        if (u["set"], u["metric"]) == (name, metric):
            return f"{u['mean']:.3f}" if u["spread"] is None else f"{u['mean']:.3f} ± {u['spread']:.3f}"
    return "not measured"


def _of_paper(label: str, claims: Sequence[Json]) -> tuple[str, ...]:
    """What the audited claims say to a row; everything else is not in the sources read."""
    if label == "ε asked for" and claims:
        return (", ".join(sorted({number(as_float(c["epsilon"])) for c in claims}, key=float)) + " claimed",)
    if label == "noise multiplier":
        known = {number(c["noise_multiplier"]) for c in claims if c["noise_multiplier"] is not None}
        derived = any(c["noise_multiplier_derived"] for c in claims)
        if known:
            return ("see its claims; derived from the claimed ε" if derived else ", ".join(sorted(known)),)
    if label == "protects":
        units = sorted({c["privacy_unit"] for c in claims if c["privacy_unit"] is not None})
        if units:
            return tuple(units)
    return (NOT_READ,)
