"""The three diffusion models as train.py takes them: records to ids, per-record draws, loss, files, texts.

Switches of the released code that live here: whether position ids are one row for the batch, whether timesteps follow
past losses, whether SeqDiffuSeq's schedule adapts to them, and whether self-conditioning is drawn per record.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from reimpl import checkpoints
from reimpl.layout import load_tokenizer
from reimpl.recipe import Recipe, RecipeError
from reimpl.schedules import AdaptiveSchedule
from reimpl.timesteps import LossAware
from reimpl.trainable import Batch, Example

SCHEDULE = "schedule.safetensors"  # alpha_bar, where it was adapted


class Diffusion:
    """A diffusion model with its tokenizer. `switches` as in a recipe; without any, every choice is clean."""

    def __init__(
        self,
        name: str,
        module: nn.Module,
        tokenizer: PreTrainedTokenizerBase | None,
        switches: Mapping[str, str] | None = None,
    ) -> None:
        switches = switches or {}
        self.name, self.module, self.tokenizer = name, module, tokenizer
        self.code = checkpoints.model_module(name)
        self.config: Any = module.config
        self.process = self.config.process()
        self.once_a_batch = switches.get("self_conditioning") == "per-batch"
        loss_aware = switches.get("timestep_sampler") == "loss-aware"
        self.loss_aware = LossAware(self.config.num_timesteps) if loss_aware else None
        adapts = name == "seqdiffuseq" and switches.get("noise_schedule") == "adaptive-private"
        self.adaptive = AdaptiveSchedule(self.process) if adapts else None
        self.seen_batches = 0

    def collate(self, examples: Sequence[Example]) -> Batch:
        return self.code.encode(self.tokenizer, [(e.source, e.target) for e in examples], self.config)

    def draw(self, count: int, generator: torch.Generator) -> Batch:
        """t (count,), weight (count,), noise_start and noise_q (count, L, D); self_conditioned (count,)."""
        t, weight = self._timesteps(count, generator)
        shape = count, self.config.length, self.config.embedding_size
        noises = {name: torch.randn(shape, generator=generator) for name in ("noise_start", "noise_q")}
        drawn = {"t": t, "weight": weight, **noises}
        if self.name == "seqdiffuseq":
            coins = torch.rand(1 if self.once_a_batch else count, generator=generator) < 0.5
            drawn["self_conditioned"] = coins.expand(count)
        return drawn

    def _timesteps(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Uniform with weight 1, or as published by past losses with weight 1 / (T p_t)."""
        T = self.config.num_timesteps
        if self.loss_aware is None:
            return torch.randint(T, (count,), generator=generator), torch.ones(count)
        p = torch.from_numpy(self.loss_aware.weights / self.loss_aware.weights.sum())
        t = torch.multinomial(p, count, replacement=True, generator=generator)
        return t, (1 / (T * p[t])).float()

    def per_record_loss(self, module: nn.Module, batch: Batch, drawn: Batch) -> Tensor:
        """(B,) weighted losses; means run over a record's own positions."""
        draws = {key: value for key, value in drawn.items() if key not in ("t", "weight")}
        terms = self.code.loss(module, self.process, batch, drawn["t"], **draws)
        self._watch(batch, drawn["t"], terms)
        return terms.total * drawn["weight"]

    def _watch(self, batch: Batch, t: Tensor, terms: Any) -> None:
        """As published: feed raw losses into what later steps draw. Nothing here without those switches."""
        if self.loss_aware is not None:
            self.loss_aware.update(t.tolist(), terms.total.tolist())
        if self.adaptive is not None:
            self.seen_batches += 1
            tokens = (batch["decoder_input_ids"] != self.config.pad_token_id).cpu()
            losses = terms.token_losses(t).detach().cpu() * tokens
            self.adaptive.add(t.cpu().numpy(), losses.numpy(), tokens.numpy())
            if self.adaptive.is_due(self.seen_batches):
                self.process = self.adaptive.update()

    def save(self, folder: Path, state: Mapping[str, Tensor]) -> None:
        from safetensors.torch import save_file

        copies = {other for _, *others in self.code.Model.TIES for other in others}
        kept = {key: value.detach().cpu().contiguous() for key, value in state.items() if key not in copies}
        if self.adaptive is not None:
            save_file({"alpha_bar": torch.from_numpy(self.process.alpha_bar)}, folder / SCHEDULE)
        checkpoints.write_config(self.name, self.config, folder)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)
        save_file(kept, folder / f"{checkpoints.WEIGHTS}.part", metadata={"model": self.name})
        os.replace(folder / f"{checkpoints.WEIGHTS}.part", folder / checkpoints.WEIGHTS)

    def generate(
        self, prompts: Sequence[str], generator: torch.Generator, options: Mapping[str, Any]
    ) -> Iterator[list[str]]:
        """Texts, batch_size (16) at a time; the other options are those of the model's `sample`."""
        options = dict(options)
        size = int(options.pop("batch_size", 16))
        self.module.eval()
        device = next(self.module.parameters()).device
        for start in range(0, len(prompts), size):
            pairs = [(prompt, "") for prompt in prompts[start : start + size]]
            conditioning = {k: v.to(device) for k, v in self.code.encode(self.tokenizer, pairs, self.config).items()}
            *_, x = self.code.sample(self.module, self.process, conditioning, noise=generator, **options)
            ids = self.module.logits(x).argmax(-1)
            yield self.code.decode(self.tokenizer, ids.cpu(), {k: v.cpu() for k, v in conditioning.items()})


def build(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> Diffusion:
    """The model of a recipe: sizes from its [model] table, weights from `start` (a folder) or random.

    RecipeError: an unknown setting, a tokenizer without a pad token, or start weights of another size.
    """
    code = checkpoints.model_module(recipe.adapter)
    config = code.Config.published()
    known = {f.name for f in fields(config)}
    if unknown := sorted(set(recipe.model) - known):
        raise RecipeError(f"{recipe.id}: model.{unknown[0]}: unknown; expected {', '.join(sorted(known))}")
    settings = {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id, **recipe.model}
    if "position_ids_shared" in known:
        settings["position_ids_shared"] = recipe.switches["position_gradient"] == "batch-shared"
    if recipe.private and settings.get("logits_mode") == 2:
        raise RecipeError(
            f"{recipe.id}: model.logits_mode: 2 uses the embedding outside a layer, unseen per record; use 1"
        )
    module = code.Model(replace(config, **settings))
    if recipe.training.start != "random":
        module.load_state_dict(checkpoints.load(Path(recipe.training.start)).state_dict())
    return Diffusion(recipe.adapter, module, tokenizer, recipe.switches)


def load(folder: Path) -> Diffusion:
    """The model that `save` left in folder, in eval mode. CheckpointError: it is not one."""
    from safetensors.torch import load_file

    module = checkpoints.load(folder)
    name = json.loads((folder / checkpoints.CONFIG).read_text())["model"]
    loaded = Diffusion(name, module, load_tokenizer(folder))
    if (folder / SCHEDULE).is_file():
        alpha_bar = load_file(folder / SCHEDULE)["alpha_bar"].numpy()
        loaded.process = loaded.process.with_alpha_bar(alpha_bar)
    return loaded
