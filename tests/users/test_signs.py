"""Signs that a column names no people: each found where it was planted, with its effect, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit.cells import Columns
from audit.shards import find_shards
from audit.types import Confidence
from audit.users.signs import Sign
from audit.users.trust import signs_in

Record = dict[str, Any]
STEMS, ENDINGS = ["lo", "mi", "ta", "ke", "su", "po", "ra", "ne"], ["ba", "do", "fi", "gu", "lan", "mer"]
WORDS = [stem + ending for stem in STEMS for ending in ENDINGS]


def long_text(seed: int, words: int = 30) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))


def honest() -> list[Record]:
    """20 people with 1 to 4 records each, every text their own; names, addresses and ids of one form."""
    return [
        {"user": f"reader{p:02}", "text": long_text(100 * p + r), "name": f"N{p}", "mail": f"p{p}@example.org"}
        for p in range(20)
        for r in range(1 + p % 4)
    ]


def signs(folder: Path, rows: Iterable[Record]) -> dict[str, Sign]:
    path = folder / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = Columns(unit="user", text="text", name="name", email="mail")
    counts, found, notes = signs_in(find_shards(path), columns)
    assert counts is not None
    assert notes == ()
    shown = repr(found)
    assert not [row["text"] for row in honest() if row["text"] in shown]
    assert "reader" not in shown
    return {sign.ident: sign for sign in found}


def record(user: str | None, text: str, name: str = "X", mail: str | None = None) -> Record:
    return {"user": user, "text": text, "name": name, "mail": mail}


def test_a_column_that_names_people_shows_no_sign(tmp_path: Path) -> None:
    assert signs(tmp_path, honest()) == {}


@pytest.mark.parametrize("word", ["anonymous", "NULL", " deleted ", "[removed]", "0"])
def test_a_placeholder_is_named_and_its_effect_is_leaving_it_out(tmp_path: Path, word: str) -> None:
    rows = honest() + [record(word, long_text(9000 + n)) for n in range(60)]
    sign = signs(tmp_path, rows)["placeholder-id"]
    assert (sign.ids, sign.records, sign.confidence) == (1, 60, Confidence.MEDIUM)
    (effect,) = sign.effects
    assert (effect.how, effect.max, effect.mean) == ("left out", 4, 50 / 20)


def test_a_zero_among_numbered_people_is_a_person(tmp_path: Path) -> None:
    rows = [record(str(p), long_text(100 * p + r)) for p in range(20) for r in range(1 + p % 4)]
    assert "placeholder-id" not in signs(tmp_path, rows)


def test_one_id_far_above_all_others_is_an_outlier(tmp_path: Path) -> None:
    rows = honest() + [record("shop", long_text(9000 + n)) for n in range(40)]
    assert signs(tmp_path, rows)["outlying-id"].effects[0].max == 4
    assert "outlying-id" not in signs(tmp_path, rows[:-1])


def test_missing_ids_are_a_bracket(tmp_path: Path) -> None:
    rows = honest() + [record(None, long_text(9000 + n)) for n in range(10)]
    sign = signs(tmp_path, rows)["missing-id"]
    assert (sign.records, sign.confidence) == (10, Confidence.HIGH)
    each, one = sign.effects
    assert (each.how, each.max, each.mean) == ("each a person of its own", 4, 60 / 30)
    assert (one.how, one.max, one.mean) == ("all one person", 10, 60 / 21)


def test_ids_that_differ_by_case_or_space_are_merged(tmp_path: Path) -> None:
    spelled = ("Reader03", " reader03", "READER07")
    rows = honest() + [record(user, long_text(9000 + n)) for n, user in enumerate(spelled)]
    sign = signs(tmp_path, rows)["spelled-differently"]
    assert (sign.ids, sign.records) == (5, 4 + 2 + 4 + 1)
    assert (sign.effects[0].max, sign.effects[0].mean) == (6, 53 / 20)


def test_an_id_with_several_names_is_split(tmp_path: Path) -> None:
    rows = honest()
    rows += [record("reader03", long_text(9000), name="Someone else")]
    sign = signs(tmp_path, rows)["several-names"]
    assert (sign.ids, sign.records) == (1, 5)
    assert (sign.effects[0].max, sign.effects[0].mean) == (4, 51 / 21)


def test_ids_joined_by_addresses_are_one_person_however_long_the_chain(tmp_path: Path) -> None:
    """a–b share one address, b–c another: three ids, one person."""
    rows = honest()
    chain = [("a1", "x@x"), ("b1", "X@x "), ("b1", "y@y"), ("c1", "y@y"), ("c1", None)]
    rows += [record(user, long_text(9000 + n), mail=mail) for n, (user, mail) in enumerate(chain)]
    sign = signs(tmp_path, rows)["shared-email"]
    assert (sign.ids, sign.records) == (3, 5)
    assert (sign.effects[0].max, sign.effects[0].mean) == (5, 55 / 21)


def test_ids_with_the_same_texts_are_merged_in_whatever_order_they_stand(tmp_path: Path) -> None:
    texts = [long_text(9000 + n) for n in range(3)]
    rows = honest() + [record("twin1", t) for t in texts] + [record("twin2", t) for t in reversed(texts)]
    rows += [record(user, "too short to tell") for user in ("brief1", "brief2", "brief2", "brief2")]
    found = signs(tmp_path, rows)
    assert "near-duplicates-across-ids" not in found
    sign = found["identical-texts"]
    assert (sign.ids, sign.records, sign.confidence) == (2, 6, Confidence.HIGH)
    assert (sign.effects[0].max, sign.effects[0].mean) == (6, 60 / 23)


def test_short_texts_that_coincide_are_no_sign(tmp_path: Path) -> None:
    rows = honest() + [record(f"r{n}", "Great place, will come again!") for n in range(30)]
    assert "identical-texts" not in signs(tmp_path, rows)


def test_nearly_the_same_text_under_many_ids_is_a_sign(tmp_path: Path) -> None:
    base = long_text(9000, 60)
    rows = honest() + [record(f"r{n}", f"{base} {WORDS[n]}") for n in range(10)]
    sign = signs(tmp_path, rows)["near-duplicates-across-ids"]
    assert (sign.ids, sign.confidence) == (10, Confidence.LOW)
    assert [effect.max for effect in sign.effects] == [4, 10]


def test_a_bot_is_left_out(tmp_path: Path) -> None:
    base = long_text(9000, 60)
    varied = [record("writer", long_text(20_000 + n)) for n in range(60)]
    rows = honest() + varied + [record("robot", f"{base} {long_text(n, 3)}") for n in range(70)]
    sign = signs(tmp_path, rows)["bot-like"]
    assert (sign.ids, sign.records) == (1, 70)
    assert sign.effects[0].max == 60


def test_ids_cut_at_a_cells_limit_may_be_several_people(tmp_path: Path) -> None:
    names = [f"user {'x' * n} {n}" for n in range(1, 15) for _ in range(4)]
    cut = [f"https://example.org/people/{n:03}"[:30] for n in range(30)]
    rows = [record(user + str(n % 3), long_text(n)) for n, user in enumerate(names)]
    rows += [record(user, long_text(500 + n)) for n, user in enumerate(cut * 2)]
    sign = signs(tmp_path, rows)["truncated-id"]
    assert (sign.ids, sign.records, sign.confidence) == (30, 60, Confidence.MEDIUM)


def test_hashes_and_numbers_are_not_taken_for_cut_ids(tmp_path: Path) -> None:
    hashes = [f"{n:064x}" for n in range(30)]
    rows = [record(user, long_text(n)) for n, user in enumerate([*hashes, *map(str, range(50))])]
    assert "truncated-id" not in signs(tmp_path, rows)


def test_the_order_of_records_makes_no_difference(tmp_path: Path) -> None:
    base = long_text(9000, 60)
    rows = honest() + [record(f"r{n}", f"{base} {WORDS[n]}") for n in range(10)] + [record("NULL", base)] * 30
    assert signs(tmp_path, rows) == signs(tmp_path, rows[::-1])


def test_what_was_not_looked_for_is_said(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"user": "a"}\n')
    _, _, notes = signs_in(find_shards(tmp_path / "d.jsonl"), Columns(unit="user"))
    assert len(notes) == 3


def test_the_placeholder_of_the_messages_is_reported_with_the_effect_of_leaving_it_out(test_data: Path) -> None:
    columns = Columns(unit="user_id", text="text")
    _, found, _ = signs_in(find_shards(test_data / "nus_sms_en.jsonl.gz"), columns)
    (sign,) = [sign for sign in found if sign.ident == "placeholder-id"]
    assert "'0' with 4,754 records" in sign.what
    assert (sign.effects[0].max, round(sign.effects[0].mean, 1)) == (4951, 149.4)
