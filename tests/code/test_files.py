"""Which files of a checkout are read: inside it, of allowed size, and none through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from audit.code import files
from audit.code.checkout import read_checkout
from audit.code.commit import head
from audit.code.files import read_files

HASH = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d"


def put(root: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def paths(root: Path, *, tests: bool = False) -> list[str]:
    return [file.path for file in read_files(root, tests=tests)[0]]


def noted(root: Path) -> dict[str, str]:
    return {note.path: note.why for note in read_files(root)[1]}


def test_programs_notebooks_scripts_and_settings_are_read_and_nothing_else(tmp_path: Path) -> None:
    names = ["a/b/train.py", "n.ipynb", "run.SH", "README.md", "c.json", "c.yaml"]
    for name in [*names, "data.csv", "model.pt", "train.pyc", "Makefile"]:
        put(tmp_path, **{name: "1"})
    assert paths(tmp_path) == sorted(names)


def test_hidden_folders_environments_and_test_code_are_passed_over(tmp_path: Path) -> None:
    for name in (".git/hooks/x.py", "venv/lib/y.py", "tests/a.py", "pkg/test_b.py", "pkg/b_test.py", "conftest.py"):
        put(tmp_path, **{name: "1"})
    put(tmp_path, **{"test.py": "1", "pkg/testing.py": "1"})
    assert paths(tmp_path) == ["pkg/testing.py", "test.py"]
    assert {"tests/a.py", "pkg/test_b.py"} <= set(paths(tmp_path, tests=True))
    assert noted(tmp_path) == {}


def test_no_link_leads_out_of_the_checkout(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside", **{"secret.py": "password = 1", "folder/deep.py": "1"})
    inside = put(tmp_path / "inside", **{"own.py": "1"})
    (inside / "file.py").symlink_to(outside / "secret.py")
    (inside / "folder").symlink_to(outside / "folder")
    (inside / "loop").symlink_to(inside)
    (inside / ".git").symlink_to(outside)
    assert paths(inside) == ["own.py"]
    assert noted(inside) == {"file.py": "a link; links are not followed"}
    assert head(inside) is None


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "train.py")
    assert paths(tmp_path) == []
    assert files.regular(tmp_path / "train.py", 10) is None


def test_a_file_above_its_limit_is_noted_and_not_read(tmp_path: Path) -> None:
    limit = files.MAX_BYTES["python"]
    put(tmp_path, **{"big.py": "#" * (limit + 1), "fits.py": "#" * limit, "records.json": "1" * (1 << 20)})
    assert paths(tmp_path) == ["fits.py"]
    assert list(noted(tmp_path)) == ["big.py"]  # large JSON is data; it is no program that was missed


def test_more_than_the_limits_allow_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, **{f"m{i}.py": "1" * 10 for i in range(5)})
    monkeypatch.setattr(files, "MAX_FILES", 3)
    assert paths(tmp_path) == ["m0.py", "m1.py", "m2.py"]
    assert "more than 3 files" in noted(tmp_path)["m3.py"]
    monkeypatch.setattr(files, "MAX_TOTAL", 25)
    assert paths(tmp_path) == ["m0.py", "m1.py"]
    monkeypatch.setattr(files, "MAX_ENTRIES", 4)
    assert paths(tmp_path) == []
    assert "more than 4 entries" in noted(tmp_path)["."]


def test_programs_come_before_settings_where_there_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, **{"a.json": "1", "b.json": "1", "z.py": "1"})
    monkeypatch.setattr(files, "MAX_FILES", 2)
    assert paths(tmp_path) == ["a.json", "z.py"]
    assert noted(tmp_path) == {}


def test_folders_deeper_than_the_limit_are_noted(tmp_path: Path) -> None:
    deep = "/".join("d" * 1 for _ in range(files.MAX_DEPTH + 1))
    put(tmp_path, **{f"{deep}/far.py": "1"})
    assert paths(tmp_path) == []
    assert list(noted(tmp_path)) == [deep]


def test_a_name_that_is_no_unicode_is_read_and_shown_escaped(tmp_path: Path) -> None:
    name = os.fsencode(str(tmp_path)) + b"/\xff\n.py"
    with open(name, "wb") as file:
        file.write(b"x = 1\n")
    (source,) = read_checkout(tmp_path).sources
    assert source.place(1) == "\\udcff\\u000a.py:1"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"HEAD": HASH}, HASH),
        ({"HEAD": "ref: refs/heads/main", "refs/heads/main": f"{HASH}\n"}, HASH),
        ({"HEAD": "ref: refs/heads/main", "packed-refs": f"# pack\n{HASH} refs/heads/main\n"}, HASH),
        ({"HEAD": "ref: refs/heads/main", "packed-refs": f"{HASH} refs/heads/other\n"}, None),
        ({"HEAD": "ref: refs/heads/../../../secret", "../secret": HASH}, None),
        ({"HEAD": "not a hash"}, None),
        ({}, None),
    ],
)
def test_the_commit_is_read_from_the_checkouts_own_files(
    tmp_path: Path, written: dict[str, str], expected: str | None
) -> None:
    (tmp_path / ".git").mkdir()
    for name, text in written.items():
        path = tmp_path / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert head(tmp_path) == expected
