"""Overlap search beside other libraries: signatures, containment, and what is found of planted records.

    python benchmarks/overlap.py [--rounds R] [--texts DIR] [--private N] [--part PART]

One thread, CPU seconds. The methods take turns, so that a busy machine slows all of them; a table shows medians and
ranges over the rounds, and ratios of the same round. Texts are real where `--texts` (or AUDIT_TEST_DATA) names a
folder of review files, else random words. rensa is left out where it is not installed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from datasketch import MinHash, MinHashLSH, MinHashLSHEnsemble

from audit.corpus import corpus_shards
from audit.overlap.containment import found_in
from audit.overlap.index import Index, build
from audit.overlap.minhash import sketch
from audit.overlap.planting import KINDS, planted, recovery
from audit.overlap.question import Question, search_shard
from audit.overlap.shingling import WORDS_5
from audit.overlap.texts import from_strings

SEED = 42
WORD = re.compile(r"\w+")
Found = set[tuple[int, int]]


def corpus(folder: Path | None) -> tuple[list[str], list[str], list[str]]:
    """Private records, texts of their own domain, and texts of others."""
    if folder is None:
        random = np.random.default_rng(SEED)
        vocabulary = np.array([f"word{i}" for i in range(30_000)])
        made = [[" ".join(random.choice(vocabulary, n)) for n in random.integers(20, 200, 4000)] for _ in range(3)]
        return made[0][:2000], made[1], made[2]
    own = [_column(folder / f"drugs_{part}.jsonl.gz", "trg") for part in ("val", "test")]
    others = [_column(folder / f"{name}.jsonl.gz", "text") for name in ("yelp_sample", "bible_kjv")]
    return own[0], own[1], [*others[0], *others[1]]


def _column(path: Path, key: str) -> list[str]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line)[key] for line in lines]


def joined(texts: Sequence[str], words: tuple[int, int], number: int, seed: int) -> list[str]:
    """Pages of a random number of words in that range, each made of whole texts."""
    random, pages = np.random.default_rng(seed), []
    for _ in range(number):
        wanted, parts, count = int(random.integers(*words)), [], 0
        while count < wanted:
            parts.append(texts[random.integers(len(texts))])
            count += len(parts[-1].split())
        pages.append("\n".join(parts))
    return pages


def python_shingles(text: str) -> list[bytes]:
    words = WORD.findall(text.lower())
    return [" ".join(words[i : i + 5]).encode() for i in range(max(1, len(words) - 4))]


# ---------------------------------------------------------------- signatures


def datasketch_bulk(docs: Sequence[str]) -> None:
    MinHash.bulk([python_shingles(doc) for doc in docs], num_perm=128)


def rensa_rows(docs: Sequence[str]) -> None:
    from rensa import RMinHash

    for doc in docs:
        sketched = RMinHash(num_perm=128, seed=42)
        sketched.update([shingle.decode() for shingle in python_shingles(doc)])
        sketched.digest()


def signatures(rounds: int, texts: Sequence[str]) -> None:
    words = " ".join(texts).split()
    docs = [" ".join(words[i : i + 200]) for i in range(0, min(len(words), 400_000) - 200, 200)]
    packed = from_strings(docs)
    methods: dict[str, Callable[[], object]] = {"datasketch bulk": lambda: datasketch_bulk(docs)}
    try:
        import rensa  # noqa: F401

        methods["rensa RMinHash"] = lambda: rensa_rows(docs)
    except ImportError:
        pass
    methods["ours, Python strings in"] = lambda: sketch(from_strings(docs), WORDS_5)
    methods["ours, Arrow buffers in"] = lambda: sketch(packed, WORDS_5)
    size = len(packed.data)
    print(f"\nSignatures: {len(docs):,} documents of 200 words ({size / len(docs):.0f} B), 5-word shingles, 128 slots")
    _table(_race(methods, rounds), "datasketch bulk", {"documents/s": len(docs), "MB/s": size / 1e6})


# ---------------------------------------------------------------- containment


def datasketch_lsh(private: Sequence[str], threshold: float = 0.1) -> Callable[[Sequence[str]], Found]:
    """MinHash of whole documents; 0.1 is the lowest threshold that is of any use."""
    index = MinHashLSH(threshold=threshold, num_perm=128)
    for row, sketched in enumerate(MinHash.bulk([python_shingles(text) for text in private], num_perm=128)):
        index.insert(row, sketched)

    def search(pages: Sequence[str]) -> Found:
        sketches = MinHash.bulk([python_shingles(page) for page in pages], num_perm=128)
        return {(page, row) for page, sketched in enumerate(sketches) for row in index.query(sketched)}

    return search


def lsh_ensemble(private: Sequence[str]) -> Callable[[Sequence[str]], Found]:
    """Containment at least 0.5; it must hold the corpus, so the pages are indexed and the records are the queries."""
    sets = [python_shingles(text) for text in private]
    queries = [(row, sketched, len(set(sets[row]))) for row, sketched in enumerate(MinHash.bulk(sets, num_perm=128))]

    def search(pages: Sequence[str]) -> Found:
        held = [python_shingles(page) for page in pages]
        index = MinHashLSHEnsemble(threshold=0.5, num_perm=128, num_part=16)
        sketches = MinHash.bulk(held, num_perm=128)
        index.index([(page, sketched, len(set(held[page]))) for page, sketched in enumerate(sketches)])
        return {(page, row) for row, sketched, size in queries for page in index.query(sketched, size)}

    return search


def containment(rounds: int, private: Sequence[str], texts: Sequence[str], numbers: Sequence[int]) -> None:
    pages = joined(texts, (400, 1500), 500, SEED)
    packed = from_strings(pages)
    size = len(packed.data) / 1e6
    ours = build(from_strings(private))
    lsh, ensemble = datasketch_lsh(private), lsh_ensemble(private)
    methods: dict[str, Callable[[], object]] = {
        "datasketch MinHashLSH, whole texts, 0.1": lambda: lsh(pages),
        "datasketch LSHEnsemble, 0.5": lambda: ensemble(pages),
        "ours, verified": lambda: found_in(ours, packed),
    }
    for number in numbers:
        large, seconds = _large_index(private, number)
        print(f"index of {number:,} records: {seconds:.1f} s, {_sizes(large)}")
        methods[f"ours, verified, {number:,} records"] = partial(found_in, large, packed)
    print(f"\nContainment: {len(private):,} private records, {len(pages):,} pages ({size:.1f} MB)")
    _table(_race(methods, rounds), next(iter(methods)), {"MB/s": size})


def _large_index(private: Sequence[str], number: int) -> tuple[Index, float]:
    """The real records and as many more of 84 random words as make `number`."""
    random = np.random.default_rng(SEED)
    vocabulary = np.array([f"v{i}" for i in range(50_000)])
    more = [" ".join(row) for row in random.choice(vocabulary, (number - len(private), 84))]
    held = from_strings([*private, *more])
    start = time.process_time()
    return build(held), time.process_time() - start


def _sizes(index: Index) -> str:
    total, text, records = index.bytes, index.data.nbytes, index.records
    return f"{(total - text) / records:,.0f} B a record and {text / records:,.0f} B of its text"


# ---------------------------------------------------------------- whole shards

SIZES = {"C4 (en)": 305e9, "The Pile": 825e9, "RefinedWeb (public part)": 2.8e12, "FineWeb": 44e12}  # bytes of text


def stream(rounds: int, private: Sequence[str], texts: Sequence[str], numbers: Sequence[int]) -> None:
    """Files on disk in, matches out: reading and decoding are part of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pages = joined(texts, (400, 1500), 4000, SEED)
    size = sum(len(page.encode()) for page in pages)
    index, _ = _large_index(private, max(numbers, default=len(private)))
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.table({"text": pages}), f"{folder}/a.parquet", compression="zstd", row_group_size=1000)
        Path(f"{folder}/a.jsonl").write_text("".join(json.dumps({"text": page}) + "\n" for page in pages))
        shards = [corpus_shards(Path(folder) / f"a.{ending}", "text", None)[0] for ending in ("parquet", "jsonl")]
        methods: dict[str, Callable[[], object]] = {
            f"{shard.name}, {len(index.group):,} records": partial(search_shard, shard, index, Question())
            for shard in shards
        }
        print(f"\nWhole shards: {len(pages):,} pages, {size / 1e6:.0f} MB of text, digest not counted")
        seconds = _race(methods, rounds)
    _table(seconds, next(iter(methods)), {"MB/s": size / 1e6})
    rate = size / statistics.median(seconds[next(iter(methods))])
    print("core-hours at the parquet rate: " + ", ".join(f"{n} {b / rate / 3600:,.1f}" for n, b in SIZES.items()))


