"""Our forward passes, for the arrays of a golden folder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from reimpl import denoising
from reimpl.parity.case import DOUBLE, EXACT, HIDDEN, LOGITS, Case, Ours
from reimpl.timesteps import timestep_embedding


def forward(case: Case, file: str) -> Iterator[Ours]:
    def x_0(at: Case, **more: Tensor) -> Tensor:
        return at.predict(at.given("x_t"), case.golden.tensor(file, "model_t"), **more)

    def ours(at: Case) -> Tensor:
        return x_0(at, **at.self_conditioned())

    def seen(module: torch.nn.Module) -> Tensor:
        """What a part of the network puts out during the forward pass."""
        outputs: list[Tensor] = []
        handle = module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
        ours(case)
        handle.remove()
        return outputs[0]

    def rounded(part: str) -> Tensor:
        return getattr(denoising.round_to_embeddings(ours(case), case.model.lm_head.weight), part)

    model, tau = case.model, partial(case.golden.tensor, file, "model_t")
    size = getattr(case.config, "time_size", case.config.hidden_size)
    yield Ours("time_embedding", lambda: timestep_embedding(tau(), size), HIDDEN)
    yield Ours("embeds", lambda: model.embed(case.ids), EXACT)
    yield Ours("logits_f32", lambda: model.logits(ours(case)), LOGITS)
    if case.name == "seqdiffuseq":
        yield Ours("encoder_hidden", lambda: model.encode(**case.conditioning), HIDDEN)
        for suffix, at, tolerance in (("f32", case, HIDDEN), ("f64", case.double, DOUBLE)):
            yield Ours(f"x0_sc0_{suffix}", partial(x_0, at), tolerance)
            yield Ours(f"x0_sc_{suffix}", partial(_with_target_mask, at, file), tolerance)
        yield Ours("x0_sc_nodecmask_f32", partial(ours, case), HIDDEN)
        encoded = partial(case.golden.tensor, file, "encoder_hidden")
        yield Ours("x0_sc_cachedenc_f32", lambda: x_0(case, **case.self_conditioned(), context=encoded()), HIDDEN)
        return
    yield Ours("x0_f32", partial(ours, case), HIDDEN)
    yield Ours("x0_f64", partial(ours, case.double), DOUBLE)
    yield Ours("logits_f64", lambda: case.double.model.logits(ours(case.double)), DOUBLE)
    yield Ours("logits_mode2_f32", lambda: denoising.neg_distances(ours(case), model.lm_head.weight), LOGITS)
    yield Ours("rounded_x0", partial(rounded, "x_0"), EXACT)
    if case.name == "diffuseq":
        yield Ours("time_mlp", lambda: model.time_hidden(tau()), HIDDEN)
        yield Ours("rounded_ids", partial(rounded, "ids"), EXACT)
        yield Ours("rounded_neg_sqdist", partial(rounded, "neg_sq_distance"), LOGITS)
        return
    yield Ours("encoder_last_hidden", lambda: model.encode(**case.conditioning), HIDDEN)
    yield Ours("decoder_input_ln", lambda: seen(model.LayerNorm), HIDDEN)
    for name in case.golden.arrays(file):
        if found := re.fullmatch(r"block(\d+)", name):
            yield Ours(name, lambda at=int(found[1]): seen(model.transformer_blocks[at]), HIDDEN)
    yield Ours("x0_f32_srcmask_ones", lambda: x_0(case, **_seen_everywhere(case)), HIDDEN)


def _seen_everywhere(case: Case) -> dict[str, Tensor]:
    """A source mask of ones: the published network lets it reach the encoder only."""
    return {"src_attention_mask": torch.ones_like(case.given("src_attention_mask"))}


def _with_target_mask(case: Case, file: str) -> Tensor:
    """SeqDiffuSeq given its decoder mask, which hides nothing."""
    mask = {"decoder_attention_mask": case.given("decoder_attention_mask")}
    tau = case.golden.tensor(file, "model_t")
    return case.predict(case.given("x_t"), tau, **case.self_conditioned(), **mask)
