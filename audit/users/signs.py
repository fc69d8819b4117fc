"""Signs that a column does not name people one to one, each with what mending it would make of max, mean and p99."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from audit.types import Confidence
from audit.users.counts import summarise
from audit.users.people import LEAST_TEXT, PLACEHOLDERS, People

ALSO_AN_ID = {"0", "-1", "-", "?"}  # a placeholder only where it holds far more than others
FAR_MORE = 5  # times the mean of the others
OUTLYING_RATIO, OUTLYING_SHARE = 10, 0.01  # against the next; of all records
CELL_LIMITS = {10, 16, 20, 24, 25, 30, 32, 40, 50, 60, 64, 80, 100, 120, 128, 200, 250, 254, 255, 256}
SPIKE = 20  # times as many ids at the longest length as one below
LEAST_AT_LIMIT = 5


@dataclass(frozen=True)
class Effect:
    """Records per person if the sign were mended in one way."""

    how: str
    max: int
    mean: float
    p99: float


@dataclass(frozen=True)
class Sign:
    """One reason to doubt that one id is one person. `ids` and `records` are those it concerns."""

    ident: str
    what: str
    confidence: Confidence
    ids: int
    records: int
    effects: tuple[Effect, ...]


def effect(how: str, histogram: Counter[int]) -> tuple[Effect, ...]:
    """The figures of a mended histogram; none where nobody is left."""
    if not histogram:
        return ()
    counts = summarise(histogram, 0)
    return (Effect(how, counts.max, counts.mean, counts.p99),)


def signs_of_ids(people: People) -> Iterator[Sign]:
    """What the ids and their counts alone show: placeholders, missing ids, spellings, a cut at a cell's limit."""
    yield from _placeholder(people)
    yield from _outlying(people)
    yield from _missing(people)
    yield from _spellings(people)
    yield from _truncated(people)


def _placeholder(people: People) -> Iterator[Sign]:
    found = people.db.run("SELECT word, count(*), sum(n) FROM person WHERE word > 0 GROUP BY word ORDER BY word")
    others, records = people.one("SELECT count(*), sum(n) FROM person WHERE word IS NULL")
    mean = records / others if others else 0.0
    kept = [
        (int(position), int(ids), int(held))
        for position, ids, held in found
        if PLACEHOLDERS[int(position) - 1] not in ALSO_AN_ID or held > FAR_MORE * mean
    ]
    if not kept:
        return
    total = sum(held for *_, held in kept)
    listed = ", ".join(f"{PLACEHOLDERS[position - 1]!r} with {held:,} records" for position, _, held in kept)
    positions = ", ".join(str(position) for position, *_ in kept)
    rest = people.histogram(f"SELECT n FROM person WHERE word IS NULL OR word NOT IN ({positions})")
    yield Sign(
        "placeholder-id",
        f"ids that read like a placeholder: {listed}",
        Confidence.MEDIUM if total > FAR_MORE * mean else Confidence.LOW,
        sum(ids for _, ids, _ in kept),
        total,
        effect("left out", rest),
    )


def _outlying(people: People) -> Iterator[Sign]:
    (records,) = people.one("SELECT sum(n) FROM person")
    heaviest = [int(n) for n, *_ in people.db.run("SELECT n FROM person WHERE word IS NULL ORDER BY n DESC LIMIT 2")]
    if len(heaviest) < 2 or heaviest[0] < OUTLYING_RATIO * heaviest[1] or heaviest[0] < OUTLYING_SHARE * records:
        return
    rest = people.histogram()
    rest[heaviest[0]] -= 1
    yield Sign(
        "outlying-id",
        f"one id holds {heaviest[0]:,} records, {heaviest[0] / records:.1%} of all; the next holds {heaviest[1]:,}",
        Confidence.LOW,
        1,
        heaviest[0],
        effect("left out", +rest),
    )


def _missing(people: People) -> Iterator[Sign]:
    if not people.missing:
        return
    as_is = people.histogram()
    yield Sign(
        "missing-id",
        f"{people.missing:,} records have no id; they are in none of the figures",
        Confidence.HIGH,
        0,
        people.missing,
        effect("each a person of its own", as_is + Counter({1: people.missing}))
        + effect("all one person", as_is + Counter({people.missing: 1})),
    )


def _spellings(people: People) -> Iterator[Sign]:
    groups = (
        "SELECT count(*) AS ids, sum(n)::BIGINT AS n, sum((folded IS NOT NULL)::INT) AS odd "
        "FROM person GROUP BY coalesce(folded, unit)"
    )
    ids, records = people.one(f"SELECT sum(ids), sum(n) FROM ({groups}) WHERE ids > 1")
    if not ids:
        return
    yield Sign(
        "spelled-differently",
        f"{ids:,} ids differ from another only by upper or lower case or by white space around them",
        Confidence.MEDIUM,
        ids,
        records,
        effect("merged", people.histogram(f"SELECT n FROM ({groups})")),
    )


