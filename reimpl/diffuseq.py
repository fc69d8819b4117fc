"""DiffuSeq (arXiv 2210.08933): a BERT encoder denoises the target half of a joint source-target sequence.

symbol    shape        here              meaning
B, L                                     batch, joint length
D                      embedding_size    word-embedding size
H                      hidden_size       width of the encoder
V                      vocab_size        vocabulary
ids       B, L         input_ids         [CLS] s [SEP] [SEP] [CLS] t [SEP] [PAD]...
mask      B, L         input_mask        0 on the source and the extra [SEP], 1 elsewhere, pads included
E         V, D         word_embedding    tied to lm_head
tau       B            timesteps         t * 1000 / T
x_t, x_0  B, L, D                        noised and clean embeddings

network:  h = LayerNorm(P + up(x_t) + time(phi(tau)));  x_0 = down(BertEncoder(h));  no attention mask
noising:  x_t = x_start where mask = 0 (partial noising)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import BertConfig, PreTrainedTokenizerBase
from transformers.models.bert.modeling_bert import BertEncoder

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


@dataclass(frozen=True)
class Config:
    """Sizes and behaviour; the defaults are the published run (QQP checkpoint and DP fork).

    Quirks, published value first, and what the clean choice (`Config.clean()`) does instead:

    pads_attended        pads take part in attention. Clean: `attention_mask` hides them where it is given.
    pads_in_loss         pads count in every mean of the loss. Clean: means run over tokens only.
    round_every_step     x_0 is rounded to embeddings at each sampling step. Clean: never.
    ddim_unskipped       DDIM over skipped timesteps still steps to abar_{t-1}. Clean: to the next one.
    position_ids_shared  one row of position ids serves the batch, so hooks see a batch of one and per-record
                         gradients of P are wrong. Clean: expanded to the batch. The output is the same.
    """

    vocab_size: int = field(default=30522, metadata={"source": BERT})
    hidden_size: int = field(default=768, metadata={"source": BERT})
    num_layers: int = field(default=12, metadata={"source": BERT})
    num_heads: int = field(default=12, metadata={"source": BERT})
    intermediate_size: int = field(default=3072, metadata={"source": BERT})
    max_positions: int = field(default=512, metadata={"source": BERT})
    layer_norm_eps: float = field(default=1e-12, metadata={"source": BERT})
    attention_dropout: float = field(default=0.1, metadata={"source": BERT})
    embedding_size: int = field(default=128, metadata={"source": RUN})
    time_size: int = field(default=128, metadata={"source": RUN})
    dropout: float = field(default=0.1, metadata={"source": RUN})
    length: int = field(default=128, metadata={"source": RUN})
    num_timesteps: int = field(default=2000, metadata={"source": RUN})
    noise_schedule: str = field(default="sqrt", metadata={"source": RUN})
    variance: denoising.Variance = field(default="fixed_large", metadata={"source": RUN})
    logits_mode: Literal[1, 2] = field(default=1, metadata={"source": RUN})
    pad_token_id: int = field(default=0, metadata={"source": BERT})
    pads_attended: bool = field(default=True, metadata={"source": CODE})
    pads_in_loss: bool = field(default=True, metadata={"source": CODE})
    round_every_step: bool = field(default=True, metadata={"source": RUN})
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
        return replace(cls(), **dict.fromkeys(QUIRKS, False))

    @classmethod
    def from_published(cls, json_dict: Mapping[str, Any]) -> Config:
        """From the authors' {bert_config, model, seq_len, diffusion}. CheckpointError names a missing key."""
        names = {
            "vocab_size": "model.vocab_size",
            "hidden_size": "bert_config.hidden_size",
            "num_layers": "bert_config.num_hidden_layers",
            "num_heads": "bert_config.num_attention_heads",
            "intermediate_size": "bert_config.intermediate_size",
            "max_positions": "bert_config.max_position_embeddings",
            "layer_norm_eps": "bert_config.layer_norm_eps",
            "attention_dropout": "bert_config.attention_probs_dropout_prob",
            "embedding_size": "model.input_dims",
            "time_size": "model.hidden_t_dim",
            "dropout": "model.dropout",
            "logits_mode": "model.logits_mode",
            "length": "seq_len",
            "noise_schedule": "diffusion.noise_schedule",
        }
        return cls(**published_fields(json_dict, names), variance=published_variance(json_dict))

    def process(self) -> Process:
        """The forward process of the run (an identity respacing, as published)."""
        return Process.named(self.noise_schedule, self.num_timesteps).respaced(self.num_timesteps)

    def bert(self) -> BertConfig:
        return BertConfig(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            num_hidden_layers=self.num_layers,
            num_attention_heads=self.num_heads,
            intermediate_size=self.intermediate_size,
            layer_norm_eps=self.layer_norm_eps,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.attention_dropout,
            attn_implementation=self.attention,
        )


