"""A golden folder: the weights, inputs and outputs of an original implementation, as numpy arrays.

    config.json     the settings the original model was built with
    weights.npz     its state_dict            inputs.npz   what it was given
    *.npz, *.npy    what came out             manifest.json  what each array means (optional)
    rng_order.json  the random draws each call consumed, in order (optional)

Only numbers are read (`allow_pickle=False`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEEDED = ("config.json", "weights.npz", "inputs.npz")


class GoldenError(ValueError):
    """A folder that cannot be used: one line that says which file, and what was expected."""


class MissingArrayError(KeyError):
    """An array that a comparison needs and the folder lacks."""


@dataclass(eq=False)
class Golden:
    """The folder at `path`. GoldenError where it, or a file without which nothing can run, is missing or broken."""

    path: Path
    _loaded: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.path.is_dir():
            raise GoldenError(f"{self.path}: no such folder; expected a golden folder")
        for name in NEEDED:
            if not (self.path / name).is_file():
                raise GoldenError(f"{self.path}: {name} is missing; expected a golden folder")

    @cached_property
    def files(self) -> list[str]:
        """Names of the array files, sorted."""
        return sorted(f.name for f in self.path.iterdir() if f.suffix in (".npz", ".npy"))

    def arrays(self, file: str) -> dict[str, NDArray[Any]]:
        """Every array of a file by name; a .npy file has one, named as the file. {} where there is no such file."""
        if file not in self._loaded:
            self._loaded[file] = self._read(file) if file in self.files else {}
        return self._loaded[file]

    def _read(self, file: str) -> dict[str, NDArray[Any]]:
        try:
            content = np.load(self.path / file, allow_pickle=False)
            return dict(content) if file.endswith(".npz") else {file: content}
        except Exception as error:  # zip, header and dtype errors are many kinds; all mean a broken file
            kind = type(error).__name__
            raise GoldenError(f"{self.path / file}: truncated, or not an array file ({kind})") from None

    def array(self, file: str, name: str) -> NDArray[Any]:
        """One array. MissingArrayError, naming it, where the folder lacks it."""
        found = self.arrays(file)
        if name not in found:
            raise MissingArrayError(f"{file}:{name}")
        return found[name]

    def tensor(self, file: str, name: str, dtype: torch.dtype | None = None) -> Tensor:
        """One array as a tensor, real numbers in the given precision."""
        tensor = torch.from_numpy(np.array(self.array(file, name)))
        return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor

    def tensors(self, file: str, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
        return {name: self.tensor(file, name, dtype) for name in self.arrays(file)}

    @cached_property
    def settings(self) -> dict[str, Any]:
        return self._json("config.json")

    @cached_property
    def draws(self) -> dict[str, list[dict[str, Any]]]:
        """For each call, the draws it consumed; {} without rng_order.json."""
        return self._json("rng_order.json") if (self.path / "rng_order.json").is_file() else {}

    @cached_property
    def meanings(self) -> dict[tuple[str, str], str]:
        """(file, array) -> its documented meaning, from manifest.json where there is one."""
        entries = self._json("manifest.json") if (self.path / "manifest.json").is_file() else []
        return {(e["file"], e["name"]): e.get("meaning", "") for e in entries}

    def setting(self, file: str, name: str, pattern: str) -> str | None:
        """The first group of pattern in an array's documented meaning."""
        found = re.search(pattern, self.meanings.get((file, name), ""))
        return found[1] if found else None

    def _json(self, name: str) -> Any:
        try:
            return json.loads((self.path / name).read_text())
        except ValueError:
            raise GoldenError(f"{self.path / name}: expected a JSON file") from None
