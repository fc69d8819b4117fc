"""Inputs that make no sense are refused in one line each."""

from __future__ import annotations

import math


class AccountingInputError(ValueError):
    """An input no mechanism can have; the message names it, its value and what was expected."""


class UnknownMechanismError(AccountingInputError):
    """A mechanism, or a combination of mechanism and neighbours, that no route here can price."""


def _refuse(name: str, value: object, expected: str) -> None:
    raise AccountingInputError(f"{name} = {value!r}: expected {expected}")


def require_positive(name: str, value: float) -> None:
    """`value` is a finite number above 0."""
    if not math.isfinite(value) or value <= 0:
        _refuse(name, value, "a finite number above 0")


def require_probability(name: str, value: float) -> None:
    """`value` lies in [0, 1]."""
    if not 0 <= value <= 1:
        _refuse(name, value, "a number from 0 to 1")


def require_delta(value: float, name: str = "delta") -> None:
    """`value` lies strictly between 0 and 1."""
    if not 0 < value < 1:
        _refuse(name, value, "a number above 0 and below 1")


def require_count(name: str, value: float, least: int = 1, most: float = math.inf) -> None:
    """`value` is a whole number from `least` to `most`."""
    whole = not isinstance(value, bool) and math.isfinite(value) and value == int(value)
    if not whole or value < least or value > most:
        bound = "" if math.isinf(most) else f" and at most {most:.0f}"
        _refuse(name, value, f"a whole number of at least {least}{bound}")
