"""Formats on the command line: the same verdict in each, and every command of docs/reports.md."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reports.md"
CARD = """
version = 1
id = "small"
title = "A small paper"
citation = "Nobody, 2026"
about = "A test."
caveat = "Invented for a test."
[[sources]]
id = "draft"
kind = "paper"
citation = "Draft"
read = "full text"
[[dataset]]
name = "notes"
records = { value = 1000, where = "S1", known = "paper" }
several_records_per_person = { value = true, where = "S1", known = "paper" }
[[mechanism]]
id = "lm"
model = "LM"
sampler_accounted = { value = "poisson", where = "S2", known = "paper" }
sampler_coded = { value = "poisson", where = "train.py:14", known = "code" }
batch_size = { value = 50, where = "S2", known = "paper" }
epochs = { value = 2, where = "S2", known = "paper" }
[[claim]]
id = "main"
mechanism = "lm"
datasets = ["notes"]
epsilons = { value = [2.0], where = "Abstract", known = "paper" }
delta = { value = 1e-5, where = "S2", known = "paper" }
privacy_unit = { value = "one note", where = "S2", known = "paper" }
wording = "the paper claims"
"""


def audit(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "audit.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(cwd / "cache"), "NO_COLOR": "1", "COLUMNS": "80"},
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A folder with a card that was audited in every format, and what that run said."""
    folder = tmp_path_factory.mktemp("formats")
    (folder / "my-paper").mkdir()
    (folder / "my-paper" / "card.toml").write_text(CARD, encoding="utf-8")
    return folder, audit("run", "my-paper", "--format", "json,html,md,sarif", "--fail-on", "medium", cwd=folder)


def test_every_format_is_written_and_says_the_same(audited: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, answer = audited
    assert answer.returncode == 1, answer.stderr
    out = folder / "out" / "small"
    assert {path.name for path in out.iterdir()} == {"result.json", "report.html", "report.md", "report.sarif"}
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    log = json.loads((out / "report.sarif").read_text(encoding="utf-8"))["runs"][0]
    checks = [o["check"] for o in result["outcomes"] for _ in o["findings"]]
    assert [shown["ruleId"] for shown in log["results"]] == checks
    assert {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in log["results"]} <= {
        "my-paper/card.toml",
        "train.py",
    }
    page, note = ((out / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    assert checks
    for check in checks:
        assert check in page
        assert check in note


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_the_format_never_changes_the_verdict(
    form: str, audited: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    folder, answer = audited
    alone = audit("run", "my-paper", "--format", form, "--fail-on", "medium", "--out", f"alone-{form}", cwd=folder)
    assert alone.returncode == answer.returncode
    assert len(list((folder / f"alone-{form}").iterdir())) == 1


def test_the_terminal_names_each_kind_of_finding_once(audited: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    folder, answer = audited
    result = json.loads((folder / "out" / "small" / "result.json").read_text(encoding="utf-8"))
    kinds = {(f["severity"], o["check"]) for o in result["outcomes"] for f in o["findings"]}
    shown = re.findall(r"^(high|medium|low|info) +(\S+) *$", answer.stdout, re.MULTILINE)
    assert sorted(shown) == sorted(kinds)


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.strip().splitlines()]


@pytest.mark.parametrize("command", commands())
def test_every_command_of_the_page_does_what_it_says(
    command: str, audited: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    folder, _ = audited
    for name in ("before", "after"):
        (folder / name).mkdir(exist_ok=True)
        shutil.copy(folder / "out" / "small" / "result.json", folder / name / "result.json")
    program, *arguments = shlex.split(command)
    assert program == "audit"
    answer = audit(*arguments, cwd=folder)
    assert answer.returncode == 0, answer.stderr
    if "--out" in arguments:
        assert (folder / arguments[arguments.index("--out") + 1]).is_file()


def test_help_is_not_cut_at_80_columns(tmp_path: Path) -> None:
    said = audit("run", "--help", cwd=tmp_path).stdout
    assert "…" not in said
    assert "NAME=PATH[,text=COL][,unit=COL]" in said
    assert "--fail-on-inconclusive" in said


def test_a_check_is_explained_without_its_markup(tmp_path: Path) -> None:
    said = audit("explain", "sampling-mismatch", cwd=tmp_path).stdout
    assert "What it cannot see" in said
    assert "##" not in said
    assert max(len(line.rstrip()) for line in said.splitlines()) <= 80