# ---------------------------------------------------------------- recall


def recall(private: Sequence[str], texts: Sequence[str], plants: int) -> None:
    """What is found of planted records; thresholds were chosen on another seed."""
    pages = joined(texts, (400, 1500), plants, SEED + 1)
    print(f"\nOf {plants:,} records of twelve words or more planted in each way, a page each (seed {SEED + 1}):")
    head = "| copy | recall | precision | sampled 1/4: recall | whole-text MinHash 0.1: recall | at 0.5: recall |"
    print(f"{head}\n|---|--:|--:|--:|--:|--:|")
    full = recovery(build(from_strings(private)), private, pages, plants=plants, seed=SEED + 1)
    sampled = recovery(build(from_strings(private), sample=4), private, pages, plants=plants, seed=SEED + 1)
    theirs = [_of_minhash(datasketch_lsh(private, level), private, pages, plants) for level in (0.1, 0.5)]
    for kind in KINDS:
        print(
            f"| {kind} | {full[kind].recall:.3f} | {full[kind].precision:.3f} | {sampled[kind].recall:.3f} "
            f"| {theirs[0][kind]:.3f} | {theirs[1][kind]:.3f} |"
        )


def _of_minhash(
    search: Callable[[Sequence[str]], Found], private: Sequence[str], pages: Sequence[str], plants: int
) -> dict[str, float]:
    random, found = np.random.default_rng(SEED + 2), {}
    number = min(plants, 300)
    vocabulary = sorted({word for page in pages[:200] for word in page.split()})
    long = [row for row, text in enumerate(private) if len(text.split()) >= 12]
    for kind in KINDS:
        rows = random.choice(long, number)
        made = [planted(private[row], pages[i], kind, vocabulary, random) for i, row in enumerate(rows)]
        pairs = search(made)
        found[kind] = sum((page, int(row)) in pairs for page, row in enumerate(rows)) / number
    return found


