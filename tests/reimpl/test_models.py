"""The three networks: names and sizes as published, no coupling between records, quirks, samplers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from reimpl import denoising
from reimpl.checkpoints import meta_model, model_module

LAYER = {
    "attention.self.{query,key,value}": (768, 768),
    "attention.output.dense": (768, 768),
    "attention.output.LayerNorm": (768,),
    "intermediate.dense": (3072, 768),
    "output.dense": (768, 3072),
    "output.LayerNorm": (768,),
}
BART_ATTENTION = {"{k,v,q,out}_proj": (768, 768)}
BART = {
    **{f"self_attn.{key}": shape for key, shape in BART_ATTENTION.items()},
    "self_attn_layer_norm": (768,),
    "final_layer_norm": (768,),
    "fc1": (3072, 768),
    "fc2": (768, 3072),
}
CROSS = {**{f"encoder_attn.{key}": shape for key, shape in BART_ATTENTION.items()}, "encoder_attn_layer_norm": (768,)}
SHARED = {
    "LayerNorm": (768,),
    "output_down_proj.0": (768, 768),
    "output_down_proj.2": (128, 768),
}
BERT_LIKE = {
    **SHARED,
    "time_embed.0": (512, 128),
    "time_embed.2": (768, 512),
    "input_up_proj.0": (768, 128),
    "input_up_proj.2": (768, 768),
}
# The tables of the published state_dicts: each name is a weight and a bias, but those in BARE.
LINEAR = {
    "diffuseq": BERT_LIKE | {f"input_transformers.layer.{i}.{k}": s for i in range(12) for k, s in LAYER.items()},
    "genie": BERT_LIKE
    | {f"passage_encoder.encoder.layer.{i}.{key}": shape for i in range(6) for key, shape in LAYER.items()}
    | {"passage_encoder.pooler.dense": (768, 768), "passage_encoder.embeddings.LayerNorm": (768,)}
    | {f"transformer_blocks.{i}.attn{j}.to_out.0": (768, 768) for i in range(6) for j in (1, 2)}
    | {f"transformer_blocks.{i}.norm{j}": (768,) for i in range(6) for j in (1, 2, 3)}
    | {f"transformer_blocks.{i}.ff.net.0.proj": (6144, 768) for i in range(6)}
    | {f"transformer_blocks.{i}.ff.net.2": (768, 3072) for i in range(6)},
    "seqdiffuseq": SHARED
    | {"time_embed.{0,2}": (768, 768), "input_up_proj_dec.0": (768, 256), "input_up_proj_dec.2": (768, 768)}
    | {"input_up_proj_enc.0": (768, 128), "input_up_proj_enc.2": (768, 768)}
    | {f"input_transformers.encoder.layers.{i}.{key}": shape for i in range(6) for key, shape in BART.items()}
    | {f"input_transformers.decoder.layers.{i}.{k}": s for i in range(6) for k, s in (BART | CROSS).items()}
    | {"input_transformers.{encoder,decoder}.layernorm_embedding": (768,)},
}
EMBEDDINGS = {"word_embedding.weight": (30522, 128), "position_embeddings.weight": (512, 768), "position_ids": (1, 512)}
HEAD = {"lm_head.weight": (30522, 128), "lm_head.bias": (30522,)}
BARE = {
    "diffuseq": EMBEDDINGS | HEAD,
    "genie": EMBEDDINGS
    | HEAD
    | {
        "passage_encoder.embeddings.word_embeddings.weight": (30522, 768),
        "passage_encoder.embeddings.position_embeddings.weight": (512, 768),
        "passage_encoder.embeddings.token_type_embeddings.weight": (2, 768),
    }
    | {f"transformer_blocks.{i}.attn{j}.to_{x}.weight": (768, 768) for i in range(6) for j in (1, 2) for x in "qkv"},
    "seqdiffuseq": HEAD
    | {"input_transformers.{encoder,decoder}.embed_positions.weight": (1026, 768)}
    | {"input_transformers.{shared,encoder.embed_tokens,decoder.embed_tokens}.weight": (30522, 128)},
}


def expanded(table: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for key, shape in table.items():
        before, _, rest = key.partition("{")
        choices, _, after = rest.partition("}")
        yield from ((f"{before}{choice}{after}", shape) for choice in choices.split(","))


def published_table(name: str) -> dict[str, tuple[int, ...]]:
    table = dict(expanded(BARE[name]))
    for key, shape in expanded(LINEAR[name]):
        table |= {f"{key}.weight": shape, f"{key}.bias": shape[:1]}
    return table


COUNTS = {
    "diffuseq": (91_225_274, 211, 209),
    "seqdiffuseq": (108_103_610, 281, 278),
    "genie": (143_983_034, 242, 240),
}


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_the_published_size_has_the_published_parameters_keys_and_shapes(name: str) -> None:
    module = model_module(name)
    model = meta_model(module, module.Config.published())
    state, parameters = model.state_dict(), list(model.parameters())
    assert {key: tuple(tensor.shape) for key, tensor in state.items()} == published_table(name)
    assert (sum(p.numel() for p in parameters), len(state), len(parameters)) == COUNTS[name]


def test_tied_weights_are_one_parameter(tiny: Any) -> None:
    parameters = dict(tiny.model.named_parameters(remove_duplicate=False))
    for first, *others in tiny.model.TIES:
        assert all(parameters[other] is parameters[first] for other in others)


def predict(tiny: Any, x_t: torch.Tensor, tau: torch.Tensor, **changes: Any) -> torch.Tensor:
    with torch.no_grad():
        return tiny.model(x_t, tau, **(tiny.source | changes))


TAU = torch.tensor([0.0, 250.0, 500.0, 999.5])


def test_permuting_records_permutes_outputs(tiny: Any) -> None:
    order = torch.tensor([2, 0, 3, 1])
    shuffled = {name: tensor[order] for name, tensor in tiny.source.items()}
    straight = predict(tiny, tiny.x_t, TAU)
    assert torch.allclose(predict(tiny, tiny.x_t[order], TAU[order], **shuffled), straight[order], atol=1e-5)
    losses = []
    for chosen in (torch.arange(4), order):
        batch = {name: tensor[chosen] for name, tensor in tiny.batch.items()}
        noise = {name: tensor[chosen] for name, tensor in tiny.noise.items()}
        t = torch.tensor([0, 3, 7, 11])[chosen]
        losses.append(tiny.module.loss(tiny.model, tiny.config.process(), batch, t, **noise).total)
    assert torch.allclose(losses[1], losses[0][order], atol=1e-5)


def test_every_position_sees_every_other_one(tiny: Any, make: Callable[..., Any]) -> None:
    for attention in ("eager", "sdpa"):
        model = make(tiny.name, attention=attention)
        for changed in (0, tiny.config.length - 1):
            moved = model.x_t.clone()
            moved[:, changed] += 1
            difference = (predict(model, moved, TAU) - predict(model, model.x_t, TAU)).abs().sum(-1)
            assert (difference > 1e-6).all()


def test_eager_and_sdpa_attention_agree(tiny: Any, make: Callable[..., Any]) -> None:
    eager = predict(make(tiny.name, attention="eager"), tiny.x_t, TAU)
    assert torch.allclose(eager, predict(make(tiny.name, attention="sdpa"), tiny.x_t, TAU), atol=1e-5)


def test_a_masked_source_token_does_not_reach_the_encoder_output(make: Callable[..., Any]) -> None:
    for name in ("genie", "seqdiffuseq"):
        tiny = make(name)
        ids, mask = tiny.source.values()
        other = torch.where(mask == 0, 9, ids)
        seen = mask.bool()
        with torch.no_grad():
            assert torch.allclose(tiny.model.encode(ids, mask)[seen], tiny.model.encode(other, mask)[seen], atol=1e-6)


@pytest.mark.parametrize("attended", [True, False])
def test_pads_reach_the_prediction_only_where_they_are_attended(
    tiny: Any, make: Callable[..., Any], attended: bool
) -> None:
    model = make(tiny.name, pads_attended=attended)
    moved = model.x_t.clone()
    moved[:, -2:] += 1
    batch_mask = torch.ones(4, tiny.config.length)
    batch_mask[:, -2:] = 0
    argument = "decoder_attention_mask" if tiny.name == "seqdiffuseq" else "attention_mask"
    if tiny.name == "seqdiffuseq" and attended:
        batch_mask = batch_mask * 0 + 1  # the published decoder mask
    seen = {argument: batch_mask}
    outputs = [predict(model, x_t, TAU, **seen)[:, :-2] for x_t in (model.x_t, moved)]
    assert torch.allclose(*outputs, atol=1e-6) is not attended


@pytest.mark.parametrize("counted", [True, False])
def test_pads_count_in_the_loss_only_as_published(tiny: Any, make: Callable[..., Any], counted: bool) -> None:
    """A pad is worth nothing: the loss of a batch equals that of the batch cut before its pads."""
    model = make(tiny.name, pads_in_loss=counted, pads_attended=False)
    cut = {name: t[:, :-2] if t.shape[1] == model.config.length else t for name, t in model.batch.items()}
    short = replace(model.config, length=model.config.length - 2)
    t = torch.tensor([0, 3, 7, 11])
    full = model.module.loss(model.model, model.config.process(), model.batch, t, **model.noise)
    noise = {name: z[:, :-2] for name, z in model.noise.items()}
    part = model.module.loss(model.model, short.process(), cut, t, **noise)
    assert torch.allclose(full.total, part.total, atol=1e-5) is not counted


def test_the_clean_presets_take_every_clean_choice() -> None:
    for name in COUNTS:
        config, clean = model_module(name).Config.published(), model_module(name).Config.clean()
        assert not any(getattr(clean, quirk) for quirk in model_module(name).QUIRKS)
        assert config == model_module(name).Config()
        assert clean.hidden_size == config.hidden_size
    assert model_module("genie").Config.published().variance == "fixed_small"
    assert model_module("genie").Config.clean().variance == "fixed_large"


def test_expanded_position_ids_change_nothing_but_what_hooks_see(make: Callable[..., Any]) -> None:
    for name in ("diffuseq", "genie"):
        shared, expanded = make(name), make(name, position_ids_shared=False)
        assert torch.equal(predict(shared, shared.x_t, TAU), predict(expanded, shared.x_t, TAU))
        assert [batch_seen_by_positions(tiny) for tiny in (shared, expanded)] == [1, 4]


def batch_seen_by_positions(tiny: Any) -> int:
    sizes: list[int] = []
    hook = lambda module, inputs, output: sizes.append(len(inputs[0]))  # noqa: E731
    tiny.model.position_embeddings.register_forward_hook(hook)
    predict(tiny, tiny.x_t, TAU)
    return sizes[0]


def slow_chain(tiny: Any, process: Any, noise: list[torch.Tensor]) -> Iterator[torch.Tensor]:
    """The published chain with nothing cached: every network call from scratch, rounding by brute force."""
    config, model, x = tiny.config, tiny.model, noise[0]
    embedding, earlier = model.lm_head.weight, torch.zeros_like(noise[0])
    if tiny.name == "diffuseq":
        anchor, kept = model.embed(tiny.batch["input_ids"]), tiny.batch["input_mask"][..., None] == 0
        x = torch.where(kept, anchor, x)
    for index in reversed(range(config.num_timesteps)):
        t = torch.full((len(x),), index)
        more = {"self_conditioning": earlier} if tiny.name == "seqdiffuseq" else {}
        x_0 = earlier = predict(tiny, x, t * 1000 / config.num_timesteps, **more)
        if config.round_every_step:
            x_0 = embedding[((x_0[..., None, :] - embedding) ** 2).sum(-1).argmin(-1)]
        p = denoising.p_mean_variance(process, x_0, x, t, config.variance)
        x = p.mean + (index > 0) * torch.exp(0.5 * p.log_variance) * noise[config.num_timesteps - index]
        if tiny.name == "diffuseq":
            x = torch.where(kept, anchor, x)
        yield x


def test_the_fast_chain_is_the_slow_one(tiny: Any) -> None:
    process = tiny.config.process()
    noise = [torch.randn_like(tiny.x_t) for _ in range(tiny.config.num_timesteps + 1)]
    fast = list(tiny.module.sample(tiny.model, process, tiny.source, noise=iter(noise)))
    with torch.no_grad():
        slow = list(slow_chain(tiny, process, noise))
    assert len(fast) == tiny.config.num_timesteps
    for ours, expected in zip(fast, slow, strict=True):
        assert torch.allclose(ours, expected, atol=1e-4)


def test_states_of_a_chain_can_be_used_where_gradients_are_on(tiny: Any) -> None:
    noise = torch.Generator().manual_seed(0)
    *_, x = tiny.module.sample(tiny.model, tiny.config.process(), tiny.source, noise=noise)
    tiny.model.logits(x).sum().backward()
    assert tiny.model.lm_head.bias.grad is not None
    assert not x.requires_grad


def test_the_encoder_runs_once_a_chain(make: Callable[..., Any]) -> None:
    for name in ("genie", "seqdiffuseq"):
        tiny, calls = make(name), []
        encoder = tiny.model.passage_encoder if name == "genie" else tiny.model.input_transformers.encoder
        encoder.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        list(tiny.module.sample(tiny.model, tiny.config.process(), tiny.source, noise=torch.Generator().manual_seed(0)))
        assert len(calls) == 1


def test_one_seed_gives_one_chain_and_another_seed_another(tiny: Any) -> None:
    def last(seed: int) -> torch.Tensor:
        noise = torch.Generator().manual_seed(seed)
        *_, x = tiny.module.sample(tiny.model, tiny.config.process(), tiny.source, noise=noise)
        return x

    assert torch.equal(last(0), last(0))
    assert not torch.equal(last(0), last(1))


def test_the_source_half_is_held_at_its_embeddings_throughout(make: Callable[..., Any]) -> None:
    tiny = make("diffuseq")
    source = tiny.batch["input_mask"] == 0
    noise = torch.Generator().manual_seed(0)
    for x in tiny.module.sample(tiny.model, tiny.config.process(), tiny.source, noise=noise):
        assert torch.equal(x[source], tiny.model.embed(tiny.batch["input_ids"])[source])


def test_fewer_steps_visit_fewer_timesteps(tiny: Any) -> None:
    noise = torch.Generator().manual_seed(0)
    states = list(tiny.module.sample(tiny.model, tiny.config.process(), tiny.source, noise=noise, steps=4))
    assert len(states) == 4


def test_self_conditioning_changes_the_loss_but_sends_no_gradient_back(make: Callable[..., Any]) -> None:
    tiny = make("seqdiffuseq")
    t, process = torch.tensor([1, 3, 7, 11]), tiny.config.process()

    def loss(conditioned: bool) -> Any:
        kwargs = {**tiny.noise, "self_conditioned": conditioned}
        return tiny.module.loss(tiny.model, process, tiny.batch, t, **kwargs)

    plain, conditioned = loss(False), loss(True)
    assert not torch.allclose(plain.mse, conditioned.mse)
    given = predict(tiny, plain.x_t, denoising.network_time(process, t))
    expected = tiny.model(
        plain.x_t, denoising.network_time(process, t), **tiny.source, self_conditioning=given.detach()
    )
    assert torch.allclose(conditioned.x_0, expected, atol=1e-6)
    parameters = [p for p in tiny.model.parameters() if p.requires_grad]
    ours = torch.autograd.grad(conditioned.x_0.sum(), parameters, allow_unused=True)
    theirs = torch.autograd.grad(expected.sum(), parameters, allow_unused=True)
    for one, other in zip(ours, theirs, strict=True):
        assert (one is None and other is None) or torch.allclose(one, other, atol=1e-4)


def test_bf16_is_autocast_around_the_chain_whose_states_stay_float32(tiny: Any) -> None:
    noise = torch.Generator().manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        *_, x = tiny.module.sample(tiny.model, tiny.config.process(), tiny.source, noise=noise)
    assert x.dtype == torch.float32
    assert torch.isfinite(x).all()
