"""Every dataset and corpus a built-in card names has a manifest that says where it comes from and who is in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import jsonschema
import pytest

from audit.cards import (
    CardError,
    built_in_cards,
    built_in_manifests,
    load_card,
    load_manifest,
    schemas,
)

MANIFESTS = built_in_manifests()
MINIMAL = """
version = 1
id = "reviews"
name = "Reviews"
kind = "private"
source = "somewhere"
how_to_get = "ask"
obtainable = true
unit_note = "None in the release"
"""


def test_every_manifest_a_built_in_card_names_is_there():
    cards = [load_card(path) for path in built_in_cards().values()]
    named = {use.manifest for card in cards for use in (*card.dataset, *card.corpus)} - {None}
    assert named
    assert named <= set(MANIFESTS)


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_a_manifest_is_named_after_its_file(name):
    assert load_manifest(MANIFESTS[name]).id == name


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_the_schema_accepts_every_manifest(name):
    data = tomllib.loads(MANIFESTS[name].read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schemas()["manifest"]).validate(data)


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_every_published_count_has_a_source(name):
    manifest = load_manifest(MANIFESTS[name])
    stated = " ".join(fact.value or "" for fact in manifest.facts)
    counts = [manifest.records, manifest.persons, *manifest.splits.values()]
    for count in filter(None, counts):
        assert f"{count:,}" in stated, f"{count:,} has no fact that says where it is from"


@pytest.mark.parametrize("name", sorted(MANIFESTS))
def test_a_manifest_without_a_person_column_says_why(name):
    manifest = load_manifest(MANIFESTS[name])
    if manifest.unit_column is None:
        assert any(word in manifest.unit_note.lower() for word in ("none", "not ")), manifest.unit_note


def test_what_cannot_be_had_says_so():
    feedback = load_manifest(MANIFESTS["microsoft-feedback"])
    assert not feedback.obtainable


def test_the_columns_of_yelp_are_those_of_the_release():
    yelp = load_manifest(MANIFESTS["yelp-open-dataset"])
    assert (yelp.text_column, yelp.unit_column) == ("text", "user_id")


def test_the_drugs_counts_are_those_of_the_published_files(test_data: Path):
    import gzip

    splits = load_manifest(MANIFESTS["drugs-com"]).splits
    for split, file in (("validation", "drugs_val"), ("test", "drugs_test")):
        with gzip.open(test_data / f"{file}.jsonl.gz") as lines:
            assert sum(1 for _ in lines) == splits[split]


@pytest.mark.parametrize(
    ("old", "new", "place", "cure"),
    [
        ("name =", "nmae =", "nmae", "'name'"),
        ("obtainable = true", 'obtainable = "yes"', "obtainable", "boolean"),
        ('kind = "private"', 'kind = "secret"', "kind", "'private', 'pretraining' or 'public'"),
        ("version = 1", 'version = 1\nsha256 = { "a.csv" = "abc" }', 'sha256."a.csv"', "64 hex digits"),
        ("version = 1", 'version = 1\nrecords = "many"', "records", "integer"),
        ("unit_note", "# unit_note", "unit_note", "add it"),
    ],
)
def test_a_bad_manifest_gets_one_line_with_place_and_cure(old, new, place, cure, tmp_path):
    path = tmp_path / "reviews.toml"
    path.write_text(MINIMAL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CardError) as caught:
        load_manifest(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {place}: ")
    assert cure in message
    assert "\n" not in message
