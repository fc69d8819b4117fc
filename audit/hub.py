"""Datasets on the Hugging Face Hub by name, streamed through `datasets`; only a path "hf:…" comes here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

from audit.shards import Shard

NAME = re.compile(r"hf:(?P<path>\w[\w.-]*/\w[\w.-]*)(?::(?P<config>[\w.-]*))?(?::(?P<split>[\w.-]+))?")


def columns(shard: Shard) -> list[str]:
    """Column names of the dataset's first split (or of the one that is named)."""
    dataset = _splits(shard)[0]
    return list(dataset.column_names or next(iter(dataset), {}))


def records(shard: Shard) -> Iterator[dict[str, Any]]:
    """Every record of every split, or of the one that is named, in order; nothing is written to disk.

    Raises:
        RecordsError: offline, no such dataset, configuration or split, or the connection broke.
    """
    for dataset in _splits(shard):
        try:
            yield from dataset
        except OSError as error:
            _refuse(shard, error)


def _splits(shard: Shard) -> list[Any]:
    asked = NAME.fullmatch(str(shard.path))
    if asked is None:
        shard.refuse(None, "expected hf:owner/name, hf:owner/name:config or hf:owner/name:config:split")
    from datasets import load_dataset

    try:
        found = load_dataset(asked["path"], asked["config"] or None, split=asked["split"], streaming=True)
    except (OSError, ValueError, RuntimeError) as error:
        _refuse(shard, error)
    return list(found.values()) if isinstance(found, dict) else [found]


def _refuse(shard: Shard, error: Exception) -> NoReturn:
    """One line for what went wrong; the library's own text may quote paths and addresses."""
    from datasets import config

    if config.HF_HUB_OFFLINE:
        shard.refuse(None, "offline mode is on (HF_HUB_OFFLINE); unset it, or give a file")
    if type(error).__name__ == "DatasetNotFoundError":
        shard.refuse(None, "no such dataset on the Hub, or it needs a login; check the name or give a file")
    if isinstance(error, ValueError):
        shard.refuse(None, "no such configuration or split of this dataset; check the name")
    shard.refuse(None, "the Hub cannot be reached; check the connection or give a file")
