"""What the README says is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from audit.cards import load_card
from audit.check import all_checks
from audit.types import PaperCard

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_table_of_checks_is_complete() -> None:
    table = README.split("<!-- checks -->")[1].split("<!-- /checks -->")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", table, re.MULTILINE)
    assert rows == [(ident, check.question) for ident, check in all_checks().items()]


def test_the_card_in_the_readme_is_valid(tmp_path: Path) -> None:
    (card,) = blocks("toml")
    path = tmp_path / "card.toml"
    path.write_text(card, encoding="utf-8")
    assert isinstance(load_card(path), PaperCard)


def test_the_set_up_is_two_one_line_commands() -> None:
    commands = [line for block in blocks("sh") for line in block.strip().splitlines()]
    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/audit run prior-work/ochs-2025",
        "python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/pytest",
    ]


def test_every_commanded_option_exists() -> None:
    from typer.main import get_command

    from audit.cli import app

    group = get_command(app)
    options = {o for command in group.commands.values() for p in command.params for o in p.opts}
    used = set(re.findall(r"(?<!\S)`?(--[a-z-]+)", README))
    assert used - options == set()
    named = re.findall(r"audit (run|list|explain|validate|schema|epsilon)\b", README)
    assert set(named) <= set(group.commands)


def test_the_dependencies_keep_torch_below_the_cuda_builds() -> None:
    project = tomllib.loads((Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert "torch>=2.6,<2.14" in project["project"]["dependencies"]
