"""Published checkpoints in, safetensors out; keys, shapes and ties checked on the way.

Tensors only are ever read from a file (`weights_only`): no code in a checkpoint can run.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

MODELS = ("diffuseq", "seqdiffuseq", "genie")
WEIGHTS, CONFIG = "model.safetensors", "config.json"
STALE_KEYS = ("passage_encoder.embeddings.position_ids",)  # a buffer that older transformers saved
M = TypeVar("M", bound=nn.Module)


class CheckpointError(ValueError):
    """A file that is not what it should be: one line that says what, where, and what was expected."""


def model_module(name: str) -> ModuleType:
    """The module of a model by name. CheckpointError on any other name."""
    if name not in MODELS:
        raise CheckpointError(f"model: expected one of {', '.join(MODELS)}; got {name!r}")
    return importlib.import_module(f"reimpl.{name}")


def published_fields(json_dict: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """{our field: value at the dotted path of the authors' settings}. CheckpointError names a missing key."""
    found = {}
    for ours, path in names.items():
        value: Any = json_dict
        for key in path.split("."):
            if not isinstance(value, Mapping) or key not in value:
                raise CheckpointError(f"{CONFIG}: {path} is missing; expected the model's settings")
            value = value[key]
        found[ours] = value
    return found


def published_variance(settings: Mapping[str, Any]) -> str:
    """fixed_small where the authors' sigma_small is true (or a tuple, in GENIE's fork), else fixed_large."""
    small = settings.get("diffusion", {}).get("sigma_small")
    return "fixed_small" if small is True or isinstance(small, list) else "fixed_large"


def load_strict(model: M, state_dict: Mapping[str, Tensor]) -> M:
    """The authors' weights in model, in eval mode. CheckpointError: a key, shape or tie does not fit."""
    check_keys(model, state_dict)
    check_ties(model, state_dict)
    model.load_state_dict({key: state_dict[key] for key in model.state_dict()})
    return model.eval()


def check_keys(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Every key with its shape, none missing, none left over (but buffers that older libraries saved)."""
    expected = model.state_dict()
    missing = [key for key in expected if key not in state_dict]
    surplus = [key for key in state_dict if key not in expected and key not in STALE_KEYS]
    if missing or surplus:
        first = f"first missing {missing[0]!r}" if missing else f"first unexpected {surplus[0]!r}"
        raise CheckpointError(f"state_dict: {len(missing)} keys missing, {len(surplus)} unexpected; {first}")
    for key, tensor in expected.items():
        if state_dict[key].shape != tensor.shape:
            raise CheckpointError(
                f"state_dict: {key}: expected shape {tuple(tensor.shape)}; got {tuple(state_dict[key].shape)}"
            )


def check_ties(model: nn.Module, state_dict: Mapping[str, Tensor]) -> None:
    """Weights that are one tensor in the model are equal in the checkpoint."""
    for first, *others in model.TIES:  # type: ignore[union-attr]
        for other in others:
            if not torch.equal(state_dict[first], state_dict[other]):
                raise CheckpointError(f"state_dict: {other} differs from {first}; expected one tied tensor")


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state_dict in an authors' file: a plain one, an EMA one, or GENIE's dict with `model_dict`."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; expected a checkpoint saved with torch.save")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds for a bad archive; none may leave half a model
        kind = type(error).__name__
        raise CheckpointError(f"{path}: truncated, or not a checkpoint of tensors only ({kind})") from None
    if isinstance(content, Mapping) and isinstance(content.get("model_dict"), Mapping):
        content = content["model_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError(f"{path}: expected a state_dict (name to tensor), or a dict with model_dict")
    return dict(content)


def import_checkpoint(name: str, path: Path, out: Path, config: Any = None) -> Path:
    """Convert an authors' checkpoint to out/model.safetensors and out/config.json; returns out.

    Checked against the model built on the meta device (no memory), at the published size unless config says
    otherwise. Tied tensors are stored once. Nothing is written where anything does not fit.
    """
    from safetensors.torch import save_file

    module = model_module(name)
    config = module.Config.published() if config is None else config
    model = meta_model(module, config)
    state_dict = read_checkpoint(path)
    try:
        check_keys(model, state_dict)
        check_ties(model, state_dict)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: not a {name} checkpoint: {error}") from None
    copies = {other for _, *others in model.TIES for other in others}
    kept = {key: state_dict[key].contiguous() for key in model.state_dict() if key not in copies}
    out.mkdir(parents=True, exist_ok=True)
    save_file(kept, out / f"{WEIGHTS}.part", metadata={"model": name})
    os.replace(out / f"{WEIGHTS}.part", out / WEIGHTS)
    write_config(name, config, out)
    return out


def write_config(name: str, config: Any, out: Path) -> None:
    part = out / f"{CONFIG}.part"
    part.write_text(json.dumps({"model": name, **asdict(config)}, indent=1, sort_keys=True) + "\n")
    os.replace(part, out / CONFIG)


def read_config(path: Path, name: str) -> Any:
    """A Config from config.json: ours (flat, written by `import`) or the authors' settings (nested)."""
    config_class = model_module(name).Config
    try:
        settings = json.loads(path.read_text())
    except (OSError, ValueError):
        raise CheckpointError(f"{path}: expected a readable JSON file of settings") from None
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path}: expected a JSON object of settings")
    try:
        if settings.get("model") == name:
            known = {f.name for f in fields(config_class)}
            return config_class(**{key: value for key, value in settings.items() if key in known})
        return config_class.from_published(settings)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def load(folder: Path) -> nn.Module:
    """The model that `import` (or training) left in folder, in eval mode."""
    from safetensors.torch import load_file

    try:
        name = json.loads((folder / CONFIG).read_text())["model"]
        weights = load_file(folder / WEIGHTS)
    except Exception as error:  # safetensors has its own error class for a bad header
        raise CheckpointError(f"{folder}: expected {CONFIG} and {WEIGHTS} ({type(error).__name__})") from None
    module = model_module(name)
    model: nn.Module = module.Model(read_config(folder / CONFIG, name))
    ties = [(first, other) for first, *others in model.TIES for other in others]
    weights |= {other: weights[first] for first, other in ties if first in weights}
    return load_strict(model, weights)


def meta_model(module: ModuleType, config: Any) -> Any:
    """The model without memory: names, shapes and ties only."""
    with torch.device("meta"):
        return module.Model(config)
