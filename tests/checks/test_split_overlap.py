"""Texts shared by splits, on real published splits."""

from __future__ import annotations

import shutil
from pathlib import Path

from audit.cards import load_card
from audit.check import all_checks
from audit.records import open_records
from audit.run import put
from audit.subject import Subject
from audit.types import Status

CARD = Path(__file__).parent.parent / "cases/split-overlap/good/disjoint/card.toml"


def test_the_published_drugs_splits_share_nothing(test_data: Path, tmp_path: Path) -> None:
    for split, name in (("validation", "drugs_val"), ("test", "drugs_test")):
        shutil.copy(test_data / f"{name}.jsonl.gz", tmp_path / f"{split}.jsonl.gz")
    subject = Subject(load_card(CARD), data={"reviews": open_records(f"{tmp_path},text=trg", "reviews")})
    assert put(all_checks()["split-overlap"], subject).status is Status.CLEAN
