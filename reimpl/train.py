"""Training under DP (or not): records and a recipe in, a folder out.

A run is `train(recipe, examples, out)`. What meets here:

    reimpl.recipe      Recipe, `load(id_or_file, variant=, scale=, dataset=, epsilon=)`. The schema is in its docstring
    reimpl.data        load(recipe.data.source, split, recipe.data.labels) -> records; "generated" at smoke scale
    reimpl.trainable   Example (source, target, label, unit): a record after the prompt of its label; the protocol
                       Trainable (module, collate, draw, per_record_loss, save, generate); an adapter module has
                       build(recipe, tokenizer) and load(folder)
    reimpl.vocabulary  tokenizer(recipe.data.vocabulary) -> PreTrainedTokenizerBase: "generated", a folder, a hub name
    reimpl.plan        steps, sampling, noise (reimpl.calibration), learning rates
    reimpl.dpsgd       the private step; reimpl.ledger what a run writes down
    reimpl.resume      checkpoints

The folder of a run:

    OUT/recipe.json          the resolved recipe (`Recipe.from_json`)
    OUT/model.safetensors    with config.json and the tokenizer's files: what `adapter_module(...).load(OUT)` reads
    OUT/ledger.json          the ledger (audit/schemas/ledger.schema.json); its sha256 identifies the run. Written last
    OUT/checkpoint/          while running; gone when done
    OUT/private/             not for release: the key of the ledger's fingerprint

No loss of a private record is written anywhere.
"""

from __future__ import annotations

import fnmatch
import hmac
import random
import secrets
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reimpl import data, dpsgd, vocabulary
from reimpl.ledger import Recorder, fingerprint, write_durably
from reimpl.plan import Plan, accesses, declared, learning_rate_factor, plan
from reimpl.recipe import Recipe
from reimpl.resume import Checkpoint, Checkpoints, ResumeError, optimizer_tensors, restore_optimizer
from reimpl.trainable import Example, Trainable, adapter_module

PUBLIC_SEED = 0  # of random initial weights: no secret depends on it
RECIPE, LEDGER, KEY = "recipe.json", "ledger.json", "fingerprint.key"


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a logical step. loss is private: for a screen, not for a file."""

    step: int
    steps: int
    seconds_left: float
    loss: float


def examples(recipe: Recipe, split: str = "train") -> list[Example]:
    """The records of a split, each after the prompt of its label; a person's first group_size where a unit is one."""
    chosen = recipe.data
    records = data.load(chosen.source, split, chosen.labels)
    made = [
        Example(chosen.prompts[r.label], r.text, r.label, r.person if chosen.unit_is_person else None) for r in records
    ]
    return bounded(made, chosen.group_size)


def bounded(found: Sequence[Example], group_size: int) -> list[Example]:
    """The first group_size examples of each unit, in order. What is kept of a unit depends on that unit alone."""
    kept, counts = [], Counter[str]()
    for example in found:
        if example.unit is not None:
            counts[example.unit] += 1
        if example.unit is None or counts[example.unit] <= group_size:
            kept.append(example)
    return kept


def balanced(found: Sequence[Example], recipe: Recipe, key: bytes) -> list[Example]:
    """As the switch class_balance says: all; the same number of each class, that of the smallest or class_size."""
    how = recipe.switches["class_balance"]
    if how == "none":
        return list(found)
    classes: dict[int, list[Example]] = defaultdict(list)
    for example in found:
        classes[example.label].append(example)
    size = min(map(len, classes.values())) if how == "minimum" else recipe.data.class_size
    rng = random.Random(hmac.digest(key, b"class balance", "sha256"))  # noqa: S311  the key is secret
    return [e for label in sorted(classes) for e in rng.sample(classes[label], min(size or 0, len(classes[label])))]


