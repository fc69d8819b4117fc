"""What every command shares: the two consoles, progress, writing files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from audit.files import write_atomically
from audit.run import Progress
from audit.target import TargetError

out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def write(texts: dict[str, str], folder: Path) -> list[Path]:
    """Write what is rendered already: nothing is half-written."""
    try:
        for name, text in texts.items():
            write_atomically(folder / name, text)
    except OSError as error:
        raise TargetError(f"{folder}: cannot write there: {error.strerror}; choose another --out") from None
    return [folder / name for name in texts]


@contextmanager
def progress(silent: bool) -> Iterator[Progress | None]:
    """Progress bars on standard error where it is a terminal; else nothing."""
    if silent or not err.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description:<16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=err, transient=True) as bars:
        tasks: dict[str, object] = {}

        def tell(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield tell
