"""Where tests find real data and golden numbers, and the refusal to test the source tree by mistake."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# On a build machine the same examples are drawn every time; elsewhere new ones are looked for.
settings.register_profile("fixed", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("fixed")

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.append(str(REPOSITORY))  # last: processes that a test starts find the tests, and the installed package first


def pytest_configure(config: pytest.Config) -> None:
    import audit

    inside = Path(audit.__file__).resolve().is_relative_to(REPOSITORY / "audit")
    if os.environ.get("AUDIT_INSTALLED") and inside:
        raise pytest.UsageError("AUDIT_INSTALLED is set, but `audit` is imported from the source tree")


def _folder(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"needs {variable}")
    return Path(value)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real texts with person columns; public data that is not ours to redistribute."""
    return _folder("AUDIT_TEST_DATA")


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of numbers from the original models."""
    return _folder("AUDIT_GOLDEN")


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY
