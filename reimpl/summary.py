"""What a model is made of, counted on the meta device: no memory is used."""

from __future__ import annotations

import re
from dataclasses import fields
from types import ModuleType
from typing import Any

from reimpl.checkpoints import meta_model


def summary(module: ModuleType, config: Any) -> str:
    """Settings with their sources, state_dict keys with shapes (equal layers on one line), and the totals."""
    model = meta_model(module, config)
    state, parameters = model.state_dict(), dict(model.named_parameters())
    lines = ["setting (value; where it comes from)"]
    published = type(config)()
    for field in fields(config):
        value = getattr(config, field.name)
        source = field.metadata["source"] if value == getattr(published, field.name) else "given configuration"
        lines.append(f"  {field.name} = {value}; {source}")
    lines += ["", "state_dict key  shape  parameters"]
    copies = {other: first for first, *others in model.TIES for other in others}
    lines += [f"  {line}" for line in _collapsed(state, parameters, copies)]
    total = sum(parameter.numel() for parameter in parameters.values())
    keys = f"{len(state)} state_dict keys, {len(parameters)} distinct parameter tensors"
    return "\n".join([*lines, "", f"{total:,} parameters, {keys}"])


def _collapsed(state: dict[str, Any], parameters: dict[str, Any], copies: dict[str, str]) -> list[str]:
    """Lines for the keys, those that differ in a layer number only joined: key, shape, count or what it is."""
    groups: dict[tuple[str, str], list[str]] = {}
    for key, tensor in state.items():
        shape = " x ".join(str(size) for size in tensor.shape)
        kind = f"tied to {copies[key]}" if key in copies else "" if key in parameters else "buffer"
        pattern = re.sub(r"\b(layers?|transformer_blocks)\.\d+\.", r"\1.*.", key)
        groups.setdefault((pattern, f"{shape}  {kind or f'{tensor.numel():,}'}"), []).append(key)
    return [f"{pattern}  {rest}{_times(keys)}" for (pattern, rest), keys in groups.items()]


def _times(keys: list[str]) -> str:
    return f" in each of {len(keys)}" if len(keys) > 1 else ""
