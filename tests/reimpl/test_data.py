"""Records made by rule, and records read from files."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reimpl.data import Columns, DataError, Record, label_index, load
from reimpl.generated import CANARIES, COUNTS, canaries, generated, vocabulary

LABELS = ("non-spam", "spam")
ROWS = [
    {"text": "hello, you\nthere", "label": 1, "person": "ann"},
    {"text": "naïve “quotes”", "label": 0, "person": "bob"},
    {"text": "again", "label": 1, "person": "ann"},
]
RECORDS = [Record(row["text"], row["label"], row["person"]) for row in ROWS]


def write(folder: Path, kind: str, split: str = "train") -> Path:
    path = folder / f"{split}.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    elif kind.startswith("jsonl"):
        text = "".join(json.dumps(row) + "\n" for row in ROWS)
        path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode())
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["text", "label", "person"])
            writer.writeheader()
            writer.writerows(ROWS)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_every_kind_of_file_gives_the_same_records(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path, kind)
    assert load(str(path), "train", LABELS) == RECORDS
    write(tmp_path, kind, "test")
    assert load(str(tmp_path), "test", LABELS) == RECORDS


def test_without_a_column_of_persons_nobody_owns_two_records(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a", "label": "Spam"}\n')
    assert load(str(tmp_path), "train", LABELS) == [Record("a", 1, None)]
    with pytest.raises(DataError, match="author"):
        load(str(tmp_path), "train", LABELS, Columns(person="author"))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "one JSON object a line"),
        ("[1]", "expected an object"),
        ('{"text": "SECRET"}', "no column 'label'"),
        ('{"label": 1, "body": "SECRET"}', "no column 'text'"),
        ('{"text": 7, "label": 1}', "expected a text"),
        ('{"text": "SECRET", "label": 2}', "expected one of non-spam, spam"),
        ('{"text": "SECRET", "label": true}', "expected one of"),
        ('{"text": "SECRET", "label": "SECRET"}', "expected one of"),
        ('{"text": "SECRET", "label": 0.5}', "expected one of"),
    ],
)
def test_a_bad_row_is_named_by_its_place_and_never_quoted(tmp_path: Path, line: str, complaint: str) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "fine", "label": 0}\n' + line + "\n")
    with pytest.raises(DataError, match=complaint) as error:
        load(str(tmp_path), "train", LABELS)
    message = str(error.value)
    assert f"{tmp_path / 'train.jsonl'}: row 2" in message
    assert "SECRET" not in message
    assert "\n" not in message


def test_a_file_that_is_not_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(b"text,label\n\xff\xfe,1\n")
    (tmp_path / "test.parquet").write_bytes(b"no parquet")
    for split in ("train", "test"):
        with pytest.raises(DataError, match=split):
            load(str(tmp_path), split, LABELS)


def test_what_cannot_be_found_says_what_was_expected(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl")
    for source, split, complaint in (
        (str(tmp_path / "nowhere"), "train", "no such file or folder"),
        (str(tmp_path), "test", "expected one file test"),
        (str(path), "test", "give a folder with a test file"),
    ):
        with pytest.raises(DataError, match=complaint):
            load(source, split, LABELS)
    write(tmp_path, "csv")
    with pytest.raises(DataError, match=r"train\.jsonl, train\.csv"):
        load(str(tmp_path), "train", LABELS)
    (tmp_path / "test.jsonl").write_text("")
    with pytest.raises(DataError, match="no record"):
        load(str(tmp_path), "test", LABELS)


def test_a_hub_name_without_network_says_what_to_do_instead() -> None:
    code = "from reimpl.data import load; load('hf:nobody/no-such-data', 'train', ['a'])"
    environment = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PATH": "", "HOME": "/nonexistent"}
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert "DataError: hf:nobody/no-such-data: split 'train' could not be loaded" in ended.stderr
    assert "give the folder" in ended.stderr


@given(st.integers(0, 4))
def test_a_label_is_its_name_or_its_index(index: int) -> None:
    labels = ("mild", "Notable", "3rd", "serious", "hot")
    for value in (index, float(index), str(index), labels[index], labels[index].upper()):
        assert label_index("here", value, labels) == index


@pytest.mark.parametrize("classes", [2, 5])
def test_generated_records_are_balanced_and_persons_have_one_to_five(classes: int) -> None:
    rows = [row for row in generated("train", classes) if not row[2].startswith("canary")]
    assert len(rows) == COUNTS["train"]
    labels = Counter(label for _, label, _ in rows)
    assert max(labels.values()) - min(labels.values()) <= 1
    per_person = Counter(Counter(person for *_, person in rows).values())
    assert set(per_person) == {1, 2, 3, 4, 5}


def test_generated_splits_share_no_person_and_do_not_change() -> None:
    splits = {split: generated(split, 2) for split in COUNTS}
    persons = [{person for *_, person in rows} for rows in splits.values()]
    assert not persons[0] & persons[1] | persons[0] & persons[2] | persons[1] & persons[2]
    assert splits == {split: generated(split, 2) for split in COUNTS}
    assert len(generated("test", 2, 10)) == 10


def test_the_training_part_holds_the_member_canaries_and_no_other() -> None:
    texts = [text for text, _, _ in generated("train", 2)]
    drawn = [(text, member) for _, (text, _, member) in canaries(2)]
    assert len({text for text, _ in drawn}) == CANARIES
    assert [text for text, member in drawn if member] == texts[COUNTS["train"] :]
    assert not {text for text, member in drawn if not member} & set(texts)
    others = {text for split in ("test", "public") for text, _, _ in generated(split, 2)}
    assert not others & {text for text, _ in drawn}


def test_the_vocabulary_covers_every_generated_word() -> None:
    said = {word for split in COUNTS for text, _, _ in generated(split, 5) for word in text.split()}
    assert said <= set(vocabulary())


def test_the_label_can_be_told_from_a_generated_text() -> None:
    from reimpl.metrics import downstream

    train, test = load("generated", "train", "abcde"), load("generated", "test", "abcde")
    assert downstream(train, test, 0)["macro_f1"] > 0.6  # chance is 0.2
