"""The tokenizer of a run. None is ever made from private text: a vocabulary fitted to records is an access to them."""

from __future__ import annotations

import string
from pathlib import Path

from transformers import AutoTokenizer, BertTokenizerFast, PreTrainedTokenizerBase

from reimpl.generated import vocabulary
from reimpl.layout import load_tokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The name "generated" means a fixed one of words and characters; any other name is a folder or one of the hub.

    ValueError where a folder has no tokenizer, OSError where the hub has none of that name (or is offline).
    """
    if name == "generated":
        return generated()
    return load_tokenizer(Path(name)) if Path(name).is_dir() else AutoTokenizer.from_pretrained(name)


def generated() -> PreTrainedTokenizerBase:
    """A BERT tokenizer whose vocabulary is fixed: special tokens, words, and every printable character."""
    characters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = [*SPECIAL, *vocabulary(), *characters, *(f"##{character}" for character in characters)]
    ids = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    return BertTokenizerFast(vocab=ids, do_lower_case=True)
