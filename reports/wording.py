"""The report's own words: levels, severities, bases, statuses, and sentences for people who are no experts."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any, NamedTuple

from reports.numbers import number, plural
from reports.scale import NO_GUARANTEE_ABOVE


class Term(NamedTuple):
    name: str
    meaning: str


LEVELS = {
    "broken": Term("Does not hold", "the claim does not hold as worded"),
    "weaker": Term(
        "Weaker than it reads", "the claim holds only under something unsaid, and protects less than it reads"
    ),
    "unknown": Term("Cannot be judged", "the sources read do not suffice to tell"),
    "holds": Term(
        "Holds, as far as checked", "no check found anything against the claim, but for what is waived and named"
    ),
}  # worst first

SEVERITIES = {
    "high": Term("High", "the claim does not hold as worded"),
    "medium": Term("Medium", "it holds only under something unsaid"),
    "low": Term("Low", "it stands, but is hard to repeat or its results mean less than they seem"),
    "info": Term("Info", "worth knowing"),
}

BASES = {
    "observed": Term("observed", "measured in data or in a run"),
    "computed": Term("computed", "follows by arithmetic from stated facts"),
    "read": Term("read", "read in the paper or in released code"),
    "pattern": Term("pattern", "a pattern in the code suggests it"),
    "silence": Term("silence", "no source read says otherwise"),
}

CONFIDENCES = {"high": "high confidence", "medium": "medium confidence", "low": "low confidence"}

STATUSES = {
    "found": Term("Found", "at least one finding"),
    "clean": Term("Clean", "judged, and nothing found"),
    "skipped": Term("Not judged", "something needed was missing"),
    "failed": Term("Failed", "the check itself broke; it says nothing about the claim"),
}

RELATIONS = {
    "add-or-remove-one": "add or remove one",
    "replace-one": "replace one",
    "replace-special": "replace one by a null record",
}

KNOWN = {
    "paper": "read in the paper",
    "code": "read in the code",
    "executed": "seen by running the code",
    "derived": "derived by arithmetic",
    "secondary": "somebody else's account",
    "unconfirmed": "unconfirmed",
}

IDENTITIES = {
    "named dataset": "This is the named dataset.",
    "sample": "This is only a sample of the named dataset, not what the paper trained on.",
    "unknown": "Whether this is the named dataset is unknown.",
}


def answer(
    counts: dict[str, int], *, person: bool = True, scripts: bool = False, waived: Collection[str] = ()
) -> tuple[str, str]:
    """(short answer, what it says of the claims), from the number of claims at each level.

    A claim that holds for its unit says nothing of a person whose records nobody counted. `scripts`: every claim is
    known from scripts alone. `waived`: checks whose waived findings of high severity the levels leave out.
    """
    short, said = _answer(counts, person, sorted(waived))
    if scripts:
        said = said.replace("claims", "ε targets in the released scripts").replace(" as worded", "")
    return short, said


def _answer(counts: dict[str, int], person: bool, waived: Sequence[str]) -> tuple[str, str]:
    total = sum(counts.values())
    worst = next((level for level in LEVELS if counts[level]), None)
    if worst is None:
        return "No claim to judge.", "The card names no ε"
    but = f", but for what is waived of high severity: {', '.join(waived)}" if worst == "holds" and waived else ""
    short, one, some, all_of_them = ANSWERS["waived" if but else worst]
    if worst == "holds" and not person:
        short = "Not known for a person."
    if total == 1:
        return short, one + but
    number_of_them = counts[worst]
    if number_of_them == total:
        return short, all_of_them.format(total) + but
    verb = some[0] if number_of_them == 1 else some[1]
    return short, f"{number_of_them} of {total} claims {verb}"


ANSWERS = {
    "broken": (
        "No.",
        "The claim does not hold as worded",
        ("does not hold as worded", "do not hold as worded"),
        "None of the {} claims holds as worded",
    ),
    "weaker": (
        "Less than it reads.",
        "The claim protects less than it reads",
        ("protects less than it reads", "protect less than they read"),
        "All {} claims protect less than they read",
    ),
    "unknown": (
        "It cannot be told.",
        "The claim cannot be judged from the sources read",
        ("cannot be judged from the sources read", "cannot be judged from the sources read"),
        "None of the {} claims can be judged from the sources read",
    ),
    "holds": (
        "Yes, as far as checked.",
        "No check found anything against the claim",
        ("", ""),
        "No check found anything against any of the {} claims",
    ),
    "waived": (
        "Yes, but for what is waived.",
        "The claim holds, as far as checked",
        ("", ""),
        "All {} claims hold, as far as checked",
    ),
}


def waived(waiver: Mapping[str, Any]) -> str:
    """Until when a waiver holds, whose it is and why."""
    return f"until {waiver['expires']} by {waiver['author']}: {waiver['reason']}"


def warning(lower: float, upper: float) -> str | None:
    """What a bracket fails to promise somebody whose data was used; None where it promises something."""
    if math.isinf(lower):
        return "no finite ε limits what the release can reveal"
    if lower > NO_GUARANTEE_ABOVE:
        return f"above {NO_GUARANTEE_ABOVE:g}, which guarantees nothing of use"
    if math.isinf(upper):
        return "and no upper limit is proved" if lower else "no limit on ε is proved"
    if upper > NO_GUARANTEE_ABOVE:
        return f"may lie above {NO_GUARANTEE_ABOVE:g}, which guarantees nothing of use"
    return None


def odds(epsilon: float) -> str:
    """The factor e^ε by which a release can move the odds that a unit's data was used (δ apart)."""
    if math.isinf(epsilon):
        return "no limit"
    factor = math.exp(min(epsilon, 700.0))
    if epsilon > 100:
        return f"up to a factor with {plural(math.floor(epsilon / math.log(10)) + 1, 'digit')}"
    rounded = factor if factor < 10 else round(factor, -max(0, math.floor(math.log10(factor)) - 2))
    return f"up to {number(float(f'{rounded:.3g}'))} times"