class Model(nn.Module):
    """The denoiser. Parameter names are the authors' state_dict keys."""

    TIES = (("word_embedding.weight", "lm_head.weight"),)

    def __init__(self, config: Config) -> None:
        super().__init__()
        c, D, H = config, config.embedding_size, config.hidden_size
        self.config = config
        self.word_embedding = nn.Embedding(c.vocab_size, D)  # E: V, D
        self.lm_head = nn.Linear(D, c.vocab_size)
        self.lm_head.weight = self.word_embedding.weight
        self.time_embed = mlp(c.time_size, 4 * c.time_size, H, nn.SiLU())
        self.input_up_proj = mlp(D, H, H, nn.Tanh())
        self.input_transformers = BertEncoder(c.bert())
        self.register_buffer("position_ids", torch.arange(c.max_positions)[None])  # 1, max_positions
        self.position_embeddings = nn.Embedding(c.max_positions, H)  # P
        self.LayerNorm = nn.LayerNorm(H, eps=c.layer_norm_eps)
        self.dropout = nn.Dropout(c.dropout)
        self.output_down_proj = mlp(H, H, D, nn.Tanh())

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

    def forward(
        self,
        x_t: Tensor,
        timesteps: Tensor,
        *,
        attention_mask: Tensor | None = None,
        time_hidden: Tensor | None = None,
        input_ids: Tensor | None = None,
        input_mask: Tensor | None = None,
    ) -> Tensor:
        """x_t (B, L, D), timesteps tau (B,) -> x_0 (B, L, D).

        attention_mask (B, L) is read unless pads_attended; time_hidden replaces the time MLP. input_ids and
        input_mask are accepted so one conditioning serves network and sampler; the network sees x_t only.
        """
        time = self.time_hidden(timesteps) if time_hidden is None else time_hidden  # B, H
        position_ids = self.position_ids[:, : x_t.shape[1]]  # 1, L
        if not self.config.position_ids_shared:
            position_ids = position_ids.expand(len(x_t), -1)
        hidden = self.position_embeddings(position_ids) + self.input_up_proj(x_t) + time[:, None]  # B, L, H
        hidden = self.dropout(self.LayerNorm(hidden))
        mask = None if self.config.pads_attended else additive_mask(attention_mask, hidden)
        return self.output_down_proj(self.input_transformers(hidden, attention_mask=mask).last_hidden_state)


def loss(
    model: Model,
    process: Process,
    batch: Mapping[str, Tensor],
    t: Tensor,
    *,
    noise_start: Tensor,
    noise_q: Tensor,
) -> LossTerms:
    """Per-record loss of batch {input_ids, input_mask} (B, L) at timesteps t (B,); noises (B, L, D)."""
    ids, config = batch["input_ids"], model.config
    tokens = ids != config.pad_token_id
    x_0_mean = model.embed(ids)
    x_start = denoising.start_from_mean(process, x_0_mean, noise_start)
    x_t = denoising.q_sample(process, x_start, t, noise_q, batch["input_mask"])
    x_0 = model(x_t, denoising.network_time(process, t), attention_mask=tokens)
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

    conditioning {input_ids, input_mask}: the source positions are held at E[ids] throughout. `steps` None is
    the whole chain; a number n < T means DDIM over T-1, T-1-gap, ... with gap T // n (published); a sequence
    names the timesteps themselves, descending. rounding and variance default to the config's.
    """
    config, ids, mask = model.config, conditioning["input_ids"], conditioning["input_mask"]
    if isinstance(steps, int) and steps < process.num_timesteps:
        method = "ddim"
    kept = denoising.descending(process.num_timesteps, steps, from_last=True)
    rounding = config.round_every_step if rounding is None else rounding
    anchor = model.embed(ids)  # B, L, D
    draws = denoising.Draws(noise, anchor)
    x = denoising.anchored(draws.normal(anchor.shape), anchor, mask)
    taus = denoising.network_time(process, torch.tensor(kept, device=x.device))
    times = model.time_hidden(taus)  # steps, H: one pass for the chain
    seen = {} if config.pads_attended else {"attention_mask": conditioning.get("attention_mask")}
    for step, index in enumerate(kept):
        t = torch.full((len(x),), index, device=x.device)
        x_0 = model(x, taus[step].expand(len(x)), time_hidden=times[step].expand(len(x), -1), **seen)
        round_now = denoising.rounds_at(rounding, index)
        x_0 = denoising.denoised(x_0, model.word_embedding.weight, rounding=round_now, clip=clip)
        z = draws.truncated(x.shape, top_p)
        previous = None if config.ddim_unskipped else denoising.following(kept, step, t)
        how = {"variance": variance or config.variance, "ddim": method == "ddim", "eta": eta}
        x = denoising.reverse_step(process, x_0, x, t, z, previous=previous, **how)
        x = denoising.anchored(x, anchor, mask)
        yield x


def encode(tokenizer: PreTrainedTokenizerBase, records: layout.Records, config: Config) -> dict[str, Tensor]:
    """(source, target) texts -> {input_ids, input_mask} (B, L)."""
    return layout.joint(tokenizer, records, config.length)


def decode(tokenizer: PreTrainedTokenizerBase, ids: Tensor, conditioning: dict[str, Tensor]) -> list[str]:
    """Sampled ids (B, L) -> texts, the prompt removed."""
    return layout.without_prompt(tokenizer, ids, conditioning)


def mlp(size: int, hidden: int, out: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, hidden), activation, nn.Linear(hidden, out))
