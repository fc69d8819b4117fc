"""What a training run writes down about itself, so that an auditor can price it. It holds no text.

The format is audit/schemas/ledger.schema.json. Entries are numbered and chained by digests and the totals repeat what
they add up to: that shows slips and lost lines, not lies. A ledger is its authors' statement. It has exact counts of
private records, so it goes to the auditor and is not published with the model.

Around an Opacus loop:

    with recorded("ledger.json", declaration(..., optimizer=optimizer), optimizer) as run:
        ...                                              # the loop as it was: steps and batch sizes are counted
        run.access("validation loss after each epoch", covered=False)

With a `transformers` Trainer: `Trainer(..., callbacks=[LedgerCallback("ledger.json", declaration(...))])`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import resource
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

PACKAGES = ("dp-claim-audit", "dp-accounting", "opacus", "torch", "transformers")
FLUSH_EVERY = 100  # logical steps between two writes around a loop that is not ours
Json = dict[str, Any]


def digest(content: Any) -> str:
    """SHA-256 of the JSON of content: keys sorted, no spaces, non-ASCII escaped."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(records: Iterable[Sequence[Any]], key: bytes) -> str:
    """A keyed digest of the records in any order. Without the key it confirms no guess about a record."""
    digests = sorted(hmac.digest(key, json.dumps(list(record)).encode(), "sha256") for record in records)
    return hmac.new(key, b"".join(digests), "sha256").hexdigest()


def installed_versions() -> dict[str, str]:
    """Versions of what the guarantee rests on, as far as it is installed."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@dataclass
class Batches:
    """Sizes of logical batches, summed up as they come."""

    batches: int = 0
    records: int = 0
    smallest: int = 0
    largest: int = 0
    empty: int = 0

    def add(self, size: int) -> None:
        self.merge(Batches(1, size, size, size, int(size == 0)))

    def merge(self, other: Batches) -> None:
        if other.batches:
            self.smallest = min(self.smallest, other.smallest) if self.batches else other.smallest
            self.largest = max(self.largest, other.largest)
        self.batches += other.batches
        self.records += other.records
        self.empty += other.empty


class Recorder:
    """An open ledger. Steps are pending until `commit` makes an entry of them."""

    def __init__(self, declared: Mapping[str, Any], entries: Iterable[Mapping[str, Any]] = (), seconds: float = 0.0):
        self.declared: Json = json.loads(json.dumps(declared))  # what will be read back, so that digests agree
        self.entries: list[Json] = [dict(entry) for entry in entries]
        self.pending, self.pending_steps = Batches(), 0
        self.seconds_before, self.started = seconds, time.monotonic()

    def step(self, batch_size: int, *, noisy: bool = True) -> None:
        """One logical batch of that size; not noisy where it was skipped without an update."""
        self.pending.add(batch_size)
        self.pending_steps += int(noisy)

    def access(self, what: str, *, covered: bool, why: str | None = None) -> None:
        """Another access to private data. covered: priced, or kept from what is released and from every decision."""
        self.commit()
        self._append({"kind": "access", "access": {"what": what, "covered": covered, "why": why}})

    def resumed(self, discarded_steps: int) -> None:
        """The run goes on from its last checkpoint; steps begun after it were lost, and released nothing."""
        self._append({"kind": "resume", "discarded_steps": discarded_steps})

    def commit(self) -> None:
        """Make one entry of the steps since the last one."""
        if self.pending.batches:
            self._append({"kind": "steps", "steps": self.pending_steps, "batches": asdict(self.pending)})
            self.pending, self.pending_steps = Batches(), 0

    def _append(self, content: Json) -> None:
        blank = {"steps": 0, "batches": None, "access": None, "discarded_steps": None}
        self.entries.append({"number": len(self.entries), "previous": self.head, **blank, **content})

    @property
    def head(self) -> str:
        return digest(self.entries[-1] if self.entries else self.declared)

    @property
    def steps_run(self) -> int:
        return sum(entry["steps"] for entry in self.entries) + self.pending_steps

    @property
    def seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.started

    def totals(self) -> Json:
        accesses = [entry["access"] for entry in self.entries if entry["kind"] == "access"]
        resumes = [entry["discarded_steps"] for entry in self.entries if entry["kind"] == "resume"]
        batches = Batches()
        for entry in self.entries:
            batches.merge(Batches(**(entry["batches"] or {})))
        return {
            "steps_run": self.steps_run,
            "batches": asdict(batches),
            "accesses": len(accesses),
            "accesses_not_covered": sum(not access["covered"] for access in accesses),
            "resumes": len(resumes),
            "discarded_steps": sum(resumes),
            "seconds": round(self.seconds, 3),
            "peak_memory_bytes": peak_memory(),
        }

    def as_json(self) -> Json:
        """The ledger as of now."""
        self.commit()
        return {"version": 1, "declared": self.declared, "entries": self.entries, "totals": self.totals(),
                "head": self.head}  # fmt: skip

    def write(self, path: Path) -> None:
        """Write the ledger as of now, whole or not at all, and have it on the disk before returning."""
        write_durably(path, json.dumps(self.as_json(), indent=1, sort_keys=True) + "\n")


def write_durably(path: Path, text: str) -> None:
    """Replace a file by text; after a crash it holds the old text or the new one."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def peak_memory() -> int:
    """Bytes: the most this process held, or the most it held on the GPU where that is more."""
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return max(resident, torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0)


