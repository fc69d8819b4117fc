"""An audit as two checklists that reviewers use: the hazards of NIST SP 800-226 and the ARR Responsible NLP checklist.

The items are in our own words. Section numbers of SP 800-226 follow its public draft of December 2023: look them up
in the final version of March 2025 before quoting. Which check bears on which item is a judgement of this project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Item:
    """One line of a checklist and the checks that bear on it."""

    source: str
    place: str
    asks: str
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What the audit says to an item: found (by which checks), clean, not judged, or beyond what is checked."""

    item: Item
    state: str
    found: tuple[str, ...]
    open: tuple[str, ...]
    waivers: Mapping[str, Json]  # check -> the waiver that holds for what it found


NIST, ARR = "NIST SP 800-226", "ARR Responsible NLP checklist"
ITEMS = (
    Item(NIST, "2.2", "ε is small enough to mean something, and all analyses of the data are added up",
         ("epsilon-understated", "selection-unaccounted", "best-checkpoint-loaded", "access-not-covered")),
    Item(NIST, "2.3", "δ lies far below one over the number of records", ("delta-too-large",)),
    Item(NIST, "2.4", "the privacy unit and the neighbouring relation are stated",
         ("privacy-unit-unstated",)),
    Item(NIST, "2.4", "the unit is a person, or contributions of a person are bounded and counted",
         ("records-per-person-ignored", "person-column-missing", "person-column-unreliable",
          "preprocessing-not-stable")),
    Item(NIST, "2.5", "figures that are compared have the same unit, δ and measure", ("metric-not-comparable",)),
    Item(NIST, "2.6", "nothing made from the same data is released without noise",
         ("label-distribution-released", "label-counts-in-generation", "raw-losses-written",
          "unaccounted-data-dependent-state", "contamination-found")),
    Item(NIST, "3", "the mechanism comes from a well-tested library, unchanged", ("dependency-edited",)),
    Item(NIST, "3.1, B.6", "sensitivity is enforced: each record is clipped alone, every step is noised",
         ("per-record-gradient-coupled", "grad-sample-expanded", "empty-batch-skipped", "empty-batch-continued",
          "loss-aware-sampler")),
    Item(NIST, "B.6", "what ran is what was accounted: sampler, steps, noise",
         ("sampling-mismatch", "shuffle-accounted-as-poisson", "steps-mismatch", "epochs-from-other-loader",
          "run-not-as-accounted", "ledger-broken")),
    Item(NIST, "4.3", "noise comes from a source that nobody can repeat", ("noise-seed-published",
         "seed-without-secure-mode")),
    Item(NIST, "3.2, 3.6", "utility is measured with the right labels, apart from the data trained on",
         ("labels-shifted", "validation-inside-train", "validation-drawn-from-train", "split-overlap",
          "training-had-no-effect")),
    Item(NIST, "4.1, 4.2, 4.4, 4.5", "query and threat model, access control, minimal collection", ()),
    Item(ARR, "A2", "risks of the release to the people in the data are discussed",
         ("records-per-person-ignored", "contamination-found", "contamination-unchecked")),
    Item(ARR, "B4", "personal data are named, with what was done to protect them",
         ("privacy-unit-unstated", "person-column-missing")),
    Item(ARR, "B6", "sizes of splits are reported, and splits do not share records",
         ("split-overlap", "validation-inside-train", "validation-drawn-from-train")),
    Item(ARR, "C2", "the set-up can be repeated: hyper-parameters, and how they were chosen",
         ("run-not-recoverable", "selection-unaccounted", "learning-rate-step-constant", "boolean-flag-always-true",
          "trailing-comma-tuple")),
    Item(ARR, "C4", "packages and their settings are named, with every change made to them",
         ("dependency-edited", "run-not-recoverable")),
)  # fmt: skip
STATES = {
    "found": "something was found",
    "clean": "nothing found",
    "open": "not judged",
    "beyond": "to be answered by the authors",
}


def answers(outcomes: Sequence[Json]) -> list[Answer]:
    """Every item with what the audit's outcomes say to it; what was not judged is never clean."""
    status = {outcome["check"]: outcome["status"] for outcome in outcomes}
    waivers = {outcome["check"]: outcome["waiver"] for outcome in outcomes if outcome.get("waiver")}
    return [_answer(item, status, waivers) for item in ITEMS]


def _answer(item: Item, status: Mapping[str, str], waivers: Mapping[str, Json]) -> Answer:
    found = tuple(check for check in item.checks if status.get(check) == "found")
    unjudged = tuple(check for check in item.checks if status.get(check) != "clean" and check not in found)
    state = "found" if found else "open" if unjudged else "clean" if item.checks else "beyond"
    return Answer(item, state, found, unjudged, {check: waivers[check] for check in found if check in waivers})
