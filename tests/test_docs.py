"""What the README says is so."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from audit.cards import load_card
from audit.check import all_checks
from audit.types import PaperCard

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


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


def commands() -> list[tuple[str, str]]:
    """Every line of a shell or text block of the README and the docs that calls `audit`."""
    found = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"```(?:sh|text|console)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line.split("#")[0].strip()) for line in lines if line.startswith("audit ")]
    return sorted(set(found))


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_on_a_page_is_one_that_the_program_takes(page: str, line: str) -> None:
    from typer.main import get_command

    from audit.cli import app

    group = get_command(app)
    name, *arguments = shlex.split(line)[1:]
    with group.make_context("audit", [name, *arguments], resilient_parsing=False) as context:
        sub = group.commands[name]
        assert sub.make_context(name, arguments, parent=context)


QUICK = ("epsilon", "list", "explain", "schema")


@pytest.mark.parametrize("line", sorted({line for _, line in commands() if line.split()[1] in QUICK}))
def test_a_quick_command_on_a_page_runs(line: str) -> None:
    from typer.testing import CliRunner

    from audit.cli import app

    done = CliRunner().invoke(app, shlex.split(line)[1:])
    assert done.exit_code == 0, done.output
    assert done.output.strip()


def test_the_dependencies_keep_torch_below_the_cuda_builds() -> None:
    project = tomllib.loads((Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert "torch>=2.6,<2.14" in project["project"]["dependencies"]
