"""Shards searched as tasks of Ray Core, here or on a cluster; the private side is broadcast once.

The corpus's files must be readable under the same path on every node; the ledger is kept by the caller alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from audit.overlap.ledger import Ledger, LedgerError
from audit.overlap.local import Done, SearchError, Tell
from audit.overlap.question import Answer, CorpusShard, Question, Side, search_shard


def search(
    shards: Sequence[CorpusShard], side: Side, ledger: Ledger, *, address: str | None, jobs: int, tell: Tell
) -> list[Done]:
    """As `local.search`; `address` of a running cluster, else one is started here with `jobs` processes.

    Raises:
        SearchError: Ray is not installed, no cluster answers, or a task failed more often than it is tried again.
    """
    ray = _ray(address, jobs)
    try:
        digests = _all(ray, [ray.remote(_digest).remote(shard) for shard in shards], lambda n: tell(n, 2 * len(shards)))
        done, missing = _known(shards, digests, ledger)
        held, task = ray.put(side), ray.remote(_search)
        tasks = [task.remote(shards[place], held, ledger.question) for place in missing]
        found = _all(ray, tasks, lambda n: tell(2 * len(shards) - len(missing) + n, 2 * len(shards)))
        for place, answer in zip(missing, found, strict=True):
            done[place] = _kept(shards[place].name, answer, ledger, done[place])
        return done
    except ray.exceptions.RayError as error:
        advice = "run the same command again: finished shards are kept"
        raise SearchError(f"ray: {type(error).__name__}; {advice}") from None
    finally:
        ray.shutdown()


def _ray(address: str | None, jobs: int) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
    try:
        import ray
    except ImportError:
        raise SearchError("--engine ray: Ray is not installed; pip install 'dp-claim-audit[ray]'") from None
    here = {} if address else {"num_cpus": jobs, "include_dashboard": False}
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False, **here)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SearchError(f"--ray-address {address}: no cluster answers ({type(error).__name__})") from None
    return ray


def _all(ray: Any, tasks: list[Any], tell: Callable[[int], None]) -> list[Any]:
    """Results in the order of the tasks."""
    waiting = list(tasks)
    while waiting:
        _, waiting = ray.wait(waiting, num_returns=1, timeout=5)
        tell(len(tasks) - len(waiting))
    return list(ray.get(tasks))


def _digest(shard: CorpusShard) -> tuple[bool, str]:
    try:
        return True, shard.digest()
    except (ValueError, OSError) as error:
        return False, str(error)


def _search(shard: CorpusShard, side: Side, question: Question) -> Answer | str:
    try:
        return search_shard(shard, side, question)
    except (ValueError, OSError) as error:
        return str(error)


def _known(
    shards: Sequence[CorpusShard], digests: Sequence[tuple[bool, str]], ledger: Ledger
) -> tuple[list[Done], list[int]]:
    """What the ledger has of each shard, and the places of those that must be searched."""
    done, missing = [], []
    for place, (shard, (is_digest, text)) in enumerate(zip(shards, digests, strict=True)):
        if not is_digest:
            done.append(Done(shard.name, None, unreadable=text))
            continue
        key, damaged = ledger.key(text), None
        try:
            is_known = ledger.read(key) is not None
        except LedgerError as error:
            damaged, is_known = str(error), False
            ledger.drop(key)
        if not is_known:
            missing.append(place)
        done.append(Done(shard.name, key, damaged=damaged))
    return done, missing


def _kept(name: str, answer: Answer | str, ledger: Ledger, known: Done) -> Done:
    if isinstance(answer, str):
        return Done(name, None, unreadable=answer, damaged=known.damaged)
    assert known.key is not None  # a shard without a key is not searched
    ledger.write(known.key, answer)
    return known
