"""Rows per second and peak memory of counting people in 50 million Zipf-distributed records, as parquet and as csv.gz.

    python benchmarks/users.py [--rows N] [--people M] [--exponent A] [--folder DIR]

Each format is generated, counted in a process of its own, so that its peak memory is its own, and deleted. Ids are
drawn as ranks of a Zipf law cut at M people and written as "user-0000123"; the figures are compared with numpy's.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

BLOCK = 1_000_000
SEED = 0
CHILD = """
import json, resource, sys, time
from pathlib import Path
from audit.shards import find_shards
from audit.users.people import units_in
begun = time.perf_counter()
counts = units_in(find_shards(Path(sys.argv[1])), "user_id")
seconds = time.perf_counter() - begun
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps({"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak_kib": used.ru_maxrss,
                  "records": counts.records, "units": counts.units,
                  "max": counts.max, "p99": counts.p99}))
"""


def owners(rows: int, people: int, exponent: float) -> Iterator[npt.NDArray[np.int64]]:
    """Blocks of person numbers, person r with a weight of r^-exponent."""
    weights = np.arange(1, people + 1, dtype=np.float64) ** -exponent
    edges = np.cumsum(weights) / weights.sum()
    draw = np.random.default_rng(SEED)
    for start in range(0, rows, BLOCK):
        yield np.searchsorted(edges, draw.random(min(BLOCK, rows - start)))


def table(block: npt.NDArray[np.int64]) -> Any:
    ids = pc.binary_join_element_wise("user-", pc.utf8_lpad(pa.array(block).cast(pa.string()), 7, "0"), "")
    return pa.table({"user_id": ids, "stars": pa.array((block % 5 + 1).astype(np.int8))})


def write_parquet(path: Path, blocks: Iterator[npt.NDArray[np.int64]]) -> None:
    writer = None
    for block in blocks:
        part = table(block)
        writer = writer or pq.ParquetWriter(path, part.schema)
        writer.write_table(part)
    if writer is not None:
        writer.close()


def write_csv(path: Path, blocks: Iterator[npt.NDArray[np.int64]]) -> None:
    with gzip.open(path, "wb", compresslevel=1) as stream:
        for number, block in enumerate(blocks):
            options = pa_csv.WriteOptions(include_header=number == 0, quoting_style="none")
            pa_csv.write_csv(table(block), stream, options)


def expected(blocks: Iterator[npt.NDArray[np.int64]], people: int) -> dict[str, float]:
    held = np.zeros(people, np.int64)
    for block in blocks:
        held += np.bincount(block, minlength=people)
    held = held[held > 0]
    return {"units": len(held), "max": int(held.max()), "p99": float(np.percentile(held, 99))}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--people", type=int, default=5_000_000)
    parser.add_argument("--exponent", type=float, default=0.8)
    parser.add_argument("--folder", type=Path, default=None, help="where the files are made [a temporary folder]")
    asked = parser.parse_args()
    drawn = (asked.rows, asked.people, asked.exponent)
    truth = expected(owners(*drawn), asked.people)
    print(f"{asked.rows:,} rows, {truth['units']:,} people, most {truth['max']:,}, p99 {truth['p99']:g}", flush=True)
    with tempfile.TemporaryDirectory(dir=asked.folder, prefix="benchmark-users-") as folder:
        for name, write in (("d.parquet", write_parquet), ("d.csv.gz", write_csv)):
            path = Path(folder) / name
            begun = time.perf_counter()
            write(path, owners(*drawn))
            made = time.perf_counter() - begun
            command = [sys.executable, "-c", CHILD, str(path)]
            answer = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(answer.stdout)
            same = all(found[key] == value for key, value in truth.items()) and found["records"] == asked.rows
            print(
                f"{name:<10} {path.stat().st_size / 1e6:6.0f} MB  {found['seconds']:6.1f} s  "
                f"({found['cpu']:.1f} s of processor)  {asked.rows / found['seconds'] / 1e6:5.2f} M rows/s  "
                f"peak {found['peak_kib'] / 2**20:4.2f} GiB  "
                f"{'figures agree' if same else 'FIGURES DIFFER'}  (written in {made:.0f} s)",
                flush=True,
            )
            path.unlink()


if __name__ == "__main__":
    main()
