"""The language models that the diffusion models are compared with: any causal or seq2seq model of `transformers`.

    causal     [prompt text <eos> <pad>...]   one row of length L; the loss is over prompt and text
    seq2seq    [prompt <pad>...] -> [text <eos> <pad>...]

Settings, the recipe's [model] table (`Settings`); published value first, what the corrected variant takes after it:

    pads_in_loss  true: pads are labels like any token, and no end is added but through them (arXiv 2410.22971).
                  false: the text gets one end token, pads do not count, the mean is over the record's own tokens
    pads_are_ends true: the end token pads, also where the tokenizer has a token for pads. false: its own
    joined        true: prompt and text are tokenised as one string, so the prompt of training ends in another token
                  than the prompt of sampling. false: apart, as in sampling
    mismatch      weight of the prompt-mismatch term of Mattern et al. (arXiv 2210.13918); 0 without

The mismatch term pushes a text under the prompt of another label to be less likely than under its own. Its published
form is not in the sources read; here it is softplus(CE(text | own) - CE(text | other)), the other label drawn for each
record by itself, so no record sees another. All losses are per record with a denominator of its own; only the switch
loss_reduction = "batch-token-mean" divides by the mean over the batch, as released with arXiv 2210.14348, which mixes
records.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedTokenizerBase

from reimpl.recipe import Recipe
from reimpl.trainable import Batch, Example

OURS = ("batch_size", "prompt_length", "padding_side")  # of [generation]; the rest goes to `generate` of transformers


class BaselineError(ValueError):
    """A model that cannot be used: one line that says what, and what was expected."""


@dataclass(frozen=True)
class Settings:
    """How records become ids and a loss. padding_side is that of training."""

    length: int = 256
    padding_side: str = "right"
    pads_in_loss: bool = False
    pads_are_ends: bool = False
    joined: bool = False
    mismatch: float = 0.0
    batch_token_mean: bool = False


@dataclass
class Baseline:
    """A `reimpl.trainable.Trainable` around a model of `transformers`."""

    module: nn.Module
    tokenizer: PreTrainedTokenizerBase
    settings: Settings
    prompts: tuple[str, ...] = ()

    @property
    def seq2seq(self) -> bool:
        return bool(self.module.config.is_encoder_decoder)

    @property
    def pad(self) -> int:
        return end_id(self.tokenizer) if self.settings.pads_are_ends else pad_id(self.tokenizer)

    def collate(self, examples: Sequence[Example]) -> Batch:
        if self.seq2seq:
            return self._pairs(examples)
        batch = self._rows([(example.source, example.target) for example in examples])
        if not self.settings.mismatch:
            return batch
        every = [(prompt, example.target) for example in examples for prompt in self.prompts]
        others = {
            f"other_{name}": rows.unflatten(0, (-1, len(self.prompts))) for name, rows in self._rows(every).items()
        }
        return {**batch, **others, "label": torch.tensor([example.label for example in examples])}

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        if not self.settings.mismatch:
            return {}
        return {"step": torch.randint(1, len(self.prompts), (count,), generator=generator)}

    def per_record_loss(self, module: nn.Module, batch: Batch, drawn: Batch) -> Tensor:
        own = self._cross_entropy(module, batch)
        if not self.settings.mismatch:
            return own
        rows = torch.arange(len(own), device=own.device)
        other = (batch["label"] + drawn["step"]) % len(self.prompts)
        names = [name for name in batch if name.startswith("other_")]
        mismatched = {name.removeprefix("other_"): batch[name][rows, other] for name in names}
        return own + self.settings.mismatch * F.softplus(own - self._cross_entropy(module, mismatched))

    def save(self, folder: Path, state: Mapping[str, Tensor]) -> None:
        self.module.config.reimpl = asdict(self.settings)
        self.module.save_pretrained(folder, state_dict=dict(state), max_shard_size="1TB")
        self.tokenizer.save_pretrained(folder)

    def generate(
        self, prompts: Sequence[str], generator: torch.Generator, options: Mapping[str, Any]
    ) -> Iterator[list[str]]:
        """Texts without their prompts. options: `OURS`, and what `generate` of transformers takes."""
        self.module.eval()
        size = int(options.get("batch_size", 8))
        how = {name: value for name, value in options.items() if name not in OURS}
        for start in range(0, len(prompts), size):
            with torch.random.fork_rng(), torch.inference_mode():
                torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
                yield self._sampled(prompts[start : start + size], options, how)

    def _sampled(self, prompts: Sequence[str], options: Mapping[str, Any], how: Mapping[str, Any]) -> list[str]:
        rows = [self._prompt_ids(prompt) for prompt in prompts]
        width = max(int(options.get("prompt_length", 0)), *map(len, rows))  # a longer prompt is never cut
        ids, mask = padded(rows, width, self.pad, options.get("padding_side", "left"))
        device = next(self.module.parameters()).device
        ids, mask = ids.to(device), mask.to(device)
        out = self.module.generate(input_ids=ids, attention_mask=mask, pad_token_id=self.pad, **how)
        return self.tokenizer.batch_decode(out if self.seq2seq else out[:, width:], skip_special_tokens=True)

    def _prompt_ids(self, prompt: str) -> list[int]:
        ids = self.tokenizer(prompt)["input_ids"]
        return ids if self.seq2seq else without_end(self.tokenizer, ids)

    def _rows(self, texts: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
        """Causal rows: ids, mask, positions, and the weight of each position as a label, (B, L)."""
        settings, rows = self.settings, []
        for prompt, text in texts:
            ids = self._prompt_ids(prompt + text if settings.joined else prompt)
            if not settings.joined:
                ids = ids + self.tokenizer(text, add_special_tokens=False)["input_ids"]
            rows.append([*ids, *([] if settings.pads_in_loss else [end_id(self.tokenizer)])][: settings.length])
        ids, mask = padded(rows, settings.length, self.pad, settings.padding_side)
        weights = torch.ones_like(mask) if settings.pads_in_loss else mask
        return {"input_ids": ids, "attention_mask": mask, "weights": weights}

    def _pairs(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        settings = self.settings
        sides = [self.tokenizer([e[side] for e in examples])["input_ids"] for side in (0, 1)]
        cut = [[row[: settings.length] for row in rows] for rows in sides]
        ids, mask = padded(cut[0], settings.length, self.pad, "right")
        labels, seen = padded(cut[1], settings.length, self.pad, "right")
        weights = torch.ones_like(seen) if settings.pads_in_loss else seen
        shifted = self.module.prepare_decoder_input_ids_from_labels(labels=labels)
        return {"input_ids": ids, "attention_mask": mask, "decoder_input_ids": shifted, "labels": labels,
                "weights": weights}  # fmt: skip

    def _cross_entropy(self, module: nn.Module, batch: Batch) -> Tensor:
        """(B,) mean cross-entropy over the positions of a record that have weight 1."""
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "decoder_input_ids") if name in batch}
        if self.seq2seq:
            logits, labels, weights = module(**inputs).logits, batch["labels"], batch["weights"]
        else:
            if "position_ids" in inspect.signature(self.module.forward).parameters:
                inputs["position_ids"] = self._positions(inputs["attention_mask"])
            logits = module(**inputs).logits[:, :-1]
            labels, weights = batch["input_ids"][:, 1:], batch["weights"][:, 1:]
        losses = F.cross_entropy(logits.float().transpose(1, 2), labels, reduction="none")
        tokens = weights.sum(-1).clamp(min=1)
        if self.settings.batch_token_mean:
            tokens = tokens.float().mean()
        return (losses * weights).sum(-1) / tokens

    def _positions(self, mask: Tensor) -> Tensor:
        """(B, L), one row a record: models that make their own look one row up for the whole batch."""
        if self.settings.padding_side == "left":
            return (mask.cumsum(-1) - 1).clamp(min=0)
        return torch.arange(mask.shape[1], device=mask.device).expand_as(mask)


def build(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> Baseline:
    """The model to train, as the recipe says: random from [model.config], or from a folder or hub name."""
    known = {f.name for f in fields(Settings)} - {"batch_token_mean"}  # that one is a switch
    if unknown := sorted(set(recipe.model) - known - {"config"}):
        raise BaselineError(f"{recipe.id}: model.{unknown[0]}: unknown; expected config, {', '.join(sorted(known))}")
    settings = Settings(**{name: value for name, value in recipe.model.items() if name in known})
    settings = replace(settings, batch_token_mean=recipe.switches.get("loss_reduction") == "batch-token-mean")
    if settings.mismatch and (recipe.adapter != "causal" or len(recipe.data.prompts) < 2):
        raise BaselineError("model.mismatch: expected a causal model and at least two prompts")
    start = recipe.training.start
    module = random(recipe, tokenizer) if start == "random" else pretrained(start, recipe.adapter)
    return checked(Baseline(module, tokenizer, settings, recipe.data.prompts))


def load(folder: Path) -> Baseline:
    """The model that `save` left in folder, in eval mode."""
    from reimpl.layout import load_tokenizer

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    settings = getattr(config, "reimpl", None)
    if settings is None:
        raise BaselineError(f"{folder}: config.json has no settings of ours; expected the folder of a trained baseline")
    module = pretrained(str(folder), "seq2seq" if config.is_encoder_decoder else "causal")
    return Baseline(per_record_positions(module).eval(), load_tokenizer(folder), Settings(**settings))


def pretrained(name: str, adapter: str) -> nn.Module:
    """Weights from safetensors only, in float32. BaselineError where there are none, or no network to get them."""
    kind = AutoModelForSeq2SeqLM if adapter == "seq2seq" else AutoModelForCausalLM
    try:
        return kind.from_pretrained(name, dtype=torch.float32, use_safetensors=True)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BaselineError(f"start {name!r}: expected a {adapter} model with safetensors weights: {reason}") from None


def random(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> nn.Module:
    """A model of [model.config] (`model_type` and sizes) with the tokenizer's vocabulary; a public seed."""
    if not isinstance(recipe.model.get("config"), Mapping) or "model_type" not in recipe.model["config"]:
        raise BaselineError('start "random": expected [model.config] with a model_type and sizes')
    end, pad, first = end_id(tokenizer), pad_id(tokenizer), first_id(tokenizer)
    special = {"eos_token_id": end, "pad_token_id": pad, "bos_token_id": first, "vocab_size": len(tokenizer)}
    if recipe.adapter == "seq2seq":
        special |= {"decoder_start_token_id": end, "forced_eos_token_id": None}
    config = AutoConfig.for_model(**{**recipe.model["config"], **special})
    kind = AutoModelForSeq2SeqLM if recipe.adapter == "seq2seq" else AutoModelForCausalLM
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind.from_config(config)


