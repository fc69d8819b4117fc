"""Records per privacy unit: the figures, from a stream of ids or from how many units hold how many records."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping

from audit.types import UnitCounts


def count_units(ids: Iterable[str | None]) -> UnitCounts:
    """Records per unit from one id per record, in one pass.

    Memory grows with the number of units (16-byte digests), not of records; ids are not kept.
    Percentiles are linear between order statistics over units (numpy's default) and unrounded.
    `share_top1` is the share of records held by the ⌈units / 100⌉ units that hold most: the top 1 %, at
    least one unit. An id that is None or empty counts as missing and is in none of the other figures.

    Raises:
        ValueError: no record has an id.
    """
    held: Counter[bytes] = Counter()
    missing = 0
    for unit in ids:
        if unit:
            held[hashlib.blake2b(unit.encode("utf-8", "surrogatepass"), digest_size=16).digest()] += 1
        else:
            missing += 1
    if not held:
        raise ValueError("no record has an id")
    return summarise(Counter(held.values()), missing)


def summarise(histogram: Mapping[int, int], missing: int) -> UnitCounts:
    """The figures, from records per unit -> units.

    Raises:
        ValueError: no unit.
    """
    import numpy as np

    if not histogram:
        raise ValueError("no record has an id")
    sizes = np.array(sorted(histogram), dtype=np.int64)
    per_unit = np.repeat(sizes, [histogram[int(size)] for size in sizes])  # ascending, one entry a unit
    units, records = len(per_unit), int(per_unit.sum())
    p50, p90, p99, p999 = (float(p) for p in np.percentile(per_unit, [50, 90, 99, 99.9]))
    top = -(-units // 100)
    return UnitCounts(
        records=records,
        units=units,
        max=int(per_unit[-1]),
        mean=records / units,
        p50=p50,
        p90=p90,
        p99=p99,
        p999=p999,
        share_single=histogram.get(1, 0) / units,
        share_top1=int(per_unit[-top:].sum()) / records,
        missing=missing,
        histogram={int(size): histogram[int(size)] for size in sizes},
    )
