"""The rows of synthetic records on disk: written a batch at a time, kept through a kill, read back.

A row depends on the seed and its place alone, so a run that was killed goes on where it stopped, with the same rows as
one that was not.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn

from reimpl.data import Record, local_rows
from reimpl.trainable import Trainable

PUBLIC_ONLY = "public-only-"


class SyntheticError(ValueError):
    """Rows that are not what they should be: one line that says where and what was expected."""


@dataclass(frozen=True)
class Order:
    """What is to be written: a label and a prompt a row, and what all rows share."""

    labels: list[int]
    prompts: list[str]
    shared: Mapping[str, Any]
    names: tuple[str, ...]
    batch_size: int

    def row(self, place: int, text: str) -> dict[str, Any]:
        label = self.labels[place]
        return {
            "text": text,
            "label": label,
            "label_name": self.names[label],
            "prompt": self.prompts[place],
            **self.shared,
        }


def written(target: Path, order: Order, model: Trainable, seed: int, options: Mapping[str, Any]) -> Path:
    """Write every row to target (.jsonl or .parquet), whole or not at all; returns it."""
    part = target.with_name(f".{target.stem}.part")
    write_rows(part, order, model, seed, options)
    if target.suffix == ".parquet":
        to_parquet(part, target)
        part.unlink()
    else:
        os.replace(part, target)
    return target


def write_rows(part: Path, order: Order, model: Trainable, seed: int, options: Mapping[str, Any]) -> None:
    """All rows, a batch at a time; those that an interrupted call left in part are kept."""
    done = kept_rows(part, order)
    starts = range(done, len(order.prompts), order.batch_size)
    with part.open("a", encoding="utf-8") as file, shown(len(order.prompts), done) as advance:
        for start in starts:
            prompts = order.prompts[start : start + order.batch_size]
            texts = sampled(model, prompts, batch_generator(seed, start), {**options, "batch_size": len(prompts)})
            rows = [order.row(start + number, text) for number, text in enumerate(texts)]
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            file.flush()
            advance(len(rows))
        os.fsync(file.fileno())


def sampled(model: Trainable, prompts: list[str], generator: torch.Generator, options: dict[str, Any]) -> list[str]:
    texts = [text for batch in model.generate(prompts, generator, options) for text in batch]
    if len(texts) != len(prompts):
        raise SyntheticError(f"the model gave {len(texts)} texts for {len(prompts)} prompts")
    return texts


def batch_generator(seed: int, start: int) -> torch.Generator:
    """The randomness of the batch that begins at row start: apart from that of any other."""
    value = hashlib.sha256(f"{seed} {start}".encode()).digest()[:8]
    return torch.Generator().manual_seed(int.from_bytes(value, "big") >> 1)


def kept_rows(part: Path, order: Order) -> int:
    """How many rows of part are whole batches of this order; anything after them is cut off."""
    lines = part.read_bytes().splitlines(keepends=True) if part.is_file() else []
    good = 0
    for place, line in enumerate(lines[: len(order.prompts)]):
        try:
            row = json.loads(line)
            fits = line.endswith(b"\n") and row == order.row(place, row["text"])
        except (ValueError, KeyError, TypeError):
            fits = False
        if not fits:
            break
        good += 1
    if good < len(order.prompts):
        good -= good % order.batch_size
    part.write_bytes(b"".join(lines[:good]))
    return good


def to_parquet(rows: Path, target: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    pq.write_table(pa.Table.from_pylist(content), target.with_suffix(".parquet.part"))
    os.replace(target.with_suffix(".parquet.part"), target)


class shown:  # noqa: N801  a context manager, used like open()
    """A bar with the remaining time on a terminal, nothing elsewhere."""

    def __init__(self, total: int, done: int) -> None:
        columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
        self.progress = Progress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.progress.add_task("generate", total=total, completed=done)

    def __enter__(self) -> Any:
        self.progress.start()
        return lambda rows: self.progress.advance(self.task, rows)

    def __exit__(self, *_: object) -> None:
        self.progress.stop()


def synthetic_files(run: Path, prefix: str = "seed-") -> Iterator[Path]:
    """The files of synthetic records in the folder of a run, by seed."""
    found = [path for path in (run / "synthetic").glob(f"{prefix}*") if path.suffix in (".jsonl", ".parquet")]
    yield from sorted(found, key=lambda path: (len(path.name), path.name))


def read(path: Path) -> tuple[list[Record], str]:
    """The records of a file of synthetic rows, and the digest of the ledger that all of them name."""
    found = list(local_rows(path, "train"))
    try:
        records = [Record(row["text"], int(row["label"])) for _, row in found]
        ledgers = {row["ledger_sha256"] for _, row in found}
    except (KeyError, TypeError, ValueError):
        raise SyntheticError(f"{path}: expected rows that `python -m reimpl generate` wrote") from None
    if len(ledgers) != 1:
        raise SyntheticError(f"{path}: expected rows of one run; got {len(ledgers)} ledgers")
    return records, ledgers.pop()
