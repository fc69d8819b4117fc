"""A manifest made from data says what was measured, is valid, and exports as Croissant."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from audit.cards import load_manifest
from audit.cli import app
from audit.croissant import to_croissant
from audit.manifest import FILL_IN, manifest_of, to_toml
from audit.records import RecordsError, open_records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    for name, users in (("train-0", ["a", "a", "b"]), ("train-1", ["c"]), ("test", ["a", None])):
        rows = [{"text": f"t{n}", "user": user, "stars": n, "score": n / 2} for n, user in enumerate(users)]
        (data / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return data


def test_it_says_what_was_measured_and_is_valid(folder: Path, tmp_path: Path) -> None:
    made = manifest_of(str(folder), "My reviews: 2026", "text", "user")
    (tmp_path / "m.toml").write_text(to_toml(made), encoding="utf-8")
    assert load_manifest(tmp_path / "m.toml") == made
    assert (made.id, made.records, made.persons) == ("my-reviews-2026", 6, 3)
    assert made.splits == {"train": 4, "test": 2}
    assert made.columns == {"text": "text", "user": "text", "stars": "integer", "score": "number"}
    assert made.sha256 == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}
    assert "1 records have no id" in made.unit_note


def test_data_are_recognised_by_the_manifest_made_from_them(folder: Path) -> None:
    made = manifest_of(str(folder), "reviews", "text", "user")
    assert open_records(folder, "reviews", made).identity.verdict == "named dataset"


def test_what_only_the_owner_knows_is_left_to_fill_in(folder: Path) -> None:
    made = manifest_of(str(folder), "reviews")
    left = [made.source, made.licence, made.how_to_get, made.unit_note]
    assert all(value is not None and value.startswith(FILL_IN) for value in left)
    assert made.unit_column is None
    assert made.persons is None


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(column=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12))
def test_any_column_name_is_carried_over(tmp_path: Path, column: str) -> None:
    pq.write_table(pa.table({column: ["x"]}), tmp_path / "d.parquet")
    made = manifest_of(str(tmp_path / "d.parquet"), "d")
    (tmp_path / "m.toml").write_text(to_toml(made), encoding="utf-8")
    assert load_manifest(tmp_path / "m.toml").columns == {column: "text"}
    (field,) = json.loads(to_croissant(made))["recordSet"][0]["field"]
    assert field["source"]["extract"]["column"] == column


def test_croissant_names_each_file_with_its_checksum_and_each_column_once(folder: Path) -> None:
    made = manifest_of(str(folder), "reviews", "text", "user")
    croissant: dict[str, Any] = json.loads(to_croissant(made))
    assert croissant["conformsTo"][0] == "http://mlcommons.org/croissant/1.0"
    assert {file["@id"]: file["sha256"] for file in croissant["distribution"]} == made.sha256
    files = {file["@id"] for file in croissant["distribution"]}
    fields = [field for record_set in croissant["recordSet"] for field in record_set["field"]]
    assert {field["source"]["fileObject"]["@id"] for field in fields} == files
    assert len({field["@id"] for field in fields}) == len(fields) == 3 * 4
    assert {field["dataType"] for field in fields} == {"sc:Text", "sc:Integer", "sc:Float"}
    responsible = [key for key in croissant if key.startswith("rai:")]
    assert {"rai:personalSensitiveInformation", "rai:dataBiases", "rai:hasSyntheticData"} <= set(responsible)


def test_the_reference_library_accepts_the_croissant(folder: Path, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    path = tmp_path / "c.json"
    path.write_text(to_croissant(manifest_of(str(folder), "reviews", "text", "user")), encoding="utf-8")
    assert not mlcroissant.Dataset(jsonld=path).metadata.issues.errors


def test_the_command_writes_both_forms_or_prints_one(folder: Path, tmp_path: Path) -> None:
    asked = ["manifest", str(folder), "--name", "reviews", "--unit", "user"]
    printed = CliRunner().invoke(app, asked)
    assert printed.exit_code == 0
    out, croissant = tmp_path / "m.toml", tmp_path / "c.json"
    written = CliRunner().invoke(app, [*asked, "--out", str(out), "--croissant", str(croissant)])
    assert written.exit_code == 0
    assert out.read_text(encoding="utf-8") == printed.stdout
    assert json.loads(croissant.read_text(encoding="utf-8"))["name"] == "reviews"


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"unit": "author"}, "no column 'author'"),
        ({"label": "class"}, "no column 'class'"),
        ({"name": "?!"}, "a letter"),
    ],
)
def test_a_wrong_option_is_refused(folder: Path, options: dict[str, str], part: str) -> None:
    with pytest.raises(RecordsError, match=part):
        manifest_of(str(folder), **({"name": "reviews"} | options))
