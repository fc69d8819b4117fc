"""What a causal language model says of texts: their perplexity, and MAUVE between two sets of them.

A name ending in .gguf is a file that `transformers` unpacks (package gguf); any other is a folder or a hub name, of
which only safetensors weights are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

BATCH_SIZE = 16
MAX_TOKENS = 256  # of every text, real or synthetic


class LanguageModelError(ValueError):
    """A model or a package that is not there: one line that says what was expected."""


@dataclass
class LanguageModel:
    module: nn.Module
    tokenizer: PreTrainedTokenizerBase

    def batches(self, texts: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
        """Ids and mask, padded on the right: a start token where the tokenizer has one, then at most MAX_TOKENS.

        Fewer where the model has fewer positions; a text without any token is left out.
        """
        most = min(MAX_TOKENS, getattr(self.module.config, "max_position_embeddings", None) or MAX_TOKENS)
        start = [] if self.tokenizer.bos_token_id is None else [self.tokenizer.bos_token_id]
        rows = [(start + self.tokenizer(text, add_special_tokens=False)["input_ids"])[:most] for text in texts]
        rows = [row for row in rows if row]
        for first in range(0, len(rows), BATCH_SIZE):
            batch = rows[first : first + BATCH_SIZE]
            ids, mask = torch.zeros(2, len(batch), max(map(len, batch)), dtype=torch.long)
            for number, row in enumerate(batch):
                ids[number, : len(row)], mask[number, : len(row)] = torch.tensor(row, dtype=torch.long), 1
            yield ids.to(self.module.device), mask.to(self.module.device)


def load(name: str) -> LanguageModel:
    """A causal model with its tokenizer, in eval mode and float32."""
    path = Path(name)
    place, how = (str(path.parent), {"gguf_file": path.name}) if path.suffix == ".gguf" else (name, {})
    how |= {} if how else {"use_safetensors": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, **{k: v for k, v in how.items() if k == "gguf_file"})
        module = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, **how)
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise LanguageModelError(f"language model {name!r}: expected a causal model: {reason}") from None
    return LanguageModel(module.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer)


@torch.inference_mode()
def perplexity(lm: LanguageModel, texts: Sequence[str]) -> dict[str, float]:
    """`mean`: of the texts' perplexities, as published (arXiv 2410.22971); `corpus`: exp of the mean loss of a token.

    A text without a token to predict (empty, or of one token where there is no start token) has no perplexity; it is
    counted in `without`, and no text is ever left out silently.
    """
    total = tokens = 0.0
    each = []
    for ids, mask in lm.batches([text for text in texts if text.strip()]):
        logits = lm.module(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
        losses = F.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none") * mask[:, 1:]
        for loss, length in zip(losses.sum(-1).tolist(), mask[:, 1:].sum(-1).tolist(), strict=True):
            if length:
                each.append(math.exp(min(loss / length, 700)))  # above it a float overflows
                total, tokens = total + loss, tokens + length
    found = {"scored": float(len(each)), "without": float(len(texts) - len(each))}
    return found | ({"mean": float(np.mean(each)), "corpus": math.exp(min(total / tokens, 700))} if each else {})


@torch.inference_mode()
def features(lm: LanguageModel, texts: Sequence[str]) -> NDArray[np.float32]:
    """The last hidden state at the last token of each text that has one: (n, H)."""
    rows = []
    for ids, mask in lm.batches([text for text in texts if text.strip()]):
        hidden = lm.module(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]
        rows.append(hidden[torch.arange(len(ids)), mask.sum(-1) - 1])
    return torch.cat(rows).float().cpu().numpy()


def mauve(lm: LanguageModel, texts: Sequence[str], real: Sequence[str]) -> dict[str, Any]:
    """MAUVE (arXiv 2102.01454) between texts and real texts, with features of this model instead of GPT-2 large.

    So it compares sets under one model and is no match for published figures. Needs the extra `mauve`.
    """
    try:
        from mauve import compute_mauve
    except ImportError:
        raise LanguageModelError("MAUVE needs the package mauve-text: pip install 'dp-claim-audit[mauve]'") from None
    sets = features(lm, texts), features(lm, real)
    score = compute_mauve(p_features=sets[1], q_features=sets[0], device_id=-1, seed=1, verbose=False)
    return {"mauve": float(score.mauve), "texts": min(map(len, sets))}
