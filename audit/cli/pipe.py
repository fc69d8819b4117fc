"""Output whose reader has gone, as in `audit list checks | head -1`, ends the program quietly."""

from __future__ import annotations

import io
import os
from typing import Any, TextIO

READER_GONE = 141  # what a shell shows for a program that SIGPIPE ended: 128 + 13


class _Pipe(io.FileIO):
    """Raises SystemExit where nobody reads any more: libraries that print make other exit codes of an OSError.

    SIGPIPE itself is left alone, for it would also end the program over a network connection that a server closed.
    """

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())  # what is still buffered goes nowhere
            raise SystemExit(READER_GONE) from None


def ending_with_its_reader(stream: TextIO) -> TextIO:
    """`stream`, standard output or error, written through a `_Pipe`; as it is where the caller closed it (None)."""
    if stream is None:
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Pipe(stream.fileno(), "wb", closefd=False)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.isatty() or stream.name == "<stderr>",
    )
