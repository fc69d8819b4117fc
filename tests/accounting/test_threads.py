"""A price is the same to the last bit whatever number of threads the environment asks for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

AUDIT = """
from audit.cards import built_in_cards, load_card
from audit.pricing import price
from audit.setting import settings
from audit.types import Sampler
setting = next(settings(load_card(built_in_cards()["yue-2023"]), {}))
found = price(setting, 0.6, 500, Sampler.POISSON, 1, None, routes=("contour",))
print(repr(found.lower), repr(found.upper))
"""
COMMAND = """
from audit.epsilon import Query, answers
print(answers(Query(0.6, 0.0025, 500, 1e-6, "1", "poisson", "add-or-remove-one", "contour", None, None, None, None)))
"""
AFTERWARDS = """
import numpy
from threadpoolctl import threadpool_info
from audit.accounting.cache import cached
threads = lambda: [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
before = threads()
within = cached(None, "f", {}, threads)
print(set(within), threads()[: len(before)] == before)
"""


def printed(program: str, threads: int) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    environment.pop("OPENBLAS_NUM_THREADS", None)
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("program", [AUDIT, COMMAND], ids=["run_audit", "audit epsilon"])
def test_two_threads_and_one_give_the_same_bits(program: str) -> None:
    assert printed(program, 2) == printed(program, 1) != ""


def test_the_callers_own_threads_are_as_before_once_a_price_is_known() -> None:
    assert printed(AFTERWARDS, 2).strip() == "{1} True"
