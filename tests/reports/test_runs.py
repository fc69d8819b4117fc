"""Training runs in the report: columns in a fixed order, nothing invented for the paper, nothing private shown."""

from __future__ import annotations

from typing import Any

from reports.runs import NOT_READ, run_tables

Json = dict[str, Any]


def run(variant: str, **further: Any) -> Json:
    rung = {"id": "as-run", "unavailable": None, "epsilon_lower": 7.9, "epsilon_upper": 8.0}
    return {
        "label": variant,
        "origin": "reimplementation",
        "recipe": "small",
        "mechanism": "m",
        "variant": variant,
        "scale": "smoke",
        "dataset": "spam",
        "ledger_sha256": f"{len(variant):064d}",
        "privacy_unit": "one record",
        "group_size": 1,
        "sampler": "poisson",
        "noise_multiplier": 0.8,
        "steps_accounted": 100,
        "steps_run": 100,
        "randomness": "os-entropy",
        "accesses": [],
        "departures": [],
        "verdict": "It holds.",
        "verdict_level": "holds",
        "ladder": [rung],
        "utility": [],
    } | further


def claim(**further: Any) -> Json:
    return {
        "mechanism": "m",
        "dataset": "spam",
        "epsilon": 8.0,
        "privacy_unit": None,
        "noise_multiplier": None,
        "noise_multiplier_derived": False,
    } | further


def cells(table: Any, label: str) -> tuple[tuple[str, ...], ...]:
    return dict(table.rows)[label]


def test_as_published_stands_left_of_corrected_whatever_came_first() -> None:
    (table,) = run_tables({"runs": [run("corrected"), run("as-published")], "claims": []})
    assert [column.name for column in table.columns] == ["as-published", "corrected"]


def test_runs_of_different_recipes_and_of_given_ledgers_do_not_share_a_table() -> None:
    runs = [run("corrected"), run("corrected", recipe="other"), run("corrected", origin="given")]
    tables = run_tables({"runs": runs, "claims": []})
    assert sorted(table.ours for table in tables) == [False, True, True]
    assert len({table.anchor for table in tables}) == 3


def test_the_paper_has_a_column_only_for_a_mechanism_of_its_card() -> None:
    with_paper, without = run_tables(
        {"runs": [run("corrected"), run("corrected", recipe="z", mechanism=None)], "claims": [claim()]}
    )
    assert with_paper.paper is not None
    assert without.paper is None
    assert len(cells(with_paper, "ε as run")) == len(cells(without, "ε as run")) + 1


def test_what_the_sources_do_not_say_is_said_to_be_so_and_never_filled_in() -> None:
    (table,) = run_tables({"runs": [run("corrected")], "claims": [claim()]})
    filled = {label for label, row in table.rows if row[-1] != (NOT_READ,)}
    assert filled == {"ε asked for"}
    assert cells(table, "ε asked for")[-1] == ("8 claimed",)


def test_a_figure_that_one_run_lacks_is_not_measured_there() -> None:
    measured = [{"set": "synthetic", "metric": "macro_f1", "mean": 0.5, "spread": 0.01}]
    (table,) = run_tables({"runs": [run("as-published", utility=measured), run("corrected")], "claims": []})
    assert cells(table, "macro-F1, synthetic records")[:2] == (("0.500 ± 0.010",), ("not measured",))


def test_accesses_outside_the_price_are_listed_and_covered_ones_are_not() -> None:
    accesses = [{"what": "exact label counts", "covered": False}, {"what": "public N", "covered": True}]
    (table,) = run_tables({"runs": [run("corrected", accesses=accesses)], "claims": []})
    assert cells(table, "outside the price")[0] == ("exact label counts",)


def test_scores_of_private_records_stand_outside_the_price() -> None:
    measured = [{"set": "real", "metric": "macro_f1", "mean": 0.5, "spread": None}]
    (table,) = run_tables({"runs": [run("corrected", utility=measured), run("corrected")], "claims": []})
    scored, none = cells(table, "outside the price")[:2]
    assert "private records without noise" in scored[0]
    assert none == ("nothing",)
