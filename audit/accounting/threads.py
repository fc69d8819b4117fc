"""One order of summation: an ε at a rounding edge must not depend on how many threads a matrix product uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra in one thread, whatever the environment says; as before afterwards.

    More threads split sums elsewhere, which moves the last bits of a price, and so at times its rounded end.
    """
    import numpy  # noqa: F401 (a library is limited only once it is loaded)
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
