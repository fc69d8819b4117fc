"""Splits recognised by the names of files and datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.records import open_records
from audit.splits import counts_by_split, splits


def write(path: Path, *texts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f'{{"text": "{text}"}}\n' for text in texts), encoding="utf-8")
    return path


def named(found: dict[str, tuple[object, ...]]) -> dict[str, list[str]]:
    return {dataset: [part.name for part in parts] for dataset, parts in found.items()}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["train.jsonl", "test.jsonl"], ["test", "train"]),
        (["x_train.jsonl", "x_val.jsonl", "x_test.jsonl"], ["test", "train", "validation"]),
        (["train-0.jsonl", "train-1.jsonl", "dev.jsonl"], ["train", "validation"]),
        (["part-0.jsonl", "part-1.jsonl"], None),
        (["train.jsonl", "notes.jsonl"], None),  # one split is not two
        (["training.jsonl", "contest.jsonl"], None),  # "contest" is no test
        (["train_test.jsonl", "dev.jsonl"], None),  # a name that speaks of two splits speaks of none
    ],
)
def test_a_folder_gives_the_splits_its_files_are_named_for(
    files: list[str], expected: list[str] | None, tmp_path: Path
) -> None:
    for name in files:
        write(tmp_path / name, "some text")
    found = named(splits({"d": open_records(f"{tmp_path},text=text", "d")}))
    assert found == ({"d": expected} if expected else {})


def test_a_split_in_several_files_yields_the_texts_of_all_in_order(tmp_path: Path) -> None:
    write(tmp_path / "train-0.jsonl", "a", "b")
    write(tmp_path / "train-1.jsonl", "c")
    write(tmp_path / "test.jsonl", "d")
    parts = splits({"d": open_records(f"{tmp_path},text=text", "d")})["d"]
    assert [(part.name, list(part.texts())) for part in parts] == [("test", ["d"]), ("train", ["a", "b", "c"])]


def test_datasets_named_for_splits_belong_together(tmp_path: Path) -> None:
    given = {
        name: open_records(f"{write(tmp_path / f'{name}.jsonl', name)},text=text", name)
        for name in ("drugs-train", "drugs-test", "webmd-test")
    }
    assert named(splits(given)) == {"drugs": ["test", "train"]}


def test_people_are_counted_split_by_split(tmp_path: Path) -> None:
    for name, users in (("train-0", "aab"), ("train-1", "c"), ("test", "ad")):
        (tmp_path / f"{name}.jsonl").write_text("".join(f'{{"user": "{user}"}}\n' for user in users))
    counted = counts_by_split(open_records(f"{tmp_path},unit=user", "reviews"))
    assert {name: (c.records, c.units, c.max) for name, c in counted.items()} == {"test": (2, 2, 1), "train": (4, 3, 2)}
    (tmp_path / "extra.jsonl").write_text('{"user": "e"}\n')
    assert counts_by_split(open_records(f"{tmp_path},unit=user", "reviews")) == {}
