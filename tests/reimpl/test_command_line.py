"""python -m reimpl: exit codes, one-line complaints, JSON."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from reimpl import diffuseq, genie, seqdiffuseq
from reimpl.__main__ import app

COMPACT = Path(__file__).parent.parent / "golden"


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_parity_prints_json_with_arrays_and_those_not_compared() -> None:
    done = run("parity", "genie", COMPACT / "genie", "--json", "--attention", "sdpa")
    result = json.loads(done.stdout)
    assert done.exit_code == 0
    assert all(set(row) == {"array", "max_abs_diff", "tolerance", "pass"} for row in result["arrays"])
    assert all(row["pass"] and row["max_abs_diff"] <= row["tolerance"] for row in result["arrays"])
    assert all(set(row) == {"array", "why"} for row in result["not_compared"])


def test_a_difference_exits_with_one(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(COMPACT / "seqdiffuseq", tmp_path / "golden"))
    arrays = dict(np.load(folder / "forward.npz"))
    np.savez(folder / "forward.npz", **arrays | {"x0_sc_f32": arrays["x0_sc_f32"] + 1e-3})
    done = run("parity", "seqdiffuseq", folder, "--attention", "eager")
    assert done.exit_code == 1
    assert "FAIL  forward.npz:x0_sc_f32" in done.stdout


def test_bad_input_is_one_line_and_exit_code_two(tmp_path: Path) -> None:
    (tmp_path / "wrong.pt").write_bytes(b"not a checkpoint")
    for arguments in (
        ("parity", "genie", tmp_path / "nowhere"),
        ("parity", "genie", tmp_path),
        ("import", "genie", tmp_path / "wrong.pt", "--out", tmp_path / "out"),
        ("import", "genie", tmp_path / "nowhere.pt", "--out", tmp_path / "out"),
        ("summary", "genie", "--config", tmp_path / "nowhere.json"),
    ):
        done = run(*arguments)
        assert done.exit_code == 2, arguments
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_an_unknown_model_exits_with_two() -> None:
    assert run("parity", "bart", ".").exit_code == 2


def test_a_checkpoint_of_a_golden_size_is_imported_with_its_settings(tmp_path: Path) -> None:
    weights = {key: torch.from_numpy(value) for key, value in np.load(COMPACT / "diffuseq" / "weights.npz").items()}
    torch.save(weights, tmp_path / "ema.pt")
    settings = COMPACT / "diffuseq" / "config.json"
    done = run("import", "diffuseq", tmp_path / "ema.pt", "--out", tmp_path / "out", "--config", settings)
    assert done.exit_code == 0, done.output
    assert "every key, shape and tie checked" in done.stdout
    summary = run("summary", "diffuseq", "--config", tmp_path / "out" / "config.json")
    assert "51 state_dict keys, 49 distinct parameter tensors" in summary.stdout


@pytest.mark.parametrize(
    ("model", "total"), [("diffuseq", "91,225,274"), ("seqdiffuseq", "108,103,610"), ("genie", "143,983,034")]
)
def test_the_summary_counts_the_published_size_and_names_its_sources(model: str, total: str) -> None:
    text = run("summary", model).stdout
    assert f"{total} parameters" in text
    assert "num_timesteps = 2000; released training script" in text
    assert "lm_head.weight  30522 x 128  tied to" in text


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "reimpl", "--help"], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in ("parity", "summary", "import"))


def test_the_tests_that_the_documentation_names_exist() -> None:
    tests = Path(__file__).parent
    named = set(re.findall(r"`(test_\w+)`", (tests.parent.parent / "docs" / "reimpl.md").read_text()))
    written = {
        name for file in tests.glob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    assert len(named) >= 5
    assert named <= written


def test_the_options_that_the_documentation_calls_quirks_are_those_of_the_models() -> None:
    text = (Path(__file__).parent.parent.parent / "docs" / "reimpl.md").read_text()
    documented = set(re.findall(r"^\| `(\w+)` \|", text.partition("## Quirks")[2].partition("##")[0], re.M))
    assert documented == {"variance", *diffuseq.QUIRKS, *genie.QUIRKS, *seqdiffuseq.QUIRKS}