def attack_cap(epsilon: float, delta: float, false_positive_rate: float) -> float:
    """Largest true positive rate of any membership test at this false positive rate under (ε, δ).

    min(e^ε·α + δ, 1 − e^−ε·(1 − δ − α)), the trade-off curve of (ε, δ)-DP (arXiv 1905.02383, eq. 5).
    """
    if math.isinf(epsilon):
        return 1.0
    rise = math.exp(min(epsilon, 700.0)) * false_positive_rate + delta
    return max(0.0, min(1.0, rise, 1 - math.exp(-epsilon) * (1 - delta - false_positive_rate)))


def advantage_cap(epsilon: float, delta: float) -> float:
    """Largest TPR − FPR of any membership test under (ε, δ): (e^ε − 1 + 2δ) / (e^ε + 1) (arXiv 1311.0776)."""
    if math.isinf(epsilon):
        return 1.0
    return min(1.0, 1 - 2 * (1 - delta) / (1 + math.exp(min(epsilon, 700.0))))


def limit(value: float) -> str:
    """A limit on a share in words, rounded up; one that excludes next to nothing is called that."""
    if value >= 1:
        return "no limit"
    if value > 0.999:
        return "no useful limit (over 99.9\u00a0%)"
    percent = Context(prec=3, rounding=ROUND_CEILING).create_decimal(Decimal(repr(100 * value)))
    return f"at most {number(float(percent))}\u00a0%"


LIMITS_FROM = {
    "whole curve": "the whole trade-off curve",
    "point": "ε and δ alone, which can be far from tight",
    "nothing": "no upper limit on ε is known",
}

STANDINGS = {
    "no bound": "bounds nothing",
    "looser bound": "a looser bound",
    "price of mending": "what mending would cost",
}
