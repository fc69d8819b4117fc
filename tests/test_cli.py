"""The command line: exit codes, one-line errors, nothing half-written, nothing executed."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

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
records = {{ value = 1000, where = "S1", known = "paper" }}
[[mechanism]]
id = "lm"
model = "{model}"
sampler_accounted = {{ value = "poisson", where = "S2", known = "paper" }}
batch_size = {{ value = 50, where = "S2", known = "paper" }}
epochs = {{ value = 5, where = "S2", known = "paper" }}
[[claim]]
id = "main"
mechanism = "lm"
datasets = ["notes"]
epsilons = {{ value = [2.0], where = "Abstract", known = "paper" }}
delta = {{ value = "1/(10N)", where = "S2", known = "paper" }}
wording = "the paper claims"
"""


def cli(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "audit.cli", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"XDG_CACHE_HOME": str(cwd / "cache"), "NO_COLOR": "1"} | environment,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "card.toml").write_text(CARD.format(model="LM"), encoding="utf-8")
    return folder


def refused(answer: subprocess.CompletedProcess[str], *parts: str) -> None:
    """One line on standard error, exit 2, no traceback, and every part of it in the line."""
    assert answer.returncode == 2, answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1, answer.stderr
    assert "Traceback" not in answer.stderr
    for part in parts:
        assert part in answer.stderr


def test_an_unknown_paper_names_the_closest_one(tmp_path: Path) -> None:
    refused(cli("run", "prior-work/nope", cwd=tmp_path), "prior-work/nope", "audit list papers")
    refused(cli("run", "prior-work/yue-2022", cwd=tmp_path), "did you mean prior-work/yue-2023")
    assert not (tmp_path / "out").exists()


def test_a_card_with_an_unknown_key_is_refused_with_file_and_key(folder: Path, tmp_path: Path) -> None:
    card = folder / "card.toml"
    card.write_text(card.read_text(encoding="utf-8").replace("batch_size", "batchsize"), encoding="utf-8")
    refused(cli("run", str(folder), cwd=tmp_path), "card.toml", "batchsize", "batch_size")


