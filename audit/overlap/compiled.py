"""Compiles a kernel once a machine: the machine code is kept in the user's cache, never beside the source."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


@cache
def source_state() -> str:
    """Digest of this package's source. What another state of it compiled or found is not taken up."""
    state = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


@cache
def _folder() -> str:
    from platformdirs import user_cache_path

    return str(user_cache_path("dp-claim-audit") / "kernels" / source_state())


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled by numba, single-threaded, without the interpreter lock.

    A cache folder that the user chose for numba stays; where none can be written, it compiles in each process.
    """
    import numba

    chosen = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = chosen or _folder()
    try:
        compiled = numba.njit(cache=True, nogil=True, boundscheck=False)(function)
    except RuntimeError:
        compiled = numba.njit(nogil=True, boundscheck=False)(function)
    finally:
        numba.config.CACHE_DIR = chosen
    return compiled  # type: ignore[no-any-return]
