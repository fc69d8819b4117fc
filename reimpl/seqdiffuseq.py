"""SeqDiffuSeq (arXiv 2212.10325): a BART encoder-decoder denoises the target; each position has its schedule.

symbol    shape        here                 meaning
B, S, L                                     batch, source length, target length
D                      embedding_size       word-embedding size, 128
H                      hidden_size          width of encoder and decoder
V                      vocab_size           vocabulary
src       B, S         input_ids            source ids; attention_mask 1 on tokens
ids       B, L         decoder_input_ids    target ids
E         V, D         shared               tied to both embed_tokens and lm_head
tau       B            timesteps            t * 1000 / T
x_t, x_0  B, L, D                           noised and clean target embeddings
sc        B, L, D      self_conditioning    an earlier prediction of x_0, or 0

network:  ctx = encoder(enc_up(E[src]));  h = LayerNorm(dec_up([x_t; sc]) + time(phi(tau)))
          x_0 = down(decoder(h, ctx)), self-attention in both directions
schedule: alpha_bar is (T, L); it may adapt to the training losses (`schedules.AdaptiveSchedule`)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import BartConfig, PreTrainedTokenizerBase
from transformers.models.bart.modeling_bart import BartDecoderLayer, BartEncoderLayer

from reimpl import denoising, layout
from reimpl.attention import additive_mask
from reimpl.checkpoints import load_strict, published_fields, published_variance
from reimpl.objective import LossTerms, loss_terms
from reimpl.schedules import Process
from reimpl.timesteps import timestep_embedding

BART = "facebook/bart-base configuration"
RUN = "released training script"
CODE = "fixed in the released code"
QUIRKS = ("flatten_variance", "keep_initial_betas", "pads_attended", "pads_in_loss", "round_every_step")
OFFSET = 2  # BART's position table starts with two rows that are never used


@dataclass(frozen=True)
class Config:
    """Sizes and behaviour; the defaults are the published run.

    Quirks, published value first, and what the clean choice (`Config.clean()`) does instead:

    flatten_variance     the (T, L) log-variance is flattened before it is indexed with t: the noise of a
                         sampling step is far too small. Clean: one variance for each timestep and position.
    keep_initial_betas   fixed_large reads the first schedule's betas after it adapted. Clean: the new ones.
    pads_attended        the decoder mask is 1 everywhere. Clean: it hides target pads where they are known.
    pads_in_loss         pads count in every mean of the loss. Clean: means run over tokens only.
    round_every_step     False as published ("no_clamp"), and clean.
    """

    vocab_size: int = field(default=30522, metadata={"source": "bert-base-uncased vocabulary"})
    hidden_size: int = field(default=768, metadata={"source": RUN})
    ffn_size: int = field(default=3072, metadata={"source": RUN})
    encoder_layers: int = field(default=6, metadata={"source": RUN})
    decoder_layers: int = field(default=6, metadata={"source": RUN})
    num_heads: int = field(default=12, metadata={"source": RUN})
    max_positions: int = field(default=1024, metadata={"source": BART})
    padding_idx: int = field(default=1, metadata={"source": BART})
    attention_dropout: float = field(default=0.1, metadata={"source": BART})
    activation_dropout: float = field(default=0.1, metadata={"source": BART})
    embedding_size: int = field(default=128, metadata={"source": CODE})
    dropout: float = field(default=0.0, metadata={"source": RUN})
    source_length: int = field(default=64, metadata={"source": RUN})
    length: int = field(default=64, metadata={"source": RUN})
    num_timesteps: int = field(default=2000, metadata={"source": RUN})
    noise_schedule: str = field(default="sqrt", metadata={"source": RUN})
    variance: denoising.Variance = field(default="fixed_small", metadata={"source": CODE})
    pad_token_id: int = field(default=0, metadata={"source": "bert-base-uncased vocabulary"})
    flatten_variance: bool = field(default=True, metadata={"source": CODE})
    keep_initial_betas: bool = field(default=True, metadata={"source": CODE})
    pads_attended: bool = field(default=True, metadata={"source": CODE})
    pads_in_loss: bool = field(default=True, metadata={"source": CODE})
    round_every_step: bool = field(default=False, metadata={"source": RUN})
    attention: Literal["eager", "sdpa"] = field(default="sdpa", metadata={"source": "ours: same numbers"})

    @classmethod
    def published(cls) -> Config:
        """The published run, quirks included."""
        return cls()

    @classmethod
    def clean(cls) -> Config:
        """The published sizes with the clean choice for every quirk."""
        return replace(cls(), **dict.fromkeys(QUIRKS, False))

    @classmethod
    def from_published(cls, json_dict: Mapping[str, Any]) -> Config:
        """From {bart_config, model, src_len, tgt_len, pad_tok_id, diffusion}; CheckpointError: one lacks."""
        names = {
            "vocab_size": "model.vocab_size",
            "hidden_size": "model.in_channels",
            "ffn_size": "model.model_channels",
            "encoder_layers": "model.encoder_layers",
            "decoder_layers": "model.decoder_layers",
            "num_heads": "model.num_heads",
            "max_positions": "bart_config.max_position_embeddings",
            "padding_idx": "bart_config.pad_token_id",
            "attention_dropout": "bart_config.attention_dropout",
            "activation_dropout": "bart_config.activation_dropout",
            "dropout": "model.dropout",
            "source_length": "src_len",
            "length": "tgt_len",
            "pad_token_id": "pad_tok_id",
            "noise_schedule": "diffusion.noise_schedule",
        }
        return cls(**published_fields(json_dict, names), variance=published_variance(json_dict))

    def process(self) -> Process:
        """The forward process at the start of training: one copy of the schedule for each position."""
        full = Process.named(self.noise_schedule, self.num_timesteps).respaced(self.num_timesteps)
        quirks = {"flatten_variance": self.flatten_variance, "keep_initial_betas": self.keep_initial_betas}
        return full.per_position(self.length, **quirks)

    def bart(self) -> BartConfig:
        return BartConfig(
            d_model=self.hidden_size,
            encoder_ffn_dim=self.ffn_size,
            decoder_ffn_dim=self.ffn_size,
            encoder_attention_heads=self.num_heads,
            decoder_attention_heads=self.num_heads,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            activation_dropout=self.activation_dropout,
            attn_implementation=self.attention,
        )


class Stack(nn.Module):
    """BART's encoder or decoder around the library's layers: positions, layer norm, dropout, layers.

    Positions are looked up once for each record, so that hooks see the batch they should.
    """

    def __init__(self, config: Config, embedding: nn.Embedding, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.embed_tokens = embedding
        self.embed_positions = nn.Embedding(config.max_positions + OFFSET, config.hidden_size)
        self.layers = nn.ModuleList(layers)
        self.layernorm_embedding = nn.LayerNorm(config.hidden_size)

    def forward(self, inputs: Tensor, mask: Tensor, *context: Tensor) -> Tensor:
        """inputs (B, L, H), additive mask (B, 1, 1, L); a decoder also gets ctx (B, S, H) and its mask."""
        places = torch.arange(inputs.shape[1], device=inputs.device).expand(len(inputs), -1) + OFFSET  # B, L
        hidden = self.layernorm_embedding(inputs + self.embed_positions(places))
        hidden = F.dropout(hidden, self.dropout, self.training)
        keywords = dict(zip(("encoder_hidden_states", "encoder_attention_mask"), context, strict=False))
        for layer in self.layers:
            hidden = layer(hidden, mask, **keywords)
        return hidden


class EncoderDecoder(nn.Module):
    """BartModel with D-dimensional embeddings: one module under three names."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        bart = config.bart()
        self.shared = nn.Embedding(config.vocab_size, config.embedding_size, padding_idx=config.padding_idx)
        encoder = [BartEncoderLayer(bart, layer_idx=i) for i in range(config.encoder_layers)]
        decoder = [BartDecoderLayer(bart, layer_idx=i) for i in range(config.decoder_layers)]
        self.encoder, self.decoder = Stack(config, self.shared, encoder), Stack(config, self.shared, decoder)