class Run:
    """A run in a folder: state, and one logical step at a time."""

    def __init__(
        self,
        recipe: Recipe,
        trainable: Trainable,
        found: Sequence[Example],
        plan: Plan,
        entropy: dpsgd.Entropy,
        recorder: Recorder,
    ) -> None:
        self.recipe, self.trainable, self.examples, self.plan = recipe, trainable, found, plan
        self.entropy, self.recorder = entropy, recorder
        module = trainable.module.train()
        freeze(module, recipe.training.frozen)
        trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            trained.values(), lr=recipe.training.learning_rate, weight_decay=recipe.training.weight_decay
        )
        clip_norm = recipe.training.clip_norm if recipe.private else None
        self.private_step = dpsgd.PrivateStep(
            trainable,
            dpsgd.Mechanism(clip_norm, plan.noise_multiplier, plan.expected_batch_size),
            self.optimizer,
            max_physical_batch_size=recipe.training.max_physical_batch_size,
            batch_shared_positions=recipe.switches["position_gradient"] == "batch-shared",
            stock_hooks=recipe.switches["embedding_gradient"] == "as-hooked",
        )
        self.ema = {name: p.detach().clone() for name, p in trained.items()} if recipe.training.ema_decay else {}
        self.step = 0
        self._pass: Iterator[list[int]] = iter(())

    def batch(self) -> list[int]:
        """Indices of the next logical batch."""
        generator = self.entropy.generator("sampling", self.step)
        if self.recipe.private and self.recipe.switches["sampler"] == "poisson":
            return dpsgd.poisson_batch(len(self.examples), self.plan.sampling_probability, generator)
        following = next(self._pass, None)
        if following is None:
            size = self.recipe.training.batch_size
            self._pass = iter(dpsgd.shuffled_batches(len(self.examples), size, generator))
            following = next(self._pass)
        return following

    def advance(self) -> None:
        """One logical step: draw, clip, sum, noise, update, count."""
        chosen, step = self.batch(), self.private_step
        if not chosen and self.recipe.switches["empty_batch"] == "skip":
            self.recorder.step(0, noisy=False)
            self.step += 1
            return
        before = step.physical_batches
        total = step.clipped_sum([self.examples[i] for i in chosen], self.entropy.generator("draws", self.step))
        noisy = step.add_noise(total, self.entropy.generator("noise", self.step, step.device))
        schedule = self.recipe.switches["learning_rate_schedule"]
        factor = learning_rate_factor(schedule, self.step, self.recipe, self.plan.steps, before)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.training.learning_rate * factor
        step.update(noisy)
        self._average()
        self.recorder.step(len(chosen))
        self.step += 1

    def _average(self) -> None:
        for name, shadow in self.ema.items():
            shadow.lerp_(self.private_step.parameters[name].detach(), 1 - self.recipe.training.ema_decay)

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint needs, each a function of noisy sums."""
        module, names = self.trainable.module, self.private_step.parameters
        found = {f"model/{name}": p for name, p in (*module.named_parameters(), *module.named_buffers())}
        found |= {f"ema/{name}": shadow for name, shadow in self.ema.items()}
        return found | {f"optimizer/{k}": v for k, v in optimizer_tensors(self.optimizer, names).items()}

    def state(self) -> dict[str, Any]:
        recorder = self.recorder
        recorder.commit()
        ledger = {"declared": recorder.declared, "entries": recorder.entries, "seconds": recorder.seconds}
        where = {"step": self.step, "physical_batches": self.private_step.physical_batches}
        return {**where, "plan": asdict(self.plan), "ledger": ledger}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Stand where the checkpoint was written."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "ema": {}}
        for place, tensor in checkpoint.tensors.items():
            part, name = place.split("/", 1)
            parts[part][name] = tensor
        module = self.trainable.module
        with torch.no_grad():
            for name, tensor in (*module.named_parameters(), *module.named_buffers()):
                tensor.copy_(parts["model"][name])
        for name, shadow in self.ema.items():
            shadow.copy_(parts["ema"][name])
        restore_optimizer(self.optimizer, self.private_step.parameters, parts["optimizer"])
        self.step = checkpoint.state["step"]
        self.private_step.physical_batches = checkpoint.state["physical_batches"]

    def released(self) -> dict[str, Tensor]:
        """The state_dict that is saved: the trained weights, or their average where the recipe keeps one."""
        state = {name: tensor.detach().clone() for name, tensor in self.trainable.module.state_dict().items()}
        by_storage = {p.data_ptr(): name for name, p in self.private_step.parameters.items()}
        for name, tensor in self.trainable.module.state_dict().items():
            if self.ema and tensor.data_ptr() in by_storage:
                state[name] = self.ema[by_storage[tensor.data_ptr()]]
        return state


def train(
    recipe: Recipe,
    found: Sequence[Example],
    out: Path,
    *,
    resume: bool = False,
    insecure_noise_seed: int | None = None,
    device: str = "cpu",
    loss_shown: bool = False,
    on_step: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Train as recipe says and leave the folder `out`; returns it.

    resume goes on from the last checkpoint of the same recipe and records. ResumeError: out holds something else.
    insecure_noise_seed makes noise and sampling repeatable, and the guarantee void; loss_shown: on_step shows losses
    to somebody. The ledger says both.
    """
    checkpoints = Checkpoints(out)
    check_folder(out, checkpoints, recipe, resume)
    if (out / LEDGER).is_file():  # finished, but for what comes after its last file
        checkpoints.remove()
        return out
    key = fingerprint_key(out)
    chosen = balanced(found, recipe, key)
    if not chosen:
        raise ResumeError("no records to train on; expected at least one")
    entropy = dpsgd.Entropy(recipe.noise_seed if insecure_noise_seed is None else insecure_noise_seed)
    digest = fingerprint([(e.source, e.target, e.label, e.unit) for e in chosen], key)
    seed_everything_public(entropy)
    trainable = build(recipe, device)
    run = resumed(recipe, trainable, chosen, entropy, checkpoints, digest) if resume else None
    if run is None:
        run = begun(recipe, trainable, chosen, entropy, digest)
        write_durably(out / RECIPE, recipe.as_json())
    if loss_shown:
        what, why = "the mean loss of each step is shown on a terminal", "stored nowhere; the steps are fixed before"
        run.recorder.access(what, covered=True, why=why)
    checkpoints.write(run.tensors(), run.state())
    loop(run, checkpoints, on_step)
    run.private_step.close()
    trainable.save(out, run.released())
    run.recorder.write(out / LEDGER)
    checkpoints.remove()
    return out


