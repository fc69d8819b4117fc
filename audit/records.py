"""Records of a dataset or corpus, streamed from the file that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from audit.types import DataIdentity, UnitCounts


class RecordsError(ValueError):
    """A data file that cannot be read; one line: file, place, what was expected, what to do."""


@dataclass(frozen=True)
class Records:
    """A file, or a folder of files, of records; nothing is read until asked for, nothing is held whole."""

    name: str
    path: Path
    text_column: str | None
    unit_column: str | None

    def texts(self) -> Iterator[str]:
        """The texts, in file order."""
        raise RecordsError("being written")

    @cached_property
    def counts(self) -> UnitCounts | None:
        """Records per privacy unit, or None where there is no unit column."""
        return None

    @cached_property
    def identity(self) -> DataIdentity:
        """Whether this is the dataset its manifest describes."""
        raise RecordsError("being written")
