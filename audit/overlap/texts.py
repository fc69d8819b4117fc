"""Many texts in one UTF-8 buffer, as the kernels read them, with HTML references resolved and places kept."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from audit.overlap.shingling import REFERENCE

AMPERSAND = ord("&")
SEMICOLON = ord(";")
LONGEST_REFERENCE = 34  # bytes


@dataclass(frozen=True)
class Texts:
    """Text i is data[offsets[i]:offsets[i + 1]]. `moved` says, for texts that were changed, which bytes went.

    `moved[i]` holds (first byte, byte after, bytes that the source is longer there) of each resolved reference, the
    places as they are here, ascending.
    """

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    moved: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def bytes_of(self, i: int) -> bytes:
        return self.data[self.offsets[i] : self.offsets[i + 1]].tobytes()

    def source_span(self, i: int, start: int, end: int) -> tuple[int, int]:
        """Bytes in the source text of bytes of text i as it is here; a reference is taken whole."""
        before = after = 0
        for first, last, longer in self.moved.get(i, ()):
            if last <= start:
                before += longer
            elif first < start:
                start = first
            if first < end:
                after += longer
                end = max(end, last)
        return start + before, end + after


def from_strings(texts: Sequence[str]) -> Texts:
    """A lone surrogate, which UTF-8 cannot hold, becomes a question mark."""
    encoded = [text.encode("utf-8", "replace") for text in texts]
    data = np.frombuffer(b"".join(encoded), np.uint8)
    return _resolved(Texts(data, np.fromiter(accumulate(map(len, encoded), initial=0), np.int64, len(encoded) + 1)))


def from_arrow(column: Any) -> Texts:
    """An Arrow array of strings, without a copy; null is an empty text."""
    import pyarrow as pa

    if not pa.types.is_large_string(column.type):
        column = column.cast(pa.large_string())
    offsets = np.frombuffer(column.buffers()[1], np.int64)[column.offset : column.offset + len(column) + 1]
    data = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    if column.null_count:
        column, offsets = column.fill_null(""), np.asarray(offsets)
        return from_arrow(column)
    return _resolved(Texts(data, offsets.astype(np.int64)))


def batches(texts: Iterable[str], size: int = 1 << 22) -> Iterable[Texts]:
    """Texts in batches of about `size` characters, so that memory stays bounded."""
    held: list[str] = []
    length = 0
    for text in texts:
        held.append(text)
        length += len(text) + 1
        if length >= size:
            yield from_strings(held)
            held, length = [], 0
    if held:
        yield from_strings(held)


def taken(texts: Texts, rows: npt.NDArray[np.int64]) -> Texts:
    """Some of the texts, packed anew; places in them are as here, not as in the source."""
    pieces = [texts.bytes_of(int(i)) for i in rows]
    offsets = np.concatenate(([0], np.cumsum([len(piece) for piece in pieces], dtype=np.int64)))
    return Texts(np.frombuffer(b"".join(pieces), np.uint8), offsets.astype(np.int64))


def _resolved(texts: Texts) -> Texts:
    changed = {}
    for i in _with_references(texts):
        new, moved = _without_references(texts.bytes_of(i))
        if moved:
            changed[i] = (new, moved)
    if not changed:
        return texts
    lengths = np.diff(texts.offsets)
    for i, (new, _) in changed.items():
        lengths[i] = len(new)
    offsets = np.concatenate(([0], np.cumsum(lengths)))
    pieces, at = [], 0
    for i in sorted(changed):
        pieces += [texts.data[texts.offsets[at] : texts.offsets[i]].tobytes(), changed[i][0]]
        at = i + 1
    pieces.append(texts.data[texts.offsets[at] : texts.offsets[-1]].tobytes())
    data = np.frombuffer(b"".join(pieces), np.uint8)
    return Texts(data, offsets, {i: moved for i, (_, moved) in changed.items()})


def _with_references(texts: Texts) -> list[int]:
    """Texts with an ampersand that a semicolon follows closely enough."""
    first, last = (int(texts.offsets[0]), int(texts.offsets[-1])) if len(texts) else (0, 0)
    signs = np.flatnonzero(texts.data[first:last] == AMPERSAND) + first
    if not len(signs):
        return []
    ends = np.append(np.flatnonzero(texts.data[first:last] == SEMICOLON) + first, last + LONGEST_REFERENCE)
    near = signs[ends[np.searchsorted(ends, signs)] - signs < LONGEST_REFERENCE]
    return [int(i) for i in np.unique(np.searchsorted(texts.offsets, near, side="right") - 1)]


def _without_references(text: bytes) -> tuple[bytes, list[tuple[int, int, int]]]:
    """The text with its references resolved, and where bytes went."""
    decoded = text.decode("utf-8", "replace") if not text.isascii() else text.decode()
    pieces: list[bytes] = []
    moved: list[tuple[int, int, int]] = []
    at, place = 0, 0
    for match in REFERENCE.finditer(decoded):
        stands_for = html.unescape(match.group())
        if stands_for == match.group():
            continue
        before, new = decoded[at : match.start()].encode(), stands_for.encode("utf-8", "replace")
        pieces += [before, new]
        place += len(before) + len(new)
        moved.append((place - len(new), place, len(match.group()) - len(new)))
        at = match.end()
    return (b"".join([*pieces, decoded[at:].encode()]), moved) if moved else (text, [])
