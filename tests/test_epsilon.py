"""`audit epsilon`: reference values through the command line, and inputs that make no sense."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from audit.cli import app
from audit.epsilon import group_sizes
from audit.target import TargetError

REFERENCE = json.loads((Path(__file__).parent / "accounting" / "reference.json").read_text(encoding="utf-8"))
POISSON = ["--noise-multiplier", "1", "--sampling-probability", "0.01", "--steps", "100", "--delta", "1e-5"]


def poisson(given: dict[str, Any]) -> list[str]:
    return ["--sampling-probability", str(given["q"]), "--steps", str(given["steps"])]


def fixed_size(given: dict[str, Any]) -> list[str]:
    return ["--batch-size", str(given["B"]), "--records", str(given["N"]), "--steps", str(given["steps"])]


def in_epochs(given: dict[str, Any]) -> list[str]:
    per_epoch = given.get("steps_per_epoch", 10)
    return ["--batch-size", "32", "--records", str(32 * per_epoch), "--epochs", str(given["epochs"])]


# kind -> options that say how batches are drawn, further options, the end of the bracket that is meant
KINDS = {
    "example_poisson": (poisson, [], "epsilon_upper"),
    "example_poisson_rdp": (poisson, ["--accountant", "rdp"], "epsilon_upper"),
    "example_poisson_rdp_old_conversion": (poisson, ["--accountant", "rdp-old"], "epsilon_upper"),
    "example_poisson_replace_one": (poisson, ["--neighboring-relation", "replace-one"], "epsilon_upper"),
    "group_poisson_mog": (poisson, [], "epsilon_upper"),
    "group_fixed_size_wor_addremove": (fixed_size, ["--sampler", "fixed-size"], "epsilon_upper"),
    "deterministic_batches_zero_out": (in_epochs, ["--sampler", "deterministic"], "epsilon_upper"),
    "shuffle_persistent_lower_bound": (in_epochs, ["--sampler", "shuffle-once"], "epsilon_lower"),
    "shuffle_dynamic_lower_bound": (in_epochs, ["--sampler", "shuffle-each-epoch"], "epsilon_lower"),
    "gaussian": (lambda _: ["--sampling-probability", "1", "--steps", "1"], [], "epsilon_upper"),
}
PRICED = [entry for entry in REFERENCE if entry["kind"] in KINDS]


def ask(*arguments: str) -> dict[str, Any]:
    answer = CliRunner().invoke(app, ["epsilon", *arguments, "--json"], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    found: dict[str, Any] = json.loads(answer.output)
    return found


@pytest.mark.parametrize("entry", PRICED, ids=[entry["id"] for entry in PRICED])
def test_the_command_line_gives_the_reference_value(entry: dict[str, Any]) -> None:
    drawn, more, end = KINDS[entry["kind"]]
    given = entry["inputs"]
    options = [*drawn(given), *more, "--noise-multiplier", str(given["sigma"]), "--delta", str(given["delta"])]
    found = ask(*options, "--group-size", str(given.get("k", 1)))
    assert found[end] == pytest.approx(entry["expected"], abs=entry["abs_tol"])
    assert found["epsilon_lower"] <= found["epsilon_upper"]


def test_every_kind_of_the_issue_is_in_the_reference() -> None:
    assert {entry["kind"] for entry in PRICED} == set(KINDS)


def test_a_target_is_reached_by_the_noise_multiplier_found() -> None:
    found = ask("--target-epsilon", "3", "--sampling-probability", "0.01", "--steps", "1000", "--delta", "1e-5")
    assert found["epsilon_upper"] <= 3.0
    assert found["epsilon_upper"] == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--noise-multiplier", "0"),
        ("--noise-multiplier", "nan"),
        ("--sampling-probability", "1.5"),
        ("--sampling-probability", "nan"),
        ("--delta", "1"),
        ("--delta", "0"),
        ("--steps", "0"),
        ("--group-size", "0"),
        ("--group-size", "4:2"),
        ("--group-size", "many"),
        ("--sampler", "random"),
        ("--accountant", "guess"),
        ("--target-epsilon", "3"),
        ("--records", "5", "--group-size", "6", "--batch-size", "2"),
    ],
    ids=" ".join,
)
def test_inputs_that_make_no_sense_are_refused_in_one_line(wrong: tuple[str, ...]) -> None:
    with pytest.raises(TargetError) as caught:
        CliRunner().invoke(app, ["epsilon", *POISSON, *wrong], catch_exceptions=False)
    assert "expected" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--sampler", "poisson", "--sampling-probability", "0.01", "--steps", "100"), ""),
        (
            ("--sampler", "shuffle-each-epoch", "--batch-size", "10", "--records", "10000", "--epochs", "50"),
            ", may lie above 50, which guarantees nothing of use",
        ),
        (("--sampler", "poisson", "--sampling-probability", "1", "--steps", "1000"), ", no meaningful guarantee"),
    ],
    ids=["narrow", "wide", "large"],
)
def test_a_bracket_that_reaches_past_50_says_what_it_fails_to_promise(options: tuple[str, ...], told: str) -> None:
    """Its ends are those of --json; above 50 the odds may move by more than 10^21."""
    asked = ("--noise-multiplier", "1", "--delta", "1e-5", *options)
    found = ask(*asked)
    above = [float(found[end]) > 50 for end in ("epsilon_lower", "epsilon_upper")]
    assert above == {"": [False, False], ", no meaningful guarantee": [True, True]}.get(told, [False, True])
    said = CliRunner().invoke(app, ["epsilon", *asked], catch_exceptions=False).output.splitlines()[1]
    assert re.sub(r"^ε = [\d.]+( to [\d.]+)?|\s+\(a unit of 1 record\)$", "", said) == told


@given(low=st.integers(1, 1000), more=st.integers(0, 100_000))
def test_a_curve_has_at_most_twelve_sizes_and_both_its_ends(low: int, more: int) -> None:
    sizes = group_sizes(f"{low}:{low + more}")
    assert sizes == sorted(set(sizes))
    assert len(sizes) <= 12
    assert (sizes[0], sizes[-1]) == (low, low + more)
