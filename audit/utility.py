"""What a run's own evaluation.json says of how well its synthetic records serve."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audit.ledger import LedgerError
from audit.types import Utility

MAX_BYTES = 5_000_000
WANTED = "expected the evaluation.json that `python -m reimpl evaluate` writes, or none"


def read_utility(folder: Path, ledger_sha256: str) -> tuple[Utility, ...]:
    """The downstream figures of `folder`/evaluation.json, set by set; empty where there is none.

    Raises:
        LedgerError: the file is no evaluation, or it is of another run than this ledger's.
    """
    file = folder / "evaluation.json"
    if not file.is_file():
        return ()
    try:
        if file.stat().st_size > MAX_BYTES:
            raise LedgerError(f"{file}: larger than 5 MB; {WANTED}")
        body = json.loads(file.read_text(encoding="utf-8"))
        if body["ledger_sha256"] != ledger_sha256:
            raise LedgerError(f"{file}: is of another run than the ledger beside it; evaluate this one")
        return tuple(_figures(body["sets"]))
    except (OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, LedgerError):
            raise
        raise LedgerError(f"{file}: {WANTED}") from None


def _figures(sets: Any) -> Iterator[Utility]:
    for name in sorted(sets):
        for metric, figure in sorted(sets[name]["downstream"].items()):
            mean, spread = float(figure["mean"]), figure.get("standard_deviation")
            if not math.isfinite(mean):
                raise ValueError(metric)
            yield Utility(set=name, metric=metric, mean=mean, spread=None if spread is None else float(spread))
