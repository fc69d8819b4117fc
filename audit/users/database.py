"""The embedded database that counts: private, out of core, without network, silent about what it holds."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

Tell = Callable[[str, int, int], None]  # stage, done, total

MEMORY = "1500MB"  # what the database may hold before it spills to its temporary folder
MOST_ON_DISK = ""  # what the temporary folder may hold; empty: what the disk has
MOST_THREADS = 4
POLL_SECONDS = 0.2
SALT = "dp-claim-audit "  # so that a digest is not the one of a public table


def digest_of(text: str) -> int:
    """What `Database.key` is of this string."""
    data = (SALT + text).encode("utf-8", "backslashreplace")
    return int.from_bytes(hashlib.md5(data, usedforsecurity=False).digest(), "little")


class CountingError(Exception):
    """The database refused; its own message, which quotes cells, is dropped. `full`: for want of memory or disk."""

    def __init__(self, kind: str, full: bool) -> None:
        super().__init__(kind)
        self.full = full


class Database:
    """One DuckDB connection. Ids and texts enter tables only as digests, never as they are."""

    def __init__(self, connection: Any, tell: Tell | None) -> None:
        self._connection, self._tell = connection, tell
        self.stage = "counting"
        self.records_read = 0  # by our own readers, in the statement that runs

    @staticmethod
    def key(expression: str) -> str:
        """SQL of a 128-bit digest of a string expression. Its order is fixed and says nothing of the string's."""
        return f"md5_number('{SALT}' || {expression})"

    def register(self, name: str, relation: Any) -> None:
        self._connection.register(name, relation)

    def unregister(self, name: str) -> None:
        self._connection.unregister(name)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of one statement; shows progress, and stops when interrupted.

        Raises:
            CountingError: the database cannot do it.
        """
        self.records_read = 0
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(self._execute, sql)
            try:
                while True:
                    try:
                        return future.result(POLL_SECONDS)
                    except TimeoutError:
                        self._show_progress()
            except KeyboardInterrupt:
                self._connection.interrupt()
                raise

    def columns(self, sql: str) -> dict[str, Any]:
        """The result of a query as numpy arrays, by column."""
        return dict(self._connection.execute(sql).fetchnumpy())

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:
        import duckdb

        try:
            return list(self._connection.execute(sql).fetchall())
        except duckdb.Error as error:
            full = isinstance(error, duckdb.OutOfMemoryException) or "No space left" in str(error)
            raise CountingError(type(error).__name__, full) from None

    def _show_progress(self) -> None:
        if self._tell is None:
            return
        if self.records_read:
            self._tell(self.stage, self.records_read, 0)
        else:
            self._tell(f"{self.stage}, %", max(0, int(self._connection.query_progress())), 100)


@contextmanager
def database(tell: Tell | None = None) -> Iterator[Database]:
    """A database of its own, whose temporary folder only this user can read and which is gone afterwards."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        settings = {
            "memory_limit": MEMORY,
            "threads": min(MOST_THREADS, os.cpu_count() or 1),
            "temp_directory": folder,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "enable_progress_bar": True,
            "enable_progress_bar_print": False,
        }
        connection = duckdb.connect(":memory:")
        try:
            if MOST_ON_DISK:
                settings["max_temp_directory_size"] = MOST_ON_DISK
            for name, value in settings.items():
                connection.execute(f"SET {name} = '{str(value).replace(chr(39), chr(39) * 2)}'")
            yield Database(connection, tell)
        finally:
            connection.close()
