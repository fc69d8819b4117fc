"""Records of a dataset or corpus, streamed from the files that hold them, and compared with a manifest."""

from __future__ import annotations

import os.path
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from audit.cells import Columns, cells
from audit.formats import column_names
from audit.shards import RecordsError as RecordsError
from audit.shards import Shard, find_shards, folder_sha256
from audit.types import DataIdentity, Manifest, UnitCounts
from audit.users.people import units_in
from audit.users.signs import Sign
from audit.users.trust import signs_in

_OPTION = re.compile(r",(\w+)=([^,]*)$")
_NAME = re.compile(r"|\s*[^\W\d][\w .:/()-]{0,39}")  # or none, as pandas names its index
_SHOWN_COLUMNS = 20


@dataclass(frozen=True)
class Records:
    """A file, or a folder of files, of records; nothing is read until asked for, nothing is held whole.

    Open one with `open_records`, which refuses a bad file at once. Figures are computed once and kept.
    """

    name: str
    path: Path
    text_column: str | None
    unit_column: str | None
    manifest: Manifest | None = field(default=None, compare=False, repr=False)

    def rows(self) -> Iterator[tuple[str, str | None]]:
        """Text and unit of each record, in file order; a record without text is "", without unit None.

        Without a text column every text is "", without a unit column every unit is None.

        Raises:
            RecordsError: at the first record that is not well formed, or whose text is no string.
        """
        has_text, has_unit = self.text_column is not None, self.unit_column is not None
        for found in cells(self.shards, Columns(text=self.text_column, unit=self.unit_column)):
            yield (found[0] or "") if has_text else "", found[-1] if has_unit else None

    def texts(self) -> Iterator[str]:
        """The texts, in file order."""
        if self.text_column is None:
            raise RecordsError(f"{self.path}: which column holds the text? Add ,text=COL to the path")
        return (text for text, _ in self.rows())

    @cached_property
    def counts(self) -> UnitCounts | None:
        """Records per privacy unit, or None where there is no unit column."""
        if self.unit_column is None:
            return None
        counts = units_in(self.shards, self.unit_column)
        if counts is None:
            complaint = f"every {self.unit_column!r} is empty; name another column as unit (in --data: ,unit=COL)"
            raise RecordsError(f"{self.path}: {complaint}, or none (,unit=none)")
        return counts

    @cached_property
    def signs(self) -> tuple[tuple[Sign, ...], tuple[str, ...]]:
        """Signs that the unit column does not name people one to one, and what was not looked for."""
        return signs_in(self.shards, Columns(text=self.text_column, unit=self.unit_column))[1:]

    @cached_property
    def records(self) -> int:
        """Number of records, those without a unit included."""
        counts = self.counts
        return counts.records + counts.missing if counts else sum(1 for _ in self.rows())

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file as it lies; of a folder, of its sorted "<sha256>  <name>" lines."""
        return next(iter(self._digests.values())) if self._is_file else folder_sha256(self._digests)

    @cached_property
    def _digests(self) -> dict[str, str]:
        return {shard.name: shard.sha256() for shard in self.shards}

    @cached_property
    def identity(self) -> DataIdentity:
        """Whether this is the dataset its manifest describes: by checksum, else by the number of records."""
        verdict, why = identify(self._digests.values(), self.records, self.manifest)
        return DataIdentity.model_validate(
            {
                "verdict": verdict,
                "why": why,
                "sha256": self.sha256,
                "records": self.records,
                "published_records": _published_total(self.manifest),
            }
        )

    @cached_property
    def format(self) -> str:
        """The format in words, e.g. "jsonl.gz" or "folder of 3 parquet files"."""
        ending = self.shards[0].ending
        plural = "" if len(self.shards) == 1 else "s"
        return ending if self._is_file else f"folder of {len(self.shards)} {ending} file{plural}"

    @property
    def _is_file(self) -> bool:
        return len(self.shards) == 1 and self.path == self.shards[0].path

    @cached_property
    def shards(self) -> tuple[Shard, ...]:
        """The files that hold the records, in order."""
        return find_shards(self.path)


def open_records(spec: str | Path, name: str, manifest: Manifest | None = None) -> Records:
    """Records at "PATH" or "PATH,text=COL,unit=COL"; columns not named there come from the manifest.

    `text=none` and `unit=none` say that there is no such column. Looks at the head of every file, no further.

    Raises:
        RecordsError: no such path, unreadable, unknown format, no such column, empty.
    """
    path, options = _parse_spec(spec)
    text, unit = (manifest.text_column, manifest.unit_column) if manifest else (None, None)
    text, unit = options.get("text", text), options.get("unit", unit)
    return records_at(path, name, None if text == "none" else text, None if unit == "none" else unit, manifest)


def records_at(
    path: Path, name: str, text: str | None, unit: str | None, manifest: Manifest | None = None
) -> Records:
    """Records at `path` with these columns; refused as by `open_records`."""
    records = Records(name, path, text, unit, manifest)
    for shard in records.shards:
        require_columns(shard, {"text": text, "unit": unit})
    if next(records.rows(), None) is None:
        raise RecordsError(f"{path}: holds no records; expected at least one below the header")
    return records


def _parse_spec(spec: str | Path) -> tuple[Path, dict[str, str]]:
    rest, options = str(spec), dict[str, str]()
    while isinstance(spec, str) and not os.path.exists(rest) and (match := _OPTION.search(rest)):
        option, value = match.groups()
        if option not in ("text", "unit"):
            raise RecordsError(f"{spec}: unknown option {option!r}; expected PATH,text=COL,unit=COL")
        if not value or option in options:
            raise RecordsError(f"{spec}: expected {option}= once, with the name of a column")
        options[option], rest = value, rest[: match.start()]
    return Path(rest), options


def require_columns(shard: Shard, columns: Mapping[str, str | None]) -> None:
    """Refuse a file that lacks one of the columns, role -> name; a role is what names one in --data, or an option."""
    found = column_names(shard)
    for role, column in columns.items():
        if found and column is not None and column not in found:
            how = f"with {role}" if role.startswith("--") else f"(in --data: ,{role}=COL)"
            shard.refuse(None, f"no column {column!r}; {_listing(found)}; name one {how}")


def _listing(found: list[str]) -> str:
    """The columns found; not if they look like a record, as they would be in a file without a header."""
    if not all(_NAME.fullmatch(column) for column in found):
        return "its first line does not read like a header of column names"
    more = f" and {len(found) - _SHOWN_COLUMNS} more" if len(found) > _SHOWN_COLUMNS else ""
    return f"found {', '.join(found[:_SHOWN_COLUMNS])}{more}"


def _published_total(manifest: Manifest | None) -> int | None:
    if manifest is None:
        return None
    return manifest.records or sum(manifest.splits.values()) or None


def identify(digests: Collection[str], records: int, manifest: Manifest | None) -> tuple[str, str]:
    """Verdict (named dataset, sample or unknown) and why, from each file's SHA-256 and the record count."""
    if manifest is None:
        return "unknown", f"{records:,} records; no manifest describes this dataset to compare them with."
    if set(digests) <= set(manifest.sha256.values()):
        return (
            "named dataset",
            f"{records:,} records; each file's SHA-256 is one that the manifest publishes.",
        )
    published = {f"split {split!r}": number for split, number in manifest.splits.items()}
    if manifest.records:
        published["dataset"] = manifest.records
    same = [what for what, number in published.items() if number == records]
    if same:
        return "named dataset", (
            f"{records:,} records, as many as the published {same[0]}; compared by number, not by content."
        )
    total = _published_total(manifest)
    if total is None:
        return "unknown", f"{records:,} records; the manifest's source publishes no number to compare with."
    if records < total:
        whole = "the whole corpus" if manifest.kind == "pretraining" else "the training set of a paper"
        return "sample", (
            f"{records:,} records; the manifest's source publishes {total:,}, "
            f"so this is a sample and not {whole}."
        )
    return "unknown", f"{records:,} records, more than the {total:,} that the manifest's source publishes."