def declaration(
    *,
    recipe: str,
    records: int,
    fingerprint: str,
    privacy_unit: str,
    expected_batch_size: float,
    noise_multiplier: float,
    clip_norm: float | None,
    steps_accounted: int,
    randomness: str,
    variant: str = "as run",
    group_size: int = 1,
    neighboring_relation: str = "add-or-remove-one",
    sampler: str = "poisson",
    **further: Any,
) -> Json:
    """What is fixed before the first step. further: other fields of the schema's LedgerDeclaration."""
    q = expected_batch_size / records
    return {
        "recipe": recipe,
        "variant": variant,
        "records": records,
        "fingerprint": fingerprint,
        "privacy_unit": privacy_unit,
        "group_size": group_size,
        "neighboring_relation": neighboring_relation,
        "sampler": sampler,
        "sampling_probability": q if sampler == "poisson" else None,
        "expected_batch_size": expected_batch_size,
        "clip_norm": clip_norm,
        "noise_multiplier": noise_multiplier,
        "steps_accounted": steps_accounted,
        "randomness": randomness,
        "versions": installed_versions(),
        **further,
    }


@contextmanager
def recorded(path: str | Path, declared: Mapping[str, Any], optimizer: Any) -> Iterator[Recorder]:
    """A ledger around a loop with an Opacus DPOptimizer: its noisy steps and batch sizes are counted as they happen.

    The ledger is written every FLUSH_EVERY steps and at the end, also when the loop ends with an error.
    """
    recorder = Recorder(declared)
    stop = watch(optimizer, recorder, Path(path))
    try:
        yield recorder
    finally:
        stop()
        recorder.write(Path(path))


def watch(optimizer: Any, recorder: Recorder, path: Path) -> Any:
    """Count the steps of a DPOptimizer into recorder; returns a function that stops it."""
    accumulate, hook, sizes = optimizer.clip_and_accumulate, optimizer.step_hook, []

    def counted() -> None:
        sizes.append(min(len(gradient) for gradient in optimizer.grad_samples))
        accumulate()

    def stepped(stepping: Any) -> None:
        recorder.step(sum(sizes))
        sizes.clear()
        if recorder.steps_run % FLUSH_EVERY == 0:
            recorder.write(path)
        if hook is not None:
            hook(stepping)

    def stop() -> None:
        optimizer.clip_and_accumulate, optimizer.step_hook = accumulate, hook

    optimizer.clip_and_accumulate, optimizer.step_hook = counted, stepped
    return stop


class LedgerCallback(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """A ledger of a `transformers` Trainer: its steps, and the evaluations and logs that read private data.

    With an Opacus DPOptimizer the batch sizes are those seen by it, else the configured one. Evaluation on public
    data is declared with evaluation_is_public.
    """

    def __init__(self, path: str | Path, declared: Mapping[str, Any], *, evaluation_is_public: bool = False) -> None:
        self.path, self.recorder = Path(path), Recorder(declared)
        self.evaluation_is_public = evaluation_is_public
        self.stop: Any = None
        self.noted: set[str] = set()

    def on_train_begin(self, args: Any, state: Any, control: Any, optimizer: Any = None, **_: Any) -> None:
        inner = getattr(optimizer, "optimizer", optimizer)  # Accelerate wraps it
        if hasattr(inner, "clip_and_accumulate"):
            self.stop = watch(inner, self.recorder, self.path)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.stop is None:
            self.recorder.step(args.train_batch_size * args.gradient_accumulation_steps)
            if state.global_step % FLUSH_EVERY == 0:
                self.recorder.write(self.path)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if not self.evaluation_is_public:
            self.once("evaluation on data not declared public", "metrics decide nothing only if nobody acts on them")
        if getattr(args, "load_best_model_at_end", False):
            self.once("the best checkpoint is chosen by evaluation", "a choice among checkpoints is not priced")

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        if "loss" in (logs or {}):
            self.once("training losses are logged without noise", "turn logging of losses off, or keep the log private")

    def once(self, what: str, why: str) -> None:
        if what not in self.noted:
            self.noted.add(what)
            self.recorder.access(what, covered=False, why=why)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.stop is not None:
            self.stop()
        self.recorder.write(self.path)