class Model(nn.Module):
    """Encoder and denoising decoder. Parameter names are the authors' state_dict keys."""

    TIES = (
        (
            "input_transformers.shared.weight",
            "input_transformers.encoder.embed_tokens.weight",
            "input_transformers.decoder.embed_tokens.weight",
            "lm_head.weight",
        ),
    )

    def __init__(self, config: Config) -> None:
        super().__init__()
        c, D, H = config, config.embedding_size, config.hidden_size
        self.config = config
        self.time_embed = nn.Sequential(nn.Linear(H, H), nn.SiLU(), nn.Linear(H, H))
        self.input_transformers = EncoderDecoder(c)
        self.input_up_proj_dec = nn.Sequential(nn.Linear(2 * D, H), nn.Tanh(), nn.Linear(H, H))
        self.input_up_proj_enc = nn.Sequential(nn.Linear(D, H), nn.Tanh(), nn.Linear(H, H))
        self.output_down_proj = nn.Sequential(nn.Linear(H, H), nn.Tanh(), nn.Linear(H, D))
        self.lm_head = nn.Linear(D, c.vocab_size)
        self.lm_head.weight = self.input_transformers.shared.weight
        self.LayerNorm = nn.LayerNorm(H)
        self.dropout = nn.Dropout(c.dropout)

    @classmethod
    def from_published(cls, state_dict: Mapping[str, Tensor], config: Config) -> Model:
        """The authors' weights, in eval mode. CheckpointError names a key, shape or tie that does not fit."""
        return load_strict(cls(config), state_dict)

    def embed(self, ids: Tensor) -> Tensor:
        """ids (B, L) -> E[ids] (B, L, D)."""
        return self.input_transformers.shared(ids)

    def logits(self, x_0: Tensor) -> Tensor:
        """x_0 (B, L, D) -> (B, L, V)."""
        return self.lm_head(x_0)

    def time_hidden(self, timesteps: Tensor) -> Tensor:
        """tau (B,) -> (B, H)."""
        phi = timestep_embedding(timesteps, self.config.hidden_size)
        return self.time_embed(phi.to(self.LayerNorm.weight.dtype))

    def encode(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Source ids and mask (B, S) -> ctx (B, S, H)."""
        inputs = self.input_up_proj_enc(self.embed(input_ids))
        return self.input_transformers.encoder(inputs, additive_mask(attention_mask, inputs))

    def forward(
        self,
        x_t: Tensor,
        timesteps: Tensor,
        *,
        input_ids: Tensor | None = None,
        attention_mask: Tensor,
        decoder_attention_mask: Tensor | None = None,
        self_conditioning: Tensor | None = None,
        context: Tensor | None = None,
        time_hidden: Tensor | None = None,
    ) -> Tensor:
        """x_t (B, L, D), timesteps tau (B,), source -> x_0 (B, L, D).

        self_conditioning None means 0; context replaces the encoder, time_hidden the time MLP; without a
        decoder_attention_mask (B, L) every target position is attended.
        """
        if context is None:
            context = self.encode(input_ids, attention_mask)
        time = self.time_hidden(timesteps) if time_hidden is None else time_hidden  # B, H
        earlier = torch.zeros_like(x_t) if self_conditioning is None else self_conditioning
        inputs = self.input_up_proj_dec(torch.cat([x_t, earlier], dim=-1)) + time[:, None]  # B, L, H
        inputs = self.dropout(self.LayerNorm(inputs))
        # an explicit mask of zeros: with none, the library's sdpa would make decoder layers causal
        seen = torch.ones_like(x_t[..., 0]) if decoder_attention_mask is None else decoder_attention_mask
        masks = additive_mask(seen, inputs), context, additive_mask(attention_mask, inputs)
        return self.output_down_proj(self.input_transformers.decoder(inputs, *masks))


def loss(
    model: Model,
    process: Process,
    batch: Mapping[str, Tensor],
    t: Tensor,
    *,
    noise_start: Tensor,
    noise_q: Tensor,
    self_conditioned: bool | Tensor = False,
) -> LossTerms:
    """Per-record loss of batch {input_ids, attention_mask, decoder_input_ids} at t (B,); noises (B, L, D).

    self_conditioned: first predict x_0 without gradient and condition on it; published training draws this
    with probability one half, once a batch. A tensor (B,) of booleans says it for each record.
    """
    ids, config = batch["decoder_input_ids"], model.config
    tokens = ids != config.pad_token_id
    x_0_mean = model.embed(ids)
    x_start = denoising.start_from_mean(process, x_0_mean, noise_start)
    x_t = denoising.q_sample(process, x_start, t, noise_q)
    tau = denoising.network_time(process, t)
    source = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    seen = {**source, "decoder_attention_mask": None if config.pads_attended else tokens}
    earlier, chosen = None, torch.as_tensor(self_conditioned, device=x_t.device)
    if chosen.any():
        with torch.no_grad():
            earlier = model(x_t, tau, **seen) * chosen.reshape(-1, 1, 1)
    x_0 = model(x_t, tau, **seen, self_conditioning=earlier)
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
    method: Literal["ancestral", "by_q", "mix"] = "ancestral",
    clip: bool = False,
    top_p: float = 0.0,
    mix_prob: float = 0.5,
    mix_part: float = 1.0,
) -> Iterator[Tensor]:
    """p's draw (B, L, D) after each step; the last one's argmax logits are the text.

    conditioning {input_ids, attention_mask}; the encoder runs once; each step conditions on the one before.
    by_q carries a draw of q(x_{t-1} | x_0) on instead of p's; mix does so with probability mix_prob while
    t > (1 - mix_part) T. `steps` as in GENIE: None the whole chain, a number or the descending timesteps.
    """
    config, source_mask = model.config, conditioning["attention_mask"]
    kept = denoising.descending(process.num_timesteps, steps)
    rounding = config.round_every_step if rounding is None else rounding
    context = model.encode(conditioning["input_ids"], source_mask)  # B, S, H
    draws = denoising.Draws(noise, context)
    x = draws.normal((len(context), config.length, config.embedding_size))
    taus = denoising.network_time(process, torch.tensor(kept, device=x.device))
    times = model.time_hidden(taus)  # steps, H: one pass for the chain
    seen = {"attention_mask": source_mask, "context": context}
    if not config.pads_attended:
        seen["decoder_attention_mask"] = conditioning.get("decoder_attention_mask")
    earlier = torch.zeros_like(x)
    for step, index in enumerate(kept):
        t = torch.full((len(x),), index, device=x.device)
        time = times[step].expand(len(x), -1)
        earlier = model(x, taus[step].expand(len(x)), time_hidden=time, self_conditioning=earlier, **seen)
        round_now = denoising.rounds_at(rounding, index)
        x_0 = denoising.denoised(earlier, model.lm_head.weight, rounding=round_now, clip=clip)
        p = denoising.p_mean_variance(process, x_0, x, t, variance or config.variance)
        x = denoising.ancestral_step(p, t, draws.truncated(x.shape, top_p))
        yield x
        if _carries_q(method, draws, index, (1 - mix_part) * process.num_timesteps, mix_prob):
            x = denoising.q_sample(process, x_0, t - 1, draws.normal(x.shape))


def _carries_q(method: str, draws: denoising.Draws, t: int, part: float, prob: float) -> bool:
    """part: timesteps up to which mix never does. Its uniform draw is consumed at every step."""
    if method == "mix":
        return draws.uniform() > 1 - prob and t > part
    return method == "by_q" and t > 0


def encode(tokenizer: PreTrainedTokenizerBase, records: layout.Records, config: Config) -> dict[str, Tensor]:
    """(source, target) texts -> ids and masks, (B, S) and (B, L); the target mask is all ones."""
    source = layout.padded(tokenizer, [source for source, _ in records], config.source_length)
    target = layout.padded(tokenizer, [target for _, target in records], config.length)
    batch = {"input_ids": source, "attention_mask": (source != config.pad_token_id).long()}
    return {**batch, "decoder_input_ids": target, "decoder_attention_mask": torch.ones_like(target)}


def decode(tokenizer: PreTrainedTokenizerBase, ids: Tensor, conditioning: dict[str, Tensor]) -> list[str]:
    """Sampled ids (B, L) -> texts: ids up to 2 dropped, special tokens skipped."""
    kept = [[token for token in row if token > 2] for row in ids.tolist()]
    return tokenizer.batch_decode(kept, skip_special_tokens=True)
