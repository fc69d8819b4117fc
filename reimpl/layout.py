"""How a (source, target) pair of texts becomes token ids, as the three models lay it out.

    joint (DiffuSeq)             [CLS] s [SEP] [SEP] [CLS] t [SEP] [PAD]...       one row of length L
    pairs (SeqDiffuSeq, GENIE)   [CLS] s [SEP] [PAD]...  and  [CLS] t [SEP] [PAD]...

Tokenizers are BERT WordPiece ones read from a local folder; nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoTokenizer, BertTokenizerFast, PreTrainedTokenizerBase

Records = Sequence[tuple[str, str]]


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer saved in folder, or one made of its vocab.txt. ValueError where there is neither."""
    if (folder / "tokenizer.json").is_file() or (folder / "tokenizer_config.json").is_file():
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if (folder / "vocab.txt").is_file():
        return BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True)
    raise ValueError(f"{folder}: expected a tokenizer.json or a WordPiece vocab.txt; give a tokenizer folder")


def joint(tokenizer: PreTrainedTokenizerBase, records: Records, length: int) -> dict[str, Tensor]:
    """{input_ids, input_mask} (B, length). The mask is 0 on the source and the extra [SEP], 1 on the rest.

    The longer side loses its last tokens, both on ties, until all fits. An empty target leaves [CLS] [SEP].
    """
    ids = torch.full((len(records), length), tokenizer.pad_token_id)
    mask = torch.ones_like(ids)
    end = tokenizer.sep_token_id
    for row, texts in enumerate(records):
        left, right = fitted(*(tokenizer(text.strip())["input_ids"][:-1] for text in texts), length - 3)
        tokens = [*left, end, end, *right, end]
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(left) + 2] = 0
    return {"input_ids": ids, "input_mask": mask}


def fitted(left: list[int], right: list[int], room: int) -> tuple[list[int], list[int]]:
    """Both sides cut at their ends until they fit: the longer one first, both where they are equal."""
    while len(left) + len(right) > room:
        cut_left, cut_right = len(left) >= len(right), len(right) >= len(left)
        left, right = left[: len(left) - cut_left], right[: len(right) - cut_right]
    return left, right


def without_prompt(tokenizer: PreTrainedTokenizerBase, ids: Tensor, conditioning: dict[str, Tensor]) -> list[str]:
    """Sampled joint ids (B, L) -> texts: special tokens skipped, the decoded prompt removed once."""
    hidden = conditioning["input_ids"].masked_fill(conditioning["input_mask"] == 1, tokenizer.pad_token_id)
    prompts = tokenizer.batch_decode(hidden, skip_special_tokens=True)
    texts = tokenizer.batch_decode(ids, skip_special_tokens=True)
    return [text.replace(prompt, "", 1).strip() for text, prompt in zip(texts, prompts, strict=True)]


def padded(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], length: int) -> Tensor:
    """[CLS] text [SEP] [PAD]..., cut or padded: (B, length)."""
    rows = tokenizer(list(texts), max_length=length, truncation=True, padding="max_length", return_tensors="pt")
    return rows["input_ids"]
