"""`audit overlap`: private texts looked for in a corpus, matches written as parquet, and a summary."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from audit.cells import Columns, cells
from audit.contamination_figures import Summary, groups_of, summarise
from audit.corpus import FileShard, WarcShard, corpus_shards, require_columns
from audit.matches import Matches, write_matches
from audit.overlap import local, on_ray
from audit.overlap.containment import COVERAGE
from audit.overlap.folding import Normalisation, Unit
from audit.overlap.index import Index
from audit.overlap.ledger import Ledger
from audit.overlap.planting import KINDS, recovery
from audit.overlap.question import JACCARD, Mode, Question, Side, digest
from audit.overlap.shingling import Shingling
from audit.overlap.statistics import Share, share
from audit.overlap.texts import from_strings
from audit.shards import RecordsError, find_shards

PLANT_SEED = 7
SAMPLE_PAGES = 1000
SAMPLE_CHARACTERS = 8 << 20

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Asked:
    """What was asked on the command line."""

    private: Path
    corpus: Path
    private_text: str = "text"
    private_id: str | None = None
    private_unit: str | None = None
    corpus_text: str = "text"
    corpus_id: str | None = None
    mode: Mode = "containment"
    shingle: Unit = "word"
    shingle_size: int = 5
    normalisation: Normalisation = "standard"
    threshold: float | None = None
    sample: int = 1
    engine: str = "local"
    ray_address: str | None = None
    jobs: int = 1
    out: Path = Path("out/overlap/matches.parquet")
    plants: int = 200
    strict: bool = False

    @property
    def question(self) -> Question:
        """The option set; refused in one line where it has no meaning."""
        usual = COVERAGE if self.mode == "containment" else JACCARD
        threshold = usual if self.threshold is None else self.threshold
        try:
            shingling = Shingling(self.shingle, self.shingle_size, self.normalisation)
            return Question(self.mode, shingling, threshold, self.sample)
        except ValueError as error:
            raise RecordsError(str(error)) from None


@dataclass(frozen=True)
class Private:
    """The private side as read: texts, ids and people by row."""

    texts: list[str]
    idents: list[str | None]
    units: list[str | None] | None


@dataclass(frozen=True)
class Searched:
    """The end of a search; only `excerpts` looks at texts again."""

    summary: Summary
    matches: Matches
    private: Private
    shards: Sequence[FileShard | WarcShard]


def ask(asked: Asked, tell: Tell) -> Searched:
    """Search, write the matches, summarise.

    Killed at any moment, the same call goes on where it was: what is finished lies in a folder beside `out` until
    the matches are written.

    Raises:
        RecordsError: one line; nothing was written but finished shards.
    """
    question = asked.question
    shards = corpus_shards(asked.corpus, asked.corpus_text, asked.corpus_id)
    private = _private(asked, tell)
    side = question.side(from_strings(private.texts))
    work = asked.out.with_name(asked.out.name + ".unfinished")
    work.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(work, digest(side), question)
    done = _search(asked, shards, side, ledger, lambda n, of: tell("shards searched", n, of))
    problems = [line for one in done for line in (one.unreadable, one.damaged) if line]
    if asked.strict and problems:
        raise RecordsError(f"{problems[0]} (refused by --strict; finished shards are kept)")
    if shards and not any(one.key for one in done):
        shutil.rmtree(work)
        raise RecordsError(f"{problems[0]}; no other file of the corpus could be read, so nothing was searched")
    answered = [(one.shard, ledger.read(one.key)) for one in done if one.key is not None]
    matches = Matches.of([(name, answer) for name, answer in answered if answer is not None], groups_of(side))
    plants = _plants(asked, shards, side, private, matches, tell)
    summary = summarise(question, done, side, private.units, matches, plants)
    write_matches(asked.out, matches, private.idents, summary.options)
    shutil.rmtree(work)
    return Searched(summary, matches, private, shards)


def _search(
    asked: Asked, shards: Sequence[FileShard | WarcShard], side: Side, ledger: Ledger, tell: local.Tell
) -> list[local.Done]:
    try:
        if asked.engine == "ray":
            return on_ray.search(shards, side, ledger, address=asked.ray_address, jobs=asked.jobs, tell=tell)
        return local.search(shards, side, ledger, jobs=asked.jobs, tell=tell)
    except local.SearchError as error:
        raise RecordsError(str(error)) from None


def _private(asked: Asked, tell: Tell) -> Private:
    """The private texts, whole; a file that cannot be read is refused."""
    tell("reading private texts", 0, 0)
    shards = find_shards(asked.private)
    named = {"--private-text": asked.private_text, "--private-id": asked.private_id}
    for shard in shards:
        require_columns(shard, named | {"--private-unit": asked.private_unit})
    columns = Columns(text=asked.private_text, unit=asked.private_id, name=asked.private_unit)
    roles = list(columns.named)
    rows = list(cells(shards, columns))
    if not rows:
        raise RecordsError(f"{asked.private}: holds no records; expected at least one")
    held = {role: [row[place] for row in rows] for place, role in enumerate(roles)}
    return Private([text or "" for text in held["text"]], held.get("unit", [None] * len(rows)), held.get("name"))


def _plants(
    asked: Asked,
    shards: Sequence[FileShard | WarcShard],
    side: Side,
    private: Private,
    matches: Matches,
    tell: Tell,
) -> dict[str, Share]:
    """Recall on some of the private records planted into some of the corpus's own pages."""
    if not asked.plants or not isinstance(side, Index):
        return {}
    pages = _some_pages(shards, matches)
    tell("estimating recall", 0, 0)
    try:
        found = recovery(
            side, private.texts, pages, plants=asked.plants, seed=PLANT_SEED, coverage=asked.question.threshold
        )
    except ValueError:  # nothing long enough to plant, or no page to plant into
        return {}
    return {kind: share(found[kind].found, found[kind].planted) for kind in KINDS}