def checked(baseline: Baseline) -> Baseline:
    """The same, once every trained submodule was seen to keep the records first. BaselineError names one that does not.

    A table that is looked up once for the batch has no gradient per record, and clipping it would clip nothing.
    """
    per_record_positions(baseline.module)
    outside: list[str] = []

    def watch(name: str) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.shape[0] != 3:
                outside.append(name)

        return hook

    named = baseline.module.named_modules()
    own = [(name, module) for name, module in named if next(module.parameters(recurse=False), None) is not None]
    handles = [module.register_forward_hook(watch(name)) for name, module in own]
    examples = [Example("a", "b")] * 3
    was, baseline.settings = baseline.settings, Settings(length=4)
    try:
        with torch.no_grad():
            baseline.per_record_loss(baseline.module, baseline.collate(examples), {})
    finally:
        baseline.settings = was
        for handle in handles:
            handle.remove()
    if outside:
        raise BaselineError(f"{outside[0]}: its output does not have one row a record; per-record gradients need that")
    return baseline


def per_record_positions(module: nn.Module) -> nn.Module:
    """BART's decoder looks one row of positions up for the batch; without `position_ids` it does so per record.

    Opacus' hooks take every positional argument for a tensor, so the number among them goes by its name; and they do
    not fire where the input wants a gradient that never comes, as the encoder's slice of embeddings does.
    """

    def hook(_module: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        named = {name: value for name, value in kwargs.items() if name != "position_ids"}
        return (args[0].detach(),), {**named, **dict(zip(("cache_length",), args[1:2], strict=False))}

    for inner in module.modules():
        if type(inner).__name__ == "BartLearnedPositionalEmbedding":
            inner.register_forward_pre_hook(hook, with_kwargs=True)
    return module


def padded(rows: Sequence[Sequence[int]], width: int, pad: int, side: str) -> tuple[Tensor, Tensor]:
    """Ids (B, width) with pads on that side, and a mask with 1 on tokens."""
    ids, mask = torch.full((len(rows), width), pad), torch.zeros(len(rows), width, dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(width - len(row), width) if side == "left" else slice(0, len(row))
        ids[number, place], mask[number, place] = torch.tensor(row, dtype=torch.long), 1
    return ids, mask


def end_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """The end of a text: <eos>, or [SEP] where there is none."""
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    if end is None:
        raise BaselineError("tokenizer: expected an end-of-text or a separator token")
    return int(end)


def pad_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """<pad>, or the end of a text where there is none, as published."""
    return end_id(tokenizer) if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


def first_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    return tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.cls_token_id


def without_end(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    """Without the end token that some tokenizers add to every text."""
    return ids[:-1] if ids and ids[-1] in (tokenizer.eos_token_id, tokenizer.sep_token_id) else ids
