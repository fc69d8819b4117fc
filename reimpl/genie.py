"""GENIE (arXiv 2212.11685): BERT reads the source, pre-norm blocks with cross-attention denoise the target.

symbol    shape        here                meaning
B, S, L                                    batch, source length, target length
D                      embedding_size      word-embedding size
H                      hidden_size         width of encoder and denoiser
V                      vocab_size          vocabulary
src       B, S         src_input_ids       source ids; src_attention_mask 1 on tokens
ids       B, L         tgt_input_ids       target ids
E         V, D         word_embedding      tied to lm_head
tau       B            timesteps           t * 1000 / T
x_t, x_0  B, L, D                          noised and clean target embeddings

network:  ctx = BertModel(src);  h = LayerNorm(P + up(x_t) + time(phi(tau)))
          six times: h += SA(norm1 h); h += CA(norm2 h, ctx); h += FF(norm3 h);  x_0 = down(h)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase

from reimpl import denoising, layout
from reimpl.attention import additive_mask
from reimpl.checkpoints import load_strict, published_fields, published_variance
from reimpl.objective import LossTerms, loss_terms
from reimpl.schedules import Process
from reimpl.timesteps import timestep_embedding

BERT = "bert-base-uncased configuration"
RUN = "released training script"
CODE = "fixed in the released code"
QUIRKS = ("pads_attended", "pads_in_loss", "round_every_step", "ddim_unskipped", "position_ids_shared")
LAYERS = 6  # of the encoder and of the denoiser, whatever the BERT configuration says


@dataclass(frozen=True)
class Config:
    """Sizes and behaviour; the defaults are the published DP run.

    Quirks, published value first, and what the clean choice (`Config.clean()`) does instead:

    variance             fixed_small, because the fork's `sigma_small = False,` is a tuple and so true.
                         Clean: fixed_large, as upstream meant.
    pads_attended        source pads are attended in cross-attention, target pads in self-attention.
                         Clean: the source mask, and `attention_mask` where it is given, hide them.
    pads_in_loss         pads count in every mean of the loss. Clean: means run over tokens only.
    round_every_step     x_0 is rounded to embeddings at each sampling step. Clean: never.
    ddim_unskipped       DDIM over skipped timesteps still steps to abar_{t-1}. Clean: to the next one.
    position_ids_shared  one row of position ids serves the batch, so hooks see a batch of one and per-record
                         gradients of both position tables are wrong. Clean: expanded. The output is the same.
    """

    vocab_size: int = field(default=30522, metadata={"source": BERT})
    hidden_size: int = field(default=768, metadata={"source": BERT})
    num_heads: int = field(default=12, metadata={"source": BERT})
    intermediate_size: int = field(default=3072, metadata={"source": BERT + ", encoder only"})
    max_positions: int = field(default=512, metadata={"source": BERT})
    layer_norm_eps: float = field(default=1e-12, metadata={"source": BERT})
    encoder_dropout: float = field(default=0.1, metadata={"source": BERT})
    attention_dropout: float = field(default=0.1, metadata={"source": BERT})
    embedding_size: int = field(default=128, metadata={"source": RUN})
    time_size: int = field(default=128, metadata={"source": RUN})
    dropout: float = field(default=0.1, metadata={"source": RUN})
    source_length: int = field(default=16, metadata={"source": RUN})
    length: int = field(default=128, metadata={"source": RUN})
    num_timesteps: int = field(default=2000, metadata={"source": RUN})
    noise_schedule: str = field(default="sqrt", metadata={"source": RUN})
    variance: denoising.Variance = field(default="fixed_small", metadata={"source": CODE})
    logits_mode: Literal[1, 2] = field(default=1, metadata={"source": RUN})
    pad_token_id: int = field(default=0, metadata={"source": BERT})
    pads_attended: bool = field(default=True, metadata={"source": CODE})
    pads_in_loss: bool = field(default=True, metadata={"source": CODE})
    round_every_step: bool = field(default=True, metadata={"source": CODE})
    ddim_unskipped: bool = field(default=True, metadata={"source": CODE})
    position_ids_shared: bool = field(default=True, metadata={"source": CODE})
    attention: Literal["eager", "sdpa"] = field(default="sdpa", metadata={"source": "ours: same numbers"})

    @classmethod
    def published(cls) -> Config:
        """The published run, quirks included."""
        return cls()

    @classmethod
    def clean(cls) -> Config:
        """The published sizes with the clean choice for every quirk."""
        return replace(cls(), variance="fixed_large", **dict.fromkeys(QUIRKS, False))

    @classmethod
    def from_published(cls, json_dict: Mapping[str, Any]) -> Config:
        """From {bert_config, model, src_len, tgt_len, diffusion}. CheckpointError names a missing key."""
        names = {
            "vocab_size": "model.vocab_size",
            "hidden_size": "bert_config.hidden_size",
            "num_heads": "bert_config.num_attention_heads",
            "intermediate_size": "bert_config.intermediate_size",
            "max_positions": "bert_config.max_position_embeddings",
            "layer_norm_eps": "bert_config.layer_norm_eps",
            "encoder_dropout": "bert_config.hidden_dropout_prob",
            "attention_dropout": "bert_config.attention_probs_dropout_prob",
            "embedding_size": "model.in_channel",
            "time_size": "model.model_channels",
            "dropout": "model.dropout",
            "logits_mode": "model.logits_mode",
            "source_length": "src_len",
            "length": "tgt_len",
            "noise_schedule": "diffusion.noise_schedule",
        }
        return cls(**published_fields(json_dict, names), variance=published_variance(json_dict))

    def process(self) -> Process:
        """The forward process of the run."""
        return Process.named(self.noise_schedule, self.num_timesteps)

    def bert(self) -> BertConfig:
        return BertConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=LAYERS,
            num_attention_heads=self.num_heads,
            intermediate_size=self.intermediate_size,
            max_position_embeddings=self.max_positions,
            layer_norm_eps=self.layer_norm_eps,
            hidden_dropout_prob=self.encoder_dropout,
            attention_probs_dropout_prob=self.attention_dropout,
            pad_token_id=self.pad_token_id,
            attn_implementation=self.attention,
        )


class Attention(nn.Module):
    """Multi-head attention: q, k, v without bias, scale sqrt(heads / H), no dropout on probabilities."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        H = config.hidden_size
        self.heads, self.fused = config.num_heads, config.attention == "sdpa"
        self.to_q, self.to_k, self.to_v = (nn.Linear(H, H, bias=False) for _ in range(3))
        self.to_out = nn.Sequential(nn.Linear(H, H), nn.Dropout(config.dropout))

    def forward(self, hidden: Tensor, context: Tensor, mask: Tensor | None) -> Tensor:
        """hidden (B, L, H) attends to context (B, S, H)."""
        projected = self.to_q(hidden), self.to_k(context), self.to_v(context)
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in projected)  # B, heads, *, width
        if self.fused:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        else:
            scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5  # B, heads, L, S
            out = (scores if mask is None else scores + mask).softmax(-1) @ v
        return self.to_out(out.transpose(1, 2).flatten(2))


