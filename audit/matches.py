"""Matching pairs of private and corpus rows, as a parquet file without text."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audit.overlap.question import METHODS, Answer

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Matches:
    """One entry for each pair, by shard, corpus row and private row; rows are 0-based in file order."""

    shards: tuple[str, ...]
    texts: int
    bytes: int
    private_row: Ints
    shard: Ints  # place in `shards`
    corpus_row: Ints
    corpus_id: tuple[str | None, ...]
    method: Ints  # place in METHODS
    score: Floats
    start: Ints
    end: Ints
    verified: npt.NDArray[np.bool_]
    minhash: Floats

    @classmethod
    def of(cls, answers: Sequence[tuple[str, Answer]], group: Ints) -> Matches:
        """The pairs of all shards; `group` is the group of each private row, of which the answers speak."""
        order = np.argsort(group, kind="stable")
        sizes = np.bincount(group[group >= 0]) if (group >= 0).any() else np.zeros(0, np.int64)
        ends = np.cumsum(sizes) + np.count_nonzero(group < 0)
        pairs = [answer.pairs for _, answer in answers]
        groups = _all([p.group for p in pairs])
        repeats = sizes[groups] if len(groups) else groups
        within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        taken = np.repeat(np.arange(len(groups)), repeats)
        rows = order[(ends - sizes)[groups[taken]] + within] if len(groups) else groups
        shard = np.repeat(np.arange(len(pairs)), [len(p.group) for p in pairs])[taken]
        corpus_row = _all([p.row for p in pairs])[taken]
        sort = np.lexsort((rows, corpus_row, shard))
        taken, idents = taken[sort], [ident for p in pairs for ident in p.ident]
        names = ("method", "score", "start", "end", "minhash")
        columns = {name: _all([getattr(p, name) for p in pairs])[taken] for name in names}
        return cls(
            shards=tuple(name for name, _ in answers),
            texts=sum(answer.texts for _, answer in answers),
            bytes=sum(answer.bytes for _, answer in answers),
            private_row=rows[sort],
            shard=shard[sort],
            corpus_row=corpus_row[sort],
            corpus_id=tuple(idents[i] for i in taken),
            verified=_all([p.verified for p in pairs])[taken].astype(bool),
            **columns,
        )

    def best_scores(self, records: int, of: Floats | None = None) -> Floats:
        """The best of `of` (the score) over each private record's verified pairs; 0 where it has none."""
        best = np.zeros(records, np.float64)
        values = self.score if of is None else of
        np.maximum.at(best, self.private_row[self.verified], values[self.verified])
        return best


def _all(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)


def write_matches(path: Path, matches: Matches, idents: Sequence[str | None], options: Mapping[str, Any]) -> None:
    """Write the pairs whole or not at all; the options stand in the file's metadata, and no text anywhere."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "private_row": matches.private_row,
            "private_id": pa.array([idents[row] for row in matches.private_row], pa.string()),
            "corpus_shard": pa.array([matches.shards[place] for place in matches.shard], pa.string()),
            "corpus_row": matches.corpus_row,
            "corpus_id": pa.array(list(matches.corpus_id), pa.string()),
            "method": pa.array([METHODS[place] for place in matches.method], pa.string()),
            "score": np.round(matches.score, 6),
            "span_start": matches.start,
            "span_end": matches.end,
            "verified": matches.verified,
        }
    ).replace_schema_metadata({"options": json.dumps(options, sort_keys=True)})
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        pq.write_table(table, temporary, compression="zstd")
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