def bad_data(tmp_path: Path) -> dict[str, tuple[Path, str, str]]:
    whole = gzip.compress(b'{"text": "a note", "who": "p1"}\n' * 4000)
    made = {
        "a missing column": ("notes.csv", b"body,who\nhello,p1\n", "text"),
        "a truncated gzip": ("notes.jsonl.gz", whole[: len(whole) // 2], "notes.jsonl.gz"),
        "an empty file": ("notes.csv", b"", "empty"),
        "Latin-1": ("latin.csv", "text,who\ncaf\xe9 au lait,p1\n".encode("latin-1"), "UTF-8"),
        "no file": ("nowhere.csv", None, "nowhere.csv"),
    }
    cases = {}
    for what, (name, content, part) in made.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
            path = path.rename(tmp_path / f"{len(cases)}-{name}")
        cases[what] = (path, part, what)
    return cases


@pytest.mark.parametrize("what", ["a missing column", "a truncated gzip", "an empty file", "Latin-1", "no file"])
def test_bad_data_is_refused_in_one_line_and_nothing_is_written(what: str, folder: Path, tmp_path: Path) -> None:
    path, part, _ = bad_data(tmp_path)[what]
    answer = cli("run", str(folder), "--data", f"notes={path},text=text,unit=who", "--out", "out", cwd=tmp_path)
    refused(answer, str(path.name), part)
    assert "au lait" not in answer.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("run", "prior-work/yue-2023", "--data", "yelp"), "NAME=PATH"),
        (("run", "prior-work/yue-2023", "--format", "pdf"), "json"),
        (("run", "prior-work/yue-2023", "--jobs", "0"), "jobs"),
        (("list", "people"), "papers"),
    ],
)
def test_a_wrong_argument_is_refused_with_exit_2(arguments: tuple[str, ...], part: str, tmp_path: Path) -> None:
    answer = cli(*arguments, cwd=tmp_path)
    assert answer.returncode == 2
    assert part in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_run_writes_result_and_report_and_says_where(folder: Path, tmp_path: Path) -> None:
    answer = cli("run", str(folder), "--fail-on", "never", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "out" / "small" / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    result = json.loads((tmp_path / "out" / "small" / "result.json").read_text(encoding="utf-8"))
    judged = {"claims", "data", "outcomes", "overlaps", "probes", "runs", "waivers"}
    assert set(result) == {"version", "paper", "provenance"} | judged
    assert "result.json" in answer.stdout


def test_what_could_not_be_judged_is_grouped_by_the_option_that_would_help(folder: Path, tmp_path: Path) -> None:
    answer = cli("run", str(folder), "--format", "json", cwd=tmp_path, COLUMNS="999")
    block = answer.stdout.split("Could not be judged")[1].split("\n\n")[0].splitlines()[1:]
    told = {label: checks.split(", ") for label, checks in (re.split(r"\s{2,}", line.strip()) for line in block)}
    result = json.loads((tmp_path / "out" / "small" / "result.json").read_text(encoding="utf-8"))
    needs = {o["check"]: [s["needs"] for s in o["skips"]] for o in result["outcomes"] if o["status"] == "skipped"}
    assert sorted(check for checks in told.values() for check in checks) == sorted(needs)
    assert "ledger-broken" in told["--ledger"]
    assert all("--code" in need for check in told["--code"] for need in needs[check])
    assert not any("--" in need for check in told["more on the card"] for need in needs[check])
    assert list(told)[-1] == "more on the card"


@pytest.mark.parametrize("columns", ["80", "60"])
def test_a_narrow_terminal_shows_every_word_of_the_table_of_claims(columns: str, folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "notes.jsonl"
    rows = [{"text": f"note {i}", "who": f"p{0 if i < 38 else i}"} for i in range(1000)]
    data.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    asked = ("run", str(folder), "--data", f"notes={data},text=text,unit=who", "--format", "json")
    wide, narrow = (cli(*asked, cwd=tmp_path, COLUMNS=n).stdout.split("findings")[0] for n in ("300", columns))
    assert "38)" in wide
    assert sorted(narrow.split()) == sorted(wide.split())


def test_the_same_result_gives_the_same_report(folder: Path, tmp_path: Path) -> None:
    from reports.html import render

    cli("run", str(folder), cwd=tmp_path)
    stored = json.loads((tmp_path / "out" / "small" / "result.json").read_text(encoding="utf-8"))
    assert render(stored) == (tmp_path / "out" / "small" / "report.html").read_text(encoding="utf-8")


def test_quiet_prints_nothing(folder: Path, tmp_path: Path) -> None:
    answer = cli("run", str(folder), "--quiet", cwd=tmp_path)
    assert answer.stdout == ""
    assert answer.stderr == ""


def test_what_cannot_be_judged_counts_when_asked(folder: Path, tmp_path: Path) -> None:
    answer = cli("run", str(folder), "--fail-on", "never", "--fail-on-inconclusive", "-q", cwd=tmp_path)
    assert answer.returncode == 3


def test_a_hostile_card_imports_nothing_writes_nothing_outside_and_brings_no_markup(tmp_path: Path) -> None:
    folder = tmp_path / "hostile"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "trap.py").write_text("open('../../sprung', 'w').write('x')", encoding="utf-8")
    (folder / "card.toml").write_text(CARD.format(model="<script>x</script> trap:factory ../../etc"), encoding="utf-8")
    before = {path for path in tmp_path.rglob("*") if path != tmp_path / "cache"}
    answer = cli("run", str(folder), "--out", str(tmp_path / "o"), "--no-cache", cwd=tmp_path)
    assert answer.returncode in (0, 1), answer.stderr
    after = {path for path in tmp_path.rglob("*")}
    assert after - before == {tmp_path / "o", tmp_path / "o" / "result.json", tmp_path / "o" / "report.html"}
    assert "<script>" not in (tmp_path / "o" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("key", "value"),
    [("id", '"../../escape"'), ("title", '"' + "x" * 10_000_000 + '"'), ("version", "2")],
    ids=["path", "10 MB", "version"],
)
def test_a_card_with_a_hostile_value_is_refused(key: str, value: str, folder: Path, tmp_path: Path) -> None:
    card = folder / "card.toml"
    lines = card.read_text(encoding="utf-8").splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith(f"{key} = "))
    lines[place] = f"{key} = {value}"
    card.write_text("\n".join(lines), encoding="utf-8")
    answer = cli("run", str(folder), cwd=tmp_path)
    refused(answer, "card.toml")
    assert len(answer.stderr) < 1000


def test_hostile_data_reaches_neither_result_nor_report_nor_screen(folder: Path, tmp_path: Path) -> None:
    data = tmp_path / "notes.jsonl"
    rows = [{"text": f"<script>zq{i}</script>", "who": "\x1b[31m<b>zq</b>"} for i in range(20)]
    data.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    answer = cli("run", str(folder), "--data", f"notes={data},text=text,unit=who", cwd=tmp_path)
    assert answer.returncode in (0, 1), answer.stderr
    for text in (answer.stdout, *(p.read_text(encoding="utf-8") for p in (tmp_path / "out" / "small").iterdir())):
        assert "zq" not in text