class GatedLinear(nn.Module):
    """Linear to [value, gate] of the inner width; value * gelu(gate)."""

    def __init__(self, size: int, inner: int) -> None:
        super().__init__()
        self.proj = nn.Linear(size, 2 * inner)

    def forward(self, hidden: Tensor) -> Tensor:
        value, gate = self.proj(hidden).chunk(2, dim=-1)
        return value * F.gelu(gate)


class Block(nn.Module):
    """Pre-norm: self-attention, cross-attention, gated feed-forward, each added to its input."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        H = config.hidden_size
        self.attn1, self.attn2 = Attention(config), Attention(config)
        inner = GatedLinear(H, 4 * H), nn.Dropout(config.dropout), nn.Linear(4 * H, H)
        self.ff = nn.ModuleDict({"net": nn.Sequential(*inner)})
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(H) for _ in range(3))

    def forward(self, hidden: Tensor, context: Tensor, mask: Tensor | None, context_mask: Tensor | None) -> Tensor:
        normed = self.norm1(hidden)
        hidden = hidden + self.attn1(normed, normed, mask)
        hidden = hidden + self.attn2(self.norm2(hidden), context, context_mask)
        return hidden + self.ff["net"](self.norm3(hidden))


class Model(nn.Module):
    """Encoder and denoiser. Parameter names are the authors' state_dict keys."""

    TIES = (("word_embedding.weight", "lm_head.weight"),)

    def __init__(self, config: Config) -> None:
        super().__init__()
        c, D, H = config, config.embedding_size, config.hidden_size
        self.config = config
        self.passage_encoder = BertModel(c.bert())  # published start: pretrained BERT
        self.word_embedding = nn.Embedding(c.vocab_size, D)  # E: V, D
        self.lm_head = nn.Linear(D, c.vocab_size)
        self.lm_head.weight = self.word_embedding.weight
        inner = 4 * c.time_size
        self.time_embed = nn.Sequential(nn.Linear(c.time_size, inner), nn.SiLU(), nn.Linear(inner, H))
        self.input_up_proj = nn.Sequential(nn.Linear(D, H), nn.Tanh(), nn.Linear(H, H))
        self.register_buffer("position_ids", torch.arange(c.max_positions)[None])  # 1, max_positions
        self.position_embeddings = nn.Embedding(c.max_positions, H)  # P
        self.LayerNorm = nn.LayerNorm(H, eps=c.layer_norm_eps)
        self.dropout = nn.Dropout(c.dropout)
        self.transformer_blocks = nn.ModuleList(Block(c) for _ in range(LAYERS))
        self.output_down_proj = nn.Sequential(nn.Linear(H, H), nn.Tanh(), nn.Linear(H, D))

    @classmethod
    def from_published(cls, state_dict: Mapping[str, Tensor], config: Config) -> Model:
        """The authors' weights, in eval mode. CheckpointError names a key, shape or tie that does not fit."""
        return load_strict(cls(config), state_dict)

    def embed(self, ids: Tensor) -> Tensor:
        """ids (B, L) -> E[ids] (B, L, D)."""
        return self.word_embedding(ids)

    def logits(self, x_0: Tensor) -> Tensor:
        """x_0 (B, L, D) -> (B, L, V): lm_head, in logits_mode 2 minus the L2 distance to each embedding."""
        if self.config.logits_mode == 2:
            return denoising.neg_distances(x_0, self.lm_head.weight)
        return self.lm_head(x_0)

    def time_hidden(self, timesteps: Tensor) -> Tensor:
        """tau (B,) -> (B, H)."""
        phi = timestep_embedding(timesteps, self.config.time_size)
        return self.time_embed(phi.to(self.position_embeddings.weight.dtype))

    def positions(self, batch: int, length: int) -> Tensor:
        """Position ids (1, length), or (batch, length) without the quirk."""
        ids = self.position_ids[:, :length]
        return ids if self.config.position_ids_shared else ids.expand(batch, -1)

    def encode(self, src_input_ids: Tensor, src_attention_mask: Tensor) -> Tensor:
        """Source ids and mask (B, S) -> context (B, S, H). The pooler enters times 0: its gradients are 0."""
        positions = self.positions(*src_input_ids.shape)
        out = self.passage_encoder(src_input_ids, attention_mask=src_attention_mask, position_ids=positions)
        return out.last_hidden_state + 0 * out.pooler_output[:, None]

    def forward(
        self,
        x_t: Tensor,
        timesteps: Tensor,
        *,
        src_input_ids: Tensor | None = None,
        src_attention_mask: Tensor,
        attention_mask: Tensor | None = None,
        context: Tensor | None = None,
        time_hidden: Tensor | None = None,
    ) -> Tensor:
        """x_t (B, L, D), timesteps tau (B,), source -> x_0 (B, L, D).

        context replaces the encoder, time_hidden the time MLP; attention_mask (B, L) hides pads if not attended.
        """
        if context is None:
            context = self.encode(src_input_ids, src_attention_mask)
        time = self.time_hidden(timesteps) if time_hidden is None else time_hidden
        places = self.position_embeddings(self.positions(*x_t.shape[:2]))
        hidden = self.dropout(self.LayerNorm(places + self.input_up_proj(x_t) + time[:, None]))  # B, L, H
        shown = (None, None) if self.config.pads_attended else (attention_mask, src_attention_mask)
        masks = [additive_mask(mask, hidden) for mask in shown]
        for block in self.transformer_blocks:
            hidden = block(hidden, context, *masks)
        return self.output_down_proj(hidden)


