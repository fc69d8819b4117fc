"""Numbers as people read them. Nothing here rounds an ε inward."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def as_float(value: Any) -> float:
    """A JSON ε: a number, or the string "inf"."""
    return math.inf if value == "inf" else float(value)


def number(value: float) -> str:
    """All digits the result carries, with thousands separators; powers of ten where digits would mislead."""
    if math.isinf(value):
        return "∞"
    if value != 0 and not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{Decimal(repr(float(value))):e}".lower().split("e")
        digits = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{digits} × 10{str(int(exponent)).translate(_SUPERSCRIPTS)}"
    text = f"{Decimal(repr(float(value))):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def delta(value: float) -> str:
    """δ to four significant digits, rounded up."""
    return number(float(Context(prec=4, rounding=ROUND_CEILING).create_decimal(Decimal(repr(value)))))


def bracket(lower: float, upper: float) -> str:
    """A bracket in words: one number, a range, "at least", "no bound", or ∞."""
    if math.isinf(lower):
        return "∞"
    if math.isinf(upper):
        return f"≥ {number(lower)}" if lower else "no bound"
    low, high = number(lower), number(upper)
    return low if low == high else f"{low} – {high}"


def share(value: float) -> str:
    """A share as a percentage with one decimal, never rounded to a misleading 0 % or 100 %."""
    if value in (0, 1):
        return f"{100 * value:.0f} %"
    if 0 < value < 0.001:
        return "under 0.1 %"
    if 0.999 < value < 1:
        return "over 99.9 %"
    return f"{100 * value:.1f} %"


def whole(value: int) -> str:
    """A count with all its digits."""
    return f"{value:,}"


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