# ---------------------------------------------------------------- tables


def _race(methods: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    for method in methods.values():
        method()  # compiled, imported, warm
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(rounds):
        for name, method in methods.items():
            start = time.process_time()
            method()
            seconds[name].append(time.process_time() - start)
    return seconds


def _table(seconds: dict[str, list[float]], reference: str, per_second: dict[str, float]) -> None:
    print(f"| method | {' | '.join(per_second)} | x {reference} | range |")
    print(f"|---|{'--:|' * len(per_second)}--:|--:|")
    for name, taken in seconds.items():
        ratios = sorted(theirs / ours for theirs, ours in zip(seconds[reference], taken, strict=True))
        rates = [f"{each / statistics.median(taken):,.{0 if each > 1000 else 1}f}" for each in per_second.values()]
        shown = f"{statistics.median(ratios):.2f} | {ratios[0]:.2f}-{ratios[-1]:.2f}"
        print(f"| {name} | {' | '.join(rates)} | {shown} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--texts", type=Path, default=os.environ.get("AUDIT_TEST_DATA"))
    parser.add_argument("--private", type=int, nargs="*", default=[100_000], help="sizes of larger private sides")
    parser.add_argument("--plants", type=int, default=1000)
    parser.add_argument("--part", choices=["signatures", "containment", "stream", "recall"])
    options = parser.parse_args()
    private, own, others = corpus(Path(options.texts) if options.texts else None)
    if options.part in (None, "signatures"):
        signatures(options.rounds, others)
    if options.part in (None, "containment"):
        containment(options.rounds, private, [*own, *others], options.private)
    if options.part in (None, "stream"):
        stream(options.rounds, private, [*own, *others], options.private)
    if options.part in (None, "recall"):
        recall(private, [*own, *others], options.plants)


if __name__ == "__main__":
    main()