def _truncated(people: People) -> Iterator[Sign]:
    """Ids of many lengths, of which far too many are as long as the longest. Numbers and hashes are passed over."""
    found = [
        (int(length), int(ids), int(held))
        for length, ids, held in people.db.run(
            "SELECT length, count(*), sum(n) FROM person WHERE NOT made GROUP BY length ORDER BY length"
        )
    ]
    if len(found) < 3:
        return
    longest, ids, records = found[-1]
    near = next((number for length, number, _ in found if length == longest - 1), 0)
    others = sum(number for _, number, _ in found[:-1])
    if ids < max(LEAST_AT_LIMIT, SPIKE * near) or ids > others:
        return
    rest = people.histogram(f"SELECT n FROM person WHERE made OR length <> {longest}")
    yield Sign(
        "truncated-id",
        f"{ids:,} ids are exactly {longest} characters long, the longest there are, and {near:,} are one shorter: "
        "they may be cut off, and several people share what is left",
        Confidence.MEDIUM if longest in CELL_LIMITS else Confidence.LOW,
        ids,
        records,
        effect("each of their records a person of its own", rest + Counter({1: records})),
    )


def signs_of_columns(people: People) -> Iterator[Sign]:
    """What the columns that hold names and e-mail addresses show, where such were named."""
    if people.source.columns.name:
        yield from _several_names(people)
    if people.source.columns.email:
        yield from _shared_email(people)


def _several_names(people: People) -> Iterator[Sign]:
    several = (
        "SELECT unit, count(*) AS n FROM record WHERE unit IS NOT NULL GROUP BY unit HAVING count(DISTINCT name) > 1"
    )
    ids, records = people.one(f"SELECT count(*), sum(n) FROM ({several})")
    if not ids:
        return
    split = "SELECT count(*) AS n FROM record WHERE unit IS NOT NULL GROUP BY unit, name"
    yield Sign(
        "several-names",
        f"{ids:,} ids come with more than one name",
        Confidence.MEDIUM,
        ids,
        records,
        effect("split by name", people.histogram(split)),
    )


def _shared_email(people: People) -> Iterator[Sign]:
    people.db.run(
        "CREATE TEMP TABLE sharing AS SELECT DISTINCT unit, email FROM record WHERE unit IS NOT NULL AND email IN "
        "(SELECT email FROM record WHERE unit IS NOT NULL GROUP BY email HAVING count(DISTINCT unit) > 1)"
    )
    merged, records, ids = _merged(people)
    if ids:
        yield Sign(
            "shared-email",
            f"{ids:,} ids share an e-mail address with another",
            Confidence.MEDIUM,
            ids,
            records,
            effect("merged", merged),
        )


def _merged(people: People) -> tuple[Counter[int], int, int]:
    """Records per person with ids merged that `sharing` connects, and the records and ids concerned."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    held = people.db.columns("SELECT n FROM person SEMI JOIN sharing USING (unit) ORDER BY unit")["n"].astype(np.int64)
    if not len(held):
        return people.histogram(), 0, 0
    edges = people.db.columns(
        "SELECT dense_rank() OVER (ORDER BY unit) - 1 AS u, dense_rank() OVER (ORDER BY email) - 1 AS e FROM sharing"
    )
    size = len(held) + int(edges["e"].max()) + 1
    links = coo_array((np.ones(len(edges["u"])), (edges["u"], edges["e"] + len(held))), shape=(size, size))
    labels = connected_components(links, directed=False)[1][: len(held)]
    sums = np.bincount(labels, weights=held).astype(np.int64)
    rest = people.histogram("SELECT n FROM person ANTI JOIN sharing USING (unit)")
    return rest + Counter(int(n) for n in sums if n), int(held.sum()), len(held)


def signs_of_copies(people: People) -> Iterator[Sign]:
    """Ids that hold exactly the texts of another id, as far as those are too long to coincide by chance."""
    people.db.run(
        "CREATE TEMP TABLE collection AS SELECT unit, count(*) AS number, "
        "md5_number(string_agg(text::VARCHAR, ',' ORDER BY text)) AS texts "
        f"FROM record WHERE unit IS NOT NULL AND size >= {LEAST_TEXT} GROUP BY unit"
    )
    twins = (
        "SELECT texts, count(*) AS ids, any_value(number) AS number FROM collection GROUP BY texts HAVING count(*) > 1"
    )
    groups, ids, several = people.one(f"SELECT count(*), sum(ids), sum(ids) FILTER (number > 1) FROM ({twins})")
    if not ids:
        return
    (records,) = people.one(
        f"SELECT sum(n) FROM person JOIN collection USING (unit) SEMI JOIN ({twins}) AS twin USING (texts)"
    )
    merged = "SELECT sum(n)::BIGINT AS n FROM person LEFT JOIN collection USING (unit) GROUP BY coalesce(texts, unit)"
    yield Sign(
        "identical-texts",
        f"{ids:,} ids hold byte for byte the texts of another id ({groups:,} groups; texts of {LEAST_TEXT} bytes and "
        f"more; {several:,} of the ids by two texts or more)",
        Confidence.HIGH if several else Confidence.MEDIUM,
        ids,
        records,
        effect("merged", people.histogram(merged)),
    )