def loss(
    model: Model,
    process: Process,
    batch: Mapping[str, Tensor],
    t: Tensor,
    *,
    noise_start: Tensor,
    noise_q: Tensor,
) -> LossTerms:
    """Per-record loss of {src_input_ids, src_attention_mask, tgt_input_ids} at t (B,); noises (B, L, D)."""
    ids, config = batch["tgt_input_ids"], model.config
    tokens = ids != config.pad_token_id
    x_0_mean = model.embed(ids)
    x_start = denoising.start_from_mean(process, x_0_mean, noise_start)
    x_t = denoising.q_sample(process, x_start, t, noise_q)
    source = {key: batch[key] for key in ("src_input_ids", "src_attention_mask")}
    x_0 = model(x_t, denoising.network_time(process, t), **source, attention_mask=tokens)
    positions = None if config.pads_in_loss else tokens
    parts = {"x_0_mean": x_0_mean, "x_start": x_start, "x_t": x_t, "x_0": x_0}
    return loss_terms(process, t, ids, model.logits(x_start), **parts, positions=positions)


@denoising.inference
def sample(
    model: Model,
    process: Process,
    conditioning: Mapping[str, Tensor],
    *,
    noise: Iterator[Tensor] | torch.Generator,
    steps: int | Sequence[int] | None = None,
    rounding: denoising.Rounding | None = None,
    variance: denoising.Variance | None = None,
    method: Literal["ancestral", "ddim"] = "ancestral",
    clip: bool = False,
    top_p: float = 0.0,
    eta: float = 0.0,
) -> Iterator[Tensor]:
    """The states x (B, L, D) after each step; the last one's argmax logits are the text.

    conditioning {src_input_ids, src_attention_mask}. `steps` None is the whole chain; a number n keeps every
    timestep divisible by T // n with the full chain's coefficients (published; the clean way is to give
    `process.respaced(n)`); a sequence names the timesteps, descending. The encoder runs once.
    """
    config, source_mask = model.config, conditioning["src_attention_mask"]
    kept = denoising.descending(process.num_timesteps, steps)
    rounding = config.round_every_step if rounding is None else rounding
    context = model.encode(conditioning["src_input_ids"], source_mask)  # B, S, H
    draws = denoising.Draws(noise, context)
    x = draws.normal((len(context), config.length, config.embedding_size))
    taus = denoising.network_time(process, torch.tensor(kept, device=x.device))
    times = model.time_hidden(taus)  # steps, H: one pass for the chain
    target_mask = conditioning.get("attention_mask")
    seen = {"src_attention_mask": source_mask, "context": context, "attention_mask": target_mask}
    for step, index in enumerate(kept):
        t = torch.full((len(x),), index, device=x.device)
        x_0 = model(x, taus[step].expand(len(x)), time_hidden=times[step].expand(len(x), -1), **seen)
        round_now = denoising.rounds_at(rounding, index)
        x_0 = denoising.denoised(x_0, model.word_embedding.weight, rounding=round_now, clip=clip)
        z = draws.truncated(x.shape, top_p)
        previous = None if config.ddim_unskipped else denoising.following(kept, step, t)
        how = {"variance": variance or config.variance, "ddim": method == "ddim", "eta": eta}
        x = denoising.reverse_step(process, x_0, x, t, z, previous=previous, **how)
        yield x


def encode(tokenizer: PreTrainedTokenizerBase, records: layout.Records, config: Config) -> dict[str, Tensor]:
    """(source, target) texts -> ids and masks of both sides: (B, S) and (B, L)."""
    source = layout.padded(tokenizer, [source for source, _ in records], config.source_length)
    target = layout.padded(tokenizer, [target for _, target in records], config.length)
    ids = {"src_input_ids": source, "tgt_input_ids": target}
    masks = {"src_attention_mask": source, "tgt_attention_mask": target}
    return ids | {name: (side != config.pad_token_id).long() for name, side in masks.items()}


def decode(tokenizer: PreTrainedTokenizerBase, ids: Tensor, conditioning: dict[str, Tensor]) -> list[str]:
    """Sampled ids (B, L) -> texts, special tokens skipped."""
    return tokenizer.batch_decode(ids, skip_special_tokens=True)