def _some_pages(shards: Sequence[FileShard | WarcShard], matches: Matches) -> list[str]:
    """The first texts without a match, from the first shard that can be read: a page that holds a record is no host."""
    for shard in shards:
        pages: list[str] = []
        length, row = 0, -1
        places = [place for place, name in enumerate(matches.shards) if name == shard.name]
        matched = {int(r) for place in places for r in matches.corpus_row[matches.shard == place]}
        try:
            for texts, _ in shard.batches():
                for i in range(len(texts)):
                    row += 1
                    if row in matched:
                        continue
                    if len(pages) >= SAMPLE_PAGES or length >= SAMPLE_CHARACTERS:
                        return pages
                    pages.append(texts.bytes_of(i).decode("utf-8", "replace"))
                    length += len(pages[-1])
        except (ValueError, OSError):
            continue
        if pages:
            return pages
    return []


def excerpts(searched: Searched, number: int) -> Iterator[str]:
    """The texts of the first pairs, at most `number`: the private record, and the span that matches it."""
    matches = searched.matches
    for place, name in enumerate(matches.shards):
        pairs = [pair for pair in range(min(number, len(matches.shard))) if matches.shard[pair] == place]
        if not pairs:
            continue
        shard = next(shard for shard in searched.shards if shard.name == name)
        wanted = {int(matches.corpus_row[pair]) for pair in pairs}
        texts = {row: text for row, (text, _) in enumerate(islice(shard.rows(), max(wanted) + 1)) if row in wanted}
        for pair in pairs:
            row, private = int(matches.corpus_row[pair]), int(matches.private_row[pair])
            span = texts[row].encode("utf-8", "replace")[int(matches.start[pair]) : int(matches.end[pair])]
            yield f"private row {private}, {name} row {row}"
            yield f"  private: {searched.private.texts[private]}"
            yield f"  corpus:  {span.decode('utf-8', 'replace')}"