def loop(run: Run, checkpoints: Checkpoints, on_step: Callable[[Progress], None]) -> None:
    """The steps that are left, with a checkpoint every so often and after the last."""
    first, started, every = run.step, time.monotonic(), run.recipe.training.checkpoint_every
    while run.step < run.plan.steps:
        checkpoints.begin(run.step)
        run.advance()
        if run.step % every == 0 or run.step == run.plan.steps:
            checkpoints.write(run.tensors(), run.state())
        pace = (time.monotonic() - started) / (run.step - first)
        left = pace * (run.plan.steps - run.step)
        on_step(Progress(run.step, run.plan.steps, left, run.private_step.last_loss))


def check_folder(out: Path, checkpoints: Checkpoints, recipe: Recipe, resume: bool) -> None:
    """ResumeError where out holds another run, or one that --resume was not asked to go on with."""
    out.mkdir(parents=True, exist_ok=True)
    finished, unfinished = (out / LEDGER).is_file(), bool(checkpoints.numbers())
    if not resume and finished:
        raise ResumeError(f"{out}: holds a finished run; choose another folder")
    if not resume and unfinished:
        raise ResumeError(f"{out}: holds an unfinished run; go on with --resume, or choose another folder")
    if resume and not finished and not unfinished:
        raise ResumeError(f"{out}: no checkpoint to resume from; start without --resume")
    if resume and (out / RECIPE).read_text(encoding="utf-8") != recipe.as_json():
        raise ResumeError(f"{out}: began with another recipe, variant, scale, dataset or epsilon (see {RECIPE})")
    if not resume:
        shutil.rmtree(checkpoints.folder, ignore_errors=True)  # what a start that never got to step 0 has left


def fingerprint_key(out: Path) -> bytes:
    """The secret key of this run's fingerprint, made once."""
    path = out / "private" / KEY
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.is_file():
        write_durably(path, secrets.token_hex(32))
        path.chmod(0o600)
    return bytes.fromhex(path.read_text())


def seed_everything_public(entropy: dpsgd.Entropy) -> None:
    """Dropout draws from torch's own stream; it owes the guarantee nothing, and gets entropy all the same."""
    torch.manual_seed(entropy.generator("dropout", 0).initial_seed())


def build(recipe: Recipe, device: str = "cpu") -> Trainable:
    """The model to train, its random weights from a public seed."""
    tokenizer = vocabulary.tokenizer(recipe.data.vocabulary)
    with torch.random.fork_rng():
        torch.manual_seed(PUBLIC_SEED)
        trainable: Trainable = adapter_module(recipe.adapter).build(recipe, tokenizer)
    trainable.module.to(device)
    return trainable


def freeze(module: torch.nn.Module, patterns: Sequence[str]) -> None:
    """Stop training the parameters whose name matches a pattern. ValueError for a pattern that matches none."""
    names = {name: parameter for name, parameter in module.named_parameters()}
    for pattern in patterns:
        matching = fnmatch.filter(names, pattern)
        if not matching:
            raise ValueError(f"training.frozen: {pattern!r} matches no parameter")
        for name in matching:
            names[name].requires_grad_(False)


def begun(recipe: Recipe, trainable: Trainable, found: Sequence[Example], entropy: dpsgd.Entropy, digest: str) -> Run:
    """A run at step 0, its accesses to private data noted."""
    planned = plan(recipe, len(found))
    recorder = Recorder(declared(recipe, planned, entropy, digest))
    for access in accesses(recipe):
        recorder.access(**access)
    return Run(recipe, trainable, found, planned, entropy, recorder)


def resumed(
    recipe: Recipe,
    trainable: Trainable,
    found: Sequence[Example],
    entropy: dpsgd.Entropy,
    checkpoints: Checkpoints,
    digest: str,
) -> Run:
    """The run of the last checkpoint, with the resume noted. ResumeError: other records, or another randomness."""
    checkpoint = checkpoints.latest()
    ledger = checkpoint.state["ledger"]
    was = ledger["declared"]
    if was["fingerprint"] != digest:
        raise ResumeError("the records are not those the run began with; resume with the same data")
    if was["randomness"] != entropy.kind:
        raise ResumeError(f"the run began with {was['randomness']}; resume it the same way")
    recorder = Recorder(was, ledger["entries"], ledger["seconds"])
    run = Run(recipe, trainable, found, Plan(**checkpoint.state["plan"]), entropy, recorder)
    run.restore(checkpoint)
    recorder.resumed(checkpoint.begun)
    return run
