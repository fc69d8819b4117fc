"""docs/own-paper.md, done as a new user does it: every command run, every change to the card made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "own-paper.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|toml)\n(.*?)```", PAGE, re.DOTALL)
EXITS = {  # what the page says of a command's exit; 0 where it says nothing
    "audit run my-paper --out out/first": 1,
    "audit run my-paper --ledger out/opacus-loop --out out/second": 1,
    "audit diff out/first/result.json out/second/result.json": 1,
}


def put_into_card(card: Path, fact: str) -> None:
    """Set the key of `fact`, commented out or not, as a user would in an editor."""
    key = fact.split(" = ")[0]
    text, count = re.subn(rf"^(# )?{key} = .*$", lambda _: fact.strip(), card.read_text(encoding="utf-8"), flags=re.M)
    assert count == 1, key
    card.write_text(text, encoding="utf-8")


@pytest.mark.slow
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    printed: dict[str, str] = {}
    for language, block in BLOCKS:
        if language == "toml":
            if not block.startswith("[[waiver]]"):
                put_into_card(tmp_path / "my-paper" / "card.toml", block)
            continue
        for command in block.strip().splitlines():
            done = subprocess.run(
                command, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
            )
            assert done.returncode == EXITS.get(command, 0), (command, done.stdout[-500:], done.stderr[-500:])
            printed[command] = done.stdout
    changed = printed["audit diff out/first/result.json out/second/result.json"]
    assert re.search(r"^  - high sampling-mismatch", changed, re.M)
    assert re.search(r"^  \+ high access-not-covered", changed, re.M)
    assert "Sampler that the code uses" in (tmp_path / "out" / "first" / "report.html").read_text(encoding="utf-8")
    assert "differential privacy is claimed" in printed["audit checklist out/second/result.json"]


def test_the_waiver_on_the_page_is_one_that_a_card_may_hold() -> None:
    from audit.types import Waiver

    (waiver,) = (block for language, block in BLOCKS if language == "toml" and block.startswith("[[waiver]]"))
    (entry,) = tomllib.loads(waiver)["waiver"]
    assert Waiver.model_validate(entry | {"expires": entry["expires"].isoformat()})


def test_the_hooks_and_the_workflow_call_commands_that_exist() -> None:
    from typer.main import get_command

    from audit.cli import app

    options = {name: {o for p in c.params for o in p.opts} for name, c in get_command(app).commands.items()}
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    workflow = (ROOT / "examples" / "audit-workflow.yml").read_text(encoding="utf-8")
    called = re.findall(r"(?:entry|run): audit (.+)", hooks + workflow)
    assert len(called) == 3
    for line in called:
        name, *arguments = line.split()
        assert {word for word in arguments if word.startswith("--")} <= options[name], line
    for match in re.findall(r"files: (.+)", hooks):
        assert re.search(match, "my-paper/card.toml")
