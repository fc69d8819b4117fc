"""Every command in docs/users.md names a command and options that exist, and every sign in it is one that is found."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import audit.users.likeness
import audit.users.signs
from audit.check import all_checks

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "users.md").read_text(encoding="utf-8")


def test_every_command_of_the_page_exists_with_its_options() -> None:
    from typer.main import get_command

    from audit.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    lines = [line for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    assert len(lines) >= 10
    for line in lines:
        program, name, *arguments = shlex.split(line)
        assert program == "audit"
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert {argument for argument in arguments if argument.startswith("--")} <= known, line


def test_the_table_of_signs_is_complete() -> None:
    modules = (audit.users.signs, audit.users.likeness)
    sources = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in modules)
    made = set(re.findall(r'Sign\(\s+"([a-z-]+)"', sources))
    assert set(re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)) == made


def test_the_checks_it_names_exist() -> None:
    named = set(re.findall(r"`((?:person|people|records|split|validation)-[a-z-]+)`", PAGE))
    assert len(named) >= 6
    assert named <= set(all_checks())
