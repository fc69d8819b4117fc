"""Shards searched by a pool of processes that share one copy of the private side; killed, it goes on."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields, is_dataclass, replace
from multiprocessing import get_context, parent_process
from typing import Any

import numpy as np

from audit.overlap.ledger import Ledger, LedgerError
from audit.overlap.question import CorpusShard, Side, search_shard
from audit.overlap.texts import Texts, from_strings

Tell = Callable[[int, int], None]  # shards done, shards


class SearchError(ValueError):
    """A search that stopped; one line with what to do."""


@dataclass(frozen=True)
class Done:
    """What became of a shard: the key of its entry, or why there is none; and what was wrong with an older entry."""

    shard: str
    key: str | None
    unreadable: str | None = None
    damaged: str | None = None


def answer_shard(shard: CorpusShard, side: Side, ledger: Ledger) -> Done:
    """Search one shard unless the ledger has its answer; a damaged entry is dropped and searched anew."""
    damaged = None
    try:
        key = ledger.key(shard.digest())
        try:
            known = ledger.read(key)
        except LedgerError as error:
            damaged, known = str(error), None
            ledger.drop(key)
        if known is None:
            ledger.write(key, search_shard(shard, side, ledger.question))
    except (ValueError, OSError) as error:
        return Done(shard.name, None, unreadable=str(error), damaged=damaged)
    return Done(shard.name, key, damaged=damaged)


def search(shards: Sequence[CorpusShard], side: Side, ledger: Ledger, *, jobs: int, tell: Tell) -> list[Done]:
    """Every shard answered, in the order given, whatever the number of processes.

    Raises:
        SearchError: a process died.
    """
    tell(0, len(shards))
    if jobs <= 1 or len(shards) < 2:
        done = []
        for shard in shards:
            done.append(answer_shard(shard, side, ledger))
            tell(len(done), len(shards))
        return done
    search_shard(_Nothing(), side, ledger.question)  # compiles the kernels once, for every process to load
    context = get_context("spawn")
    workers = min(jobs, len(shards))
    with ProcessPoolExecutor(workers, context, _begin, (_lent(side, context), ledger)) as pool:
        futures = {pool.submit(_answer, shard): place for place, shard in enumerate(shards)}
        results: dict[int, Done] = {}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                tell(len(results), len(shards))
        except BrokenProcessPool:
            advice = "run the same command again, finished shards are kept; if memory ran out, with fewer --jobs"
            raise SearchError(f"a process of the search died: {advice}") from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[place] for place in range(len(shards))]


class _Nothing:
    """A shard of one empty text."""

    name = "nothing"

    def digest(self) -> str:
        return ""

    def batches(self) -> Iterator[tuple[Texts, Sequence[str | None]]]:
        yield from_strings([""]), [None]


@dataclass(frozen=True)
class _Lent:
    """An array in memory that processes share; the system takes it back when the last of them ends."""

    memory: Any
    kind: str
    shape: tuple[int, ...]


def _lent(value: Any, context: Any) -> Any:
    """`value` with every array in it put where other processes can read it."""
    if isinstance(value, np.ndarray):
        memory = context.RawArray("B", max(1, value.nbytes))
        np.frombuffer(memory, np.uint8)[: value.nbytes] = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
        return _Lent(memory, value.dtype.str, value.shape)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _lent(getattr(value, f.name), context) for f in fields(value)})
    return value


def _borrowed(value: Any) -> Any:
    """The other way round."""
    if isinstance(value, _Lent):
        size = int(np.prod(value.shape)) * np.dtype(value.kind).itemsize
        return np.frombuffer(value.memory, np.uint8)[:size].view(value.kind).reshape(value.shape)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _borrowed(getattr(value, f.name)) for f in fields(value)})
    return value


_HERE: list[tuple[Side, Ledger]] = []  # of a process of the pool


def _begin(side: Any, ledger: Ledger) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _HERE.append((_borrowed(side), ledger))


def _end_with_parent() -> None:
    """A process whose parent was killed has nobody to answer to."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _answer(shard: CorpusShard) -> Done:
    side, ledger = _HERE[0]
    return answer_shard(shard, side, ledger)

