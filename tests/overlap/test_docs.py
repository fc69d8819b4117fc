"""docs/overlap.md names options that exist and columns that are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from typer.main import get_command

from audit.cli import app

PAGE = (Path(__file__).resolve().parent.parent.parent / "docs" / "overlap.md").read_text(encoding="utf-8")


def test_every_command_on_the_page_parses() -> None:
    command = get_command(app).commands["overlap"]  # type: ignore[attr-defined]
    lines = [line for block in re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
    asked = [shlex.split(line)[2:] for line in lines if line.startswith("audit overlap ")]
    assert len(asked) >= 4
    for arguments in asked:
        assert command.make_context("overlap", arguments).params["private"]


def test_every_option_named_on_the_page_exists() -> None:
    command = get_command(app).commands["overlap"]  # type: ignore[attr-defined]
    of_the_benchmark = {"--texts", "--part"}
    known = {option for parameter in command.params for option in parameter.opts} | of_the_benchmark
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE)) <= known