def test_validate_names_every_bad_file_and_passes_the_good(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("version = 1\n", encoding="utf-8")
    good = cli("validate", str(folder / "card.toml"), cwd=tmp_path)
    assert (good.returncode, good.stdout) == (0, "1 valid\n")
    both = cli("validate", str(folder / "card.toml"), "bad.toml", cwd=tmp_path)
    assert both.returncode == 2
    complaints = both.stderr.strip().splitlines()
    assert len(complaints) == 6  # every key that is missing, each in a line of its own
    assert all(line.startswith("audit: bad.toml: ") for line in complaints)


def test_an_unknown_manifest_is_refused_with_what_to_do(folder: Path, tmp_path: Path) -> None:
    card = folder / "card.toml"
    text = card.read_text(encoding="utf-8").replace('name = "notes"', 'name = "notes"\nmanifest = "nots"')
    card.write_text(text, encoding="utf-8")
    for command in ("run", "validate"):
        refused(cli(command, str(card), cwd=tmp_path), "card.toml", "manifests/nots.toml", "leave the key out")
    (folder / "manifests").mkdir()
    lines = ["version = 1", *(f'{key} = "nots"' for key in ("id", "name", "source", "how_to_get", "unit_note"))]
    manifest = "\n".join([*lines, 'kind = "private"', "obtainable = false\n"])
    (folder / "manifests" / "nots.toml").write_text(manifest, encoding="utf-8")
    assert cli("validate", str(card), cwd=tmp_path).returncode == 0


def test_every_check_is_listed_and_explained(tmp_path: Path) -> None:
    listed = [line.split()[0] for line in cli("list", "checks", cwd=tmp_path).stdout.splitlines()]
    assert "records-per-person-ignored" in listed
    page = cli("explain", "sampling-mismatch", cwd=tmp_path).stdout
    assert "cannot see" in page
    refused(cli("explain", "sampling-mismach", cwd=tmp_path), "did you mean sampling-mismatch")


def test_schemas_are_printed_as_json(tmp_path: Path) -> None:
    for name in ("card", "manifest", "ledger", "result"):
        assert json.loads(cli("schema", name, cwd=tmp_path).stdout)["$schema"]


def test_what_is_no_result_is_called_so_with_what_to_name_instead(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_text('{"version": 1, "mechanism": "gaussian"}', encoding="utf-8")
    (tmp_path / "notes.json").write_text("a note", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "audited").mkdir()
    (tmp_path / "audited" / "result.json").write_text("{}", encoding="utf-8")
    expected = "expected a result.json written by `audit run`"
    for name, found in {
        "ledger.json": "found other JSON; name the result.json",
        "notes.json": "found a file that is not JSON",
        "nowhere.json": "No such file",
        "empty": "found a folder; it holds no result.json",
        "audited": "found a folder; name audited/result.json",
    }.items():
        refused(cli("checklist", name, cwd=tmp_path), f"audit: {name}: {expected}", found)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("run", "--help"),
        ("run", "small", "--fail-on", "never"),
        ("list", "checks"),
        ("explain", "sampling-mismatch"),
        ("schema", "card"),
        ("validate", "small/card.toml"),
        ("validate", "nowhere.toml"),
        ("explain", "sampling-mismach"),
        ("epsilon", "--noise-multiplier", "1", "--sampling-probability", "0.1", "--steps", "9", "--delta", "1e-5"),
    ],
    ids=" ".join,
)
def test_a_command_whose_reader_has_gone_ends_quietly_with_the_code_of_a_closed_pipe(
    arguments: tuple[str, ...], folder: Path, tmp_path: Path
) -> None:
    assert folder.name == "small"
    reader, writer = os.pipe()
    os.close(reader)
    complaints = tmp_path / "complaints"
    goes_to_error = arguments[-1] in ("nowhere.toml", "sampling-mismach")
    with complaints.open("wb") as errors:
        streams = {"stdout": errors, "stderr": writer} if goes_to_error else {"stdout": writer, "stderr": errors}
        command = [sys.executable, "-m", "audit.cli", *arguments]
        environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
        code = subprocess.run(command, **streams, cwd=tmp_path, env=environment, timeout=120, check=False).returncode
    os.close(writer)
    assert (code, complaints.read_bytes()) == (141, b"")


def test_the_version_is_printed(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert cli("--version", cwd=tmp_path).stdout.strip() == f"dp-claim-audit {version('dp-claim-audit')}"


def test_a_folder_given_for_a_card_is_called_a_folder(folder: Path, tmp_path: Path) -> None:
    refused(cli("validate", str(folder), cwd=tmp_path), "a folder", "card.toml")


def test_the_card_itself_may_be_named_instead_of_its_folder(folder: Path, tmp_path: Path) -> None:
    assert cli("run", str(folder / "card.toml"), "--fail-on", "never", "-q", cwd=tmp_path).returncode == 0
