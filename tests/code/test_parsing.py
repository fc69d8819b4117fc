"""Bytes to trees, commands and settings: whatever they are, reading ends, and nothing of it is executed."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.code import python, shell
from audit.code.files import KINDS, File
from audit.code.source import QUOTED, shown, source_of

NAMES = {kind: f"file{ending}" for ending, kind in KINDS.items()}
PIECES = (
    *("if x:", "  ", "\t", "\n", "\r", "\x0c", "\0", "'''", '"', "(", "]", "{", "\\", "#", "é", "\ud800", "def f():"),
    *("%%bash", "!ls", "x?", "<<EOF", "```sh", "~~~", "$ ", ";", "&&", "a: 1", "f'{", "async "),
)
FRAGMENTS = st.lists(st.sampled_from(PIECES)).map("".join)


def read(kind: str, data: bytes) -> tuple[object, list[object]]:
    source, notes = source_of(File(NAMES[kind], kind, data))
    return source, list(notes)


@given(st.sampled_from(sorted(NAMES)), st.binary(max_size=400))
def test_any_bytes_are_a_source_or_a_note(kind: str, data: bytes) -> None:
    source, notes = read(kind, data)
    assert (source is None) <= bool(notes)


@given(st.sampled_from(sorted(NAMES)), FRAGMENTS)
def test_any_text_is_a_source_or_a_note(kind: str, text: str) -> None:
    source, notes = read(kind, text.encode("utf-8", "surrogatepass"))
    assert (source is None) <= bool(notes)


@given(st.recursive(st.none() | st.booleans() | st.text(max_size=9) | st.integers(), lambda inner: st.lists(inner)
       | st.dictionaries(st.sampled_from(["cells", "cell_type", "source", "metadata"]), inner)))  # fmt: skip
def test_any_json_is_a_notebook_or_a_note(value: object) -> None:
    source, notes = read("notebook", json.dumps(value).encode())
    assert (source is None) <= bool(notes)


@given(st.lists(FRAGMENTS, max_size=6))
def test_every_line_of_a_notebook_has_its_place(cells: list[str]) -> None:
    book = {"cells": [{"cell_type": "code", "source": text} for text in cells]}
    found = python.cells(json.dumps(book).encode())
    assert not isinstance(found, str)
    assert len(found.lines) == len(found.places)
    assert isinstance(python.parse("\n".join(found.lines)), ast.Module)


NESTED = {
    "parentheses": "(" * 100_000,
    "brackets": "[" * 190 + "]" * 190,
    "minus": "-" * 100_000 + "1",
    "not": "not " * 50_000 + "x",
    "attributes": "a" + ".b" * 100_000,
    "sums": "1" + "+1" * 100_000,
    "calls": "f" + "()" * 100_000,
    "powers": "2" + "**2" * 50_000,
    "elif": "if x:\n pass\n" + "elif x:\n pass\n" * 20_000,
    "ternaries": "x if y else " * 20_000 + "z",
    "lambdas": "lambda:" * 50_000 + "x",
    "blocks": "".join(" " * depth + "if x:\n" for depth in range(120)) + " " * 120 + "pass",
    "null": "a\0b",
    "decorators": "@a\n" * 20_000 + "def f(): pass",
}


@pytest.mark.parametrize("text", NESTED.values(), ids=NESTED)
def test_deep_nesting_is_a_note_or_a_tree_and_no_crash(text: str) -> None:
    source, notes = source_of(File("deep.py", "python", text.encode()))
    assert (source is None) == bool(notes)
    assert source is None or source.nodes


def test_a_deep_notebook_is_a_note() -> None:
    assert python.cells(b"[" * 100_000) == "no notebook: not JSON"


def test_python_2_is_a_note_with_its_line() -> None:
    _, (note,) = source_of(File("old.py", "python", b"x = 1\nprint 'x'\n"))
    assert note.why == "not this Python's syntax at line 2"


def test_a_coding_line_is_not_obeyed() -> None:
    source, _ = source_of(File("a.py", "python", b"# -*- coding: rot13 -*-\nx = '\xe9'\n"))
    assert source is not None
    assert source.lines[1] == "x = 'é'"


def test_lines_are_counted_as_python_counts_them() -> None:
    text = "a = 1\r\nb = '\x0c \u2028'\rc = 3\n"
    source, _ = source_of(File("a.py", "python", text.encode()))
    assert source is not None
    assert source.tree is not None
    found = [(node.lineno, source.quoted(node.lineno)[:1]) for node in source.tree.body]
    assert found == [(1, "a"), (2, "b"), (3, "c")]


def test_a_notebooks_lines_are_named_by_cell() -> None:
    cells = [
        {"cell_type": "markdown", "source": "text"},
        {"cell_type": "code", "source": ["%load_ext x\n", "x = 1\n", "!pip install y\n", "files = !ls\n", "x.head?"]},
        {"cell_type": "code", "source": "print 'Python 2'"},
        {"cell_type": "code", "source": "%%bash\npython train.py --seed 1"},
        {"cell_type": "code", "source": "%%html\n<b>"},
        {"cell_type": "code", "source": "a = (7\n  % 4)\ny = 2"},
    ]
    source, notes = source_of(File("n.ipynb", "notebook", json.dumps({"cells": cells}).encode()))
    assert source is not None
    assert source.tree is not None
    targets = {n.targets[0].id: source.place(n.lineno) for n in source.tree.body if isinstance(n, ast.Assign)}  # type: ignore[attr-defined]
    assert targets["x"] == "n.ipynb, cell 2, line 2"
    assert targets["y"] == "n.ipynb, cell 6, line 3"
    assert [(c.words[0], source.place(c.line)) for c in source.commands] == [
        ("pip", "n.ipynb, cell 2, line 3"),
        ("python", "n.ipynb, cell 4, line 2"),
    ]
    assert [note.why for note in notes] == ["cell 3 is no Python that can be parsed"]


SCRIPT = """#!/bin/bash
# python comment.py
export A=1; cd x && python -m torch.distributed.run --nproc 8 train.py \\
    --seed 42 --ids 1:2,3 --name "two words" \\
    --flag | tee log.txt  # it's over
