"""The answers of finished shards, kept on disk, so that a search that was killed goes on where it was.

An entry is two files named by its key: the matches (parquet, no text) and, written after them, a line of JSON that
holds their SHA-256. The key is a digest of the shard's content, the private side, the options and this source.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audit.overlap.compiled import source_state
from audit.overlap.question import Answer, Pairs, Question

COLUMNS = ("group", "row", "method", "score", "start", "end", "verified", "minhash", "ident")


class LedgerError(ValueError):
    """An entry that is there and cannot be used; one line with its path."""


@dataclass(frozen=True)
class Ledger:
    """A folder of entries for one private side and one question. Shards of the same content share an entry."""

    folder: Path
    side: str  # digest of the private side
    question: Question

    def key(self, shard_digest: str) -> str:
        parts = [source_state(), self.side, self.question.as_dict(), shard_digest]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]

    def read(self, key: str) -> Answer | None:
        """The answer kept under the key, or None where there is none.

        Raises:
            LedgerError: there is one, and it is not whole.
        """
        entry = self.folder / f"{key}.json"
        if not entry.exists():
            return None
        try:
            kept = json.loads(entry.read_bytes())
            data = (self.folder / f"{key}.parquet").read_bytes()
            if hashlib.sha256(data).hexdigest() != kept["sha256"]:
                raise ValueError
            return Answer(int(kept["texts"]), int(kept["bytes"]), _from_parquet(data))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise LedgerError(f"{entry}: damaged entry of the completion ledger; delete it") from None

    def write(self, key: str, answer: Answer) -> None:
        data = _to_parquet(answer.pairs)
        kept = {"texts": answer.texts, "bytes": answer.bytes}
        _write(self.folder / f"{key}.parquet", data)
        _write(self.folder / f"{key}.json", json.dumps(kept | {"sha256": hashlib.sha256(data).hexdigest()}).encode())

    def drop(self, key: str) -> None:
        """Forget an entry."""
        for ending in (".json", ".parquet"):
            (self.folder / f"{key}{ending}").unlink(missing_ok=True)


def _to_parquet(pairs: Pairs) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {name: getattr(pairs, name) for name in COLUMNS}
    table = pa.table(columns | {"ident": pa.array(list(pairs.ident), pa.string())})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _from_parquet(data: bytes) -> Pairs:
    import pyarrow.parquet as pq

    table = pq.read_table(io.BytesIO(data))
    arrays: dict[str, np.ndarray[Any, Any]] = {name: table.column(name).to_numpy() for name in COLUMNS[:-1]}
    return Pairs(**arrays, ident=table.column("ident").to_pylist())


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
