"""audit init: a card that validates, that says what is missing, and that never overwrites."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from audit.cards import load_card, load_manifest
from audit.cli import app
from audit.init import Answers, write_card
from audit.run import run_audit
from audit.target import TargetError

FEW = Answers("small", "A title", "GPT-2", "reviews", 8.0, "1/(10N)")
LETTERS = st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp", "Cf"))
LINE = st.text(LETTERS, min_size=1, max_size=60).filter(str.strip)


@given(title=LINE, model=LINE, unit=LINE, epsilon=st.floats(0.01, 100), records=st.integers(1, 10**9))
@settings(max_examples=40, deadline=None)
def test_whatever_is_answered_is_read_back_from_the_card(
    tmp_path_factory: pytest.TempPathFactory, title: str, model: str, unit: str, epsilon: float, records: int
) -> None:
    answers = Answers("small", title, model, "reviews", epsilon, "1e-6", records=records, privacy_unit=unit)
    path, manifest = write_card(tmp_path_factory.mktemp("own"), answers)
    card = load_card(path)
    (mechanism,), (claim,), (dataset,) = card.mechanism, card.claim, card.dataset
    assert (card.title, mechanism.model) == (title, model)
    assert claim.epsilons.value == (epsilon,)
    assert claim.delta is not None
    assert claim.privacy_unit is not None
    assert (claim.delta.value, claim.privacy_unit.value) == (1e-6, unit)
    assert dataset.records is not None
    assert dataset.records.value == records
    assert load_manifest(manifest).id == dataset.manifest


def test_a_fact_that_was_not_given_is_a_comment_and_becomes_one_by_removing_the_mark(tmp_path: Path) -> None:
    path, _ = write_card(tmp_path, FEW)
    text = path.read_text(encoding="utf-8")
    assert "batch_size" not in tomllib.loads(text)["mechanism"][0]
    filled = text.replace("# batch_size = ", "batch_size = ").replace("# noise_multiplier = ", "noise_multiplier = ")
    path.write_text(filled, encoding="utf-8")
    (mechanism,) = load_card(path).mechanism
    assert mechanism.batch_size is not None
    assert mechanism.noise_multiplier is not None


def test_every_commented_fact_is_a_fact_that_a_card_may_hold(tmp_path: Path) -> None:
    path, _ = write_card(tmp_path, FEW)
    lines = path.read_text(encoding="utf-8").splitlines()
    uncommented = [line[2:] if line.startswith("# ") and " = {" in line else line for line in lines]
    uncommented = [line[2:] if line.startswith(("# [[waiver", "# check", "# reason", "# author", "# expires")) else line
                   for line in uncommented]  # fmt: skip
    path.write_text("\n".join(uncommented), encoding="utf-8")
    card = load_card(path)
    assert card.waiver[0].expires
    assert card.mechanism[0].selection is not None


def test_nothing_is_written_over_a_file(tmp_path: Path) -> None:
    write_card(tmp_path, FEW)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(TargetError, match="is there already"):
        write_card(tmp_path, FEW)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_wrong_answer_is_one_line_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="delta") as refused:
        write_card(tmp_path / "own", Answers("small", "A", "GPT-2", "reviews", 8.0, "tiny"))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "own").exists()


def test_the_new_card_is_audited_as_it_is(tmp_path: Path) -> None:
    write_card(tmp_path, Answers("small", "A", "GPT-2", "reviews", 8.0, "1/(10N)", records=10_000))
    result = run_audit(tmp_path)
    assert result.claims[0].verdict_level == "unknown"
    assert any(outcome.skips for outcome in result.outcomes)


def test_the_command_asks_for_what_no_option_gives(tmp_path: Path) -> None:
    folder = tmp_path / "My-Paper"
    given = ["init", str(folder), "--model", "GPT-2", "--epsilon", "4"]
    asked = CliRunner().invoke(app, given, input="A title\nnotes\n1e-6\n13,000\n")
    assert asked.exit_code == 0, asked.output
    card = load_card(folder / "card.toml")
    assert (card.id, card.title, card.dataset[0].name) == ("my-paper", "A title", "notes")
    assert card.claim[0].epsilons.value == (4.0,)
    assert card.dataset[0].records is not None
    assert card.dataset[0].records.value == 13_000


def asked_for_records(folder: Path, answer: str) -> tuple[str, str]:
    """What the command prints and the card it writes, where the number of records alone is asked for."""
    given = ["--title", "A", "--model", "GPT-2", "--dataset", "reviews", "--epsilon", "4", "--delta", "1/(10N)"]
    asked = CliRunner().invoke(app, ["init", str(folder), *given], input=answer)
    assert asked.exit_code == 0, asked.output
    return asked.output, (folder / "card.toml").read_text(encoding="utf-8")


def test_a_number_of_records_that_is_not_known_yet_is_left_as_a_comment(tmp_path: Path) -> None:
    printed, card = asked_for_records(tmp_path / "own", "\n")
    assert "Training records" in printed
    assert "\n# records = " in card


def test_an_answer_that_is_no_number_of_records_is_asked_for_again(tmp_path: Path) -> None:
    printed, card = asked_for_records(tmp_path / "own", "many\n0\n-3\n²\n400\n")
    assert printed.count("expected a whole number") == 4
    assert "\nrecords = { value = 400," in card


def test_a_question_that_nobody_answers_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["init", str(tmp_path / "mine"), "--title", "T"], input="GPT-2\n")
    assert done.exit_code == 2
    assert "no answer to “Short name of the private data”" in done.output
    assert not (tmp_path / "mine").exists()