cat <<EOF > notes
python here.py
EOF
echo 'unclosed
python b.py --seed=3 --no-color
"""


def test_commands_are_split_joined_and_numbered() -> None:
    found = shell.commands(tuple(SCRIPT.split("\n")))
    (train,) = [c for c in found if c.script == "train.py"]
    assert train.line == 3
    assert (train.flag("seed"), train.flag("name"), train.flag("flag")) == ("42", "two words", "")
    assert train.flag("ids") == "1:2,3"
    assert train.flag("other") is None
    assert [c.script for c in found if c.script] == ["train.py", "b.py"]
    last = found[-1]
    assert (last.line, last.flag("seed"), last.flag("no_color")) == (10, "3", "")


def test_only_shell_blocks_of_markdown_are_commands() -> None:
    text = "python prose.py\n```python\npython no.py\n```\n~~~sh\n$ python yes.py\n~~~\n\n```\npython plain.py\n```\n"
    assert [(c.script, c.line) for c in shell.in_markdown(tuple(text.split("\n")))] == [("yes.py", 6), ("plain.py", 10)]


def test_settings_have_a_line_of_their_own() -> None:
    lines = ('{"a": 1,', '  "seed": 102,', "lr: 1e-4", "name: 'x y'", "text: a long sentence", "- seed: 3", "k = 4")
    assert [(s.key, s.value, s.line) for s in shell.settings(lines)] == [
        ("seed", "102", 2),
        ("lr", "1e-4", 3),
        ("name", "x y", 4),
        ("k", "4", 7),
    ]


@given(st.text(max_size=400))
def test_what_is_shown_is_one_line_of_visible_characters(text: str) -> None:
    quoted = shown(text)
    assert len(quoted) <= QUOTED
    assert all(c.isprintable() for c in quoted)
    quoted.encode("utf-8")


WATCHED = """
import sys
from pathlib import Path
import audit.cards
from audit.check import all_checks
from audit.run import put
from audit.subject import Subject
checks = [c for c in all_checks().values() if c.needs == ("code",)]
assert len(checks) >= 14
card = audit.cards.load_card(Path(sys.argv[2]))
seen = []
WRITES = ("w", "a", "x", "+")
def hook(event, args):
    if event in ("exec", "import", "os.system", "socket.connect", "socket.getaddrinfo", "os.posix_spawn", "os.fork"):
        seen.append(event)
    if event.startswith(("subprocess", "os.exec", "ctypes", "shutil", "os.remove", "os.rename", "os.mkdir")):
        seen.append(event)
    if event == "open" and isinstance(args[1], str) and any(mode in args[1] for mode in WRITES):
        seen.append(event)
put(checks[0], Subject(card, code=Path(sys.argv[3])))  # what Python itself imports late is imported here
sys.addaudithook(hook)
subject = Subject(card, code=Path(sys.argv[1]))
found = [put(check, subject) for check in checks]
watched = list(seen)
assert not [o for o in found if o.error], found
print(watched, len(subject.checkout.sources))
"""


def test_reading_executes_imports_writes_and_fetches_nothing(tmp_path: Path) -> None:
    hostile = tmp_path / "code"
    hostile.mkdir()
    touch = "open('touched', 'w').close()\n__import__('os').system('touch touched')\n"
    (hostile / "opacus.py").write_text(touch)
    (hostile / "sitecustomize.py").write_text(touch)
    (hostile / "train.py").write_text(f"from opacus import PrivacyEngine\nPrivacyEngine()\n{touch}")
    cell = {"cell_type": "code", "source": f"!touch touched\n{touch}"}
    (hostile / "n.ipynb").write_text(json.dumps({"cells": [cell]}))
    (hostile / "run.sh").write_text("touch touched\n$(touch touched) `touch touched`\n")
    (hostile / "c.yaml").write_text("seed: !!python/object/apply:os.system ['touch touched']\n")
    cases = Path(__file__).parent.parent / "cases" / "trailing-comma-tuple" / "bad" / "switch"
    answer = subprocess.run(
        [sys.executable, "-c", WATCHED, str(hostile), str(cases / "card.toml"), str(cases / "code")],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert answer.stdout.strip() == "[] 6", answer.stderr
    assert not list(tmp_path.rglob("touched"))
