"""Tiny models with random weights, one for each architecture, and batches of random ids for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import torch

from reimpl import diffuseq, genie, seqdiffuseq

SIZES = {"vocab_size": 50, "hidden_size": 16, "num_heads": 2, "max_positions": 20, "embedding_size": 6, "length": 9}
TINY = {
    "diffuseq": SIZES | {"num_layers": 2, "intermediate_size": 24, "time_size": 8},
    "genie": SIZES | {"intermediate_size": 24, "time_size": 8, "source_length": 5},
    "seqdiffuseq": SIZES | {"encoder_layers": 1, "decoder_layers": 2, "ffn_size": 24, "source_length": 5},
}
MODULES = {"diffuseq": diffuseq, "genie": genie, "seqdiffuseq": seqdiffuseq}


@dataclass
class Tiny:
    """A tiny model in eval mode and a batch of four records, the last positions of which are pads."""

    name: str
    module: ModuleType
    config: Any
    model: Any
    batch: dict[str, torch.Tensor]
    noise: dict[str, torch.Tensor]

    @property
    def source(self) -> dict[str, torch.Tensor]:
        names = ("src_input_ids", "src_attention_mask") if self.name == "genie" else ("input_ids", "attention_mask")
        names = ("input_ids", "input_mask") if self.name == "diffuseq" else names
        return {name: self.batch[name] for name in names}

    @property
    def x_t(self) -> torch.Tensor:
        return self.noise["noise_q"]


def make_tiny(name: str, **changes: Any) -> Tiny:
    torch.manual_seed(7)
    module = MODULES[name]
    config = module.Config(**(TINY[name] | {"num_timesteps": 12} | changes))
    model = module.Model(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))  # no term is hidden by a zero or a one
    shape = (4, config.length, config.embedding_size)
    noise = {key: torch.randn(shape) for key in ("noise_start", "noise_q")}
    return Tiny(name, module, config, model, make_batch(name, config), noise)


def make_batch(name: str, config: Any) -> dict[str, torch.Tensor]:
    ids = torch.randint(5, config.vocab_size, (4, config.length))
    ids[:, -2:] = config.pad_token_id
    if name == "diffuseq":
        mask = torch.ones_like(ids)
        mask[:, :4] = 0
        return {"input_ids": ids, "input_mask": mask}
    source = torch.randint(5, config.vocab_size, (4, config.source_length))
    source[::2, -1] = config.pad_token_id
    seen = (source != config.pad_token_id).long()
    if name == "genie":
        return {"src_input_ids": source, "src_attention_mask": seen, "tgt_input_ids": ids}
    return {"input_ids": source, "attention_mask": seen, "decoder_input_ids": ids}


@pytest.fixture
def make() -> Callable[..., Tiny]:
    return make_tiny


@pytest.fixture(params=sorted(MODULES))
def tiny(request: pytest.FixtureRequest) -> Tiny:
    return make_tiny(request.param)
