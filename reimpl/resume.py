"""A run on disk while it trains: checkpoints that are whole or absent, each with a journal of the steps begun since.

    OUT/checkpoint/<number>/state.safetensors   weights, optimiser moments, their average: all after noise
    OUT/checkpoint/<number>/state.json          the step, what was planned, and the ledger so far
    OUT/checkpoint/<number>/journal             one line a begun step, on the disk before its gradient is computed

Weights and ledger are one checkpoint, so a crash loses a step from both or from neither. No random state is stored:
every generator is new. The checkpoint of an as-published run leaves out the losses its samplers have seen.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from reimpl.ledger import write_durably

STATE, TENSORS, JOURNAL = "state.json", "state.safetensors", "journal"


class ResumeError(ValueError):
    """A folder that cannot be started in or gone on with: one line that says why and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """A run as it was. tensors: model/..., optimizer/..., ema/...; begun: steps started since, and lost."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    begun: int


class Checkpoints:
    """The checkpoint folder of a run."""

    def __init__(self, out: Path) -> None:
        self.folder = out / "checkpoint"

    def begin(self, step: int) -> None:
        """Note that a step begins: flushed to the disk before it touches a record."""
        with (self.folder / str(self.numbers()[-1]) / JOURNAL).open("a") as journal:
            journal.write(f"{step}\n")
            journal.flush()
            os.fsync(journal.fileno())

    def write(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Write a checkpoint beside the others, move it into place, then drop the older ones."""
        before = self.numbers()
        number = before[-1] + 1 if before else 0
        part = self.folder / f"{number}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        kept = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
        save_file(kept, part / TENSORS)
        with (part / TENSORS).open("rb") as file:
            os.fsync(file.fileno())
        write_durably(part / STATE, json.dumps(state))
        os.replace(part, self.folder / str(number))
        for older in before:
            shutil.rmtree(self.folder / str(older))

    def numbers(self) -> list[int]:
        """Numbers of the whole checkpoints, ascending."""
        if not self.folder.is_dir():
            return []
        return sorted(int(entry.name) for entry in self.folder.iterdir() if entry.name.isdigit())

    def latest(self) -> Checkpoint:
        """ResumeError where it is broken."""
        place = self.folder / str(self.numbers()[-1])
        try:
            state = json.loads((place / STATE).read_text(encoding="utf-8"))
            tensors = load_file(place / TENSORS)
            begun = (place / JOURNAL).read_text().count("\n") if (place / JOURNAL).is_file() else 0
        except Exception as error:  # safetensors has its own error class
            raise ResumeError(f"{place}: not a readable checkpoint ({type(error).__name__})") from None
        return Checkpoint(tensors, state, begun)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: Mapping[str, Any]) -> dict[str, Tensor]:
    """The optimiser's state as {parameter name:key -> tensor}."""
    by_parameter = {parameter: name for name, parameter in names.items()}
    return {
        f"{by_parameter[parameter]}:{key}": torch.as_tensor(value)
        for parameter, state in optimizer.state.items()
        for key, value in state.items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Put `optimizer_tensors` back."""
    for place, value in tensors.items():
        name, key = place.rsplit(":", 1)
        parameter = names[name]
        optimizer.state[parameter][key] = value if key == "step" else value.to(parameter.device)
