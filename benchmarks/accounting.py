"""Seconds an epsilon, ours against dp_accounting's PLDAccountant and Opacus' PRV accountant.

    python benchmarks/accounting.py [--repeats R] [--curve] [--settings NAME ...]

The accountants take turns, so that a busy machine slows all of them; the table shows the median and the range over
the repeats and the epsilon each one found. Imports are not timed. `--curve` times a twelve-point epsilon(k) curve,
from an empty cache, for the settings G1, G2 and G3.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
import warnings
from collections.abc import Callable

from dp_accounting.pld import PLDAccountant
from opacus.accountants.prv import PRVAccountant

from audit.accounting.accountants import epsilon
from audit.accounting.calibration import epsilon_curve
from audit.accounting.mechanisms import dp_sgd

SETTINGS = {
    "G1": (0.803223, 32 / 13_000, 20_000, 1 / 130_000),
    "G2": (0.531616, 256 / 400_000, 100_000, 1 / 4_000_000),
    "G3": (0.635376, 4096 / 1_900_000, 2319, 3.640468437434577e-08),
    "MNIST": (1.1, 256 / 60_000, 14_062, 1e-5),
    "SNLI": (0.3625, 5.825e-05, 51_504, 1.82e-6),
}
CURVE = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256)


def library(noise: float, q: float, steps: int, delta: float) -> float:
    """dp_accounting, its default interval of 1e-4."""
    accountant = PLDAccountant()
    accountant.compose(dp_sgd(noise, q, steps))
    return float(accountant.get_epsilon(delta))


def opacus(noise: float, q: float, steps: int, delta: float) -> float:
    """Opacus' PRV, its default error of 0.01: the upper end."""
    accountant = PRVAccountant()
    accountant.history = [(noise, q, steps)]
    return float(accountant.get_epsilon(delta))


def ours(accountant: str) -> Callable[[float, float, int, float], float]:
    """`audit.accounting.epsilon` with one accountant, or with all of them."""

    def price(noise: float, q: float, steps: int, delta: float) -> float:
        return epsilon(dp_sgd(noise, q, steps), delta, accountant=accountant).upper

    return price


ACCOUNTANTS = {
    "contour": ours("contour"),
    "pld": ours("pld"),
    "all routes": ours("all"),
    "dp_accounting": library,
    "Opacus PRV": opacus,
}


def show(name: str, value: float, seconds: list[float]) -> None:
    """One row of the table."""
    spread = f"{min(seconds):.2f}-{max(seconds):.2f}"
    print(f"| {name} | {value:.5g} | {statistics.median(seconds):.2f} | {spread} |")


def race(setting: str, repeats: int) -> None:
    """All accountants in turn on one setting."""
    seconds: dict[str, list[float]] = {name: [] for name in ACCOUNTANTS}
    values = {}
    for _ in range(repeats):
        for name, price in ACCOUNTANTS.items():
            start = time.perf_counter()
            values[name] = price(*SETTINGS[setting])
            seconds[name].append(time.perf_counter() - start)
    for name in ACCOUNTANTS:
        show(f"{setting} | {name}", values[name], seconds[name])


def curve(setting: str, repeats: int) -> None:
    """The twelve-point curve of both bounds."""
    noise, q, steps, delta = SETTINGS[setting]
    seconds, last = [], 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        last = epsilon_curve(noise, q, steps, delta, CURVE)[-1].upper
        seconds.append(time.perf_counter() - start)
    show(f"{setting} | {len(CURVE)} group sizes", last, seconds)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--curve", action="store_true")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS)
    arguments = parser.parse_args()
    logging.getLogger("absl").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    measure, known = (curve, ("G1", "G2", "G3")) if arguments.curve else (race, tuple(SETTINGS))
    print("| setting | accountant | epsilon | seconds (median) | range |\n|---|---|---|---|---|")
    for setting in arguments.settings or known:
        measure(setting, arguments.repeats)


if __name__ == "__main__":
    main()
