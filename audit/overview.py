"""Every built-in paper put to every check that a card alone can answer: found, noted, clean or skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audit.cards import built_in_cards, built_in_manifests, load_card, load_manifest
from audit.check import Check, Need, all_checks
from audit.ladder import claim_result
from audit.run import put
from audit.setting import settings
from audit.subject import Subject
from audit.types import Manifest, Outcome, PaperCard, Severity

WORDS = {"found": "**found**", "noted": "noted", "clean": "clean", "skipped": "–", "failed": "failed"}


@dataclass(frozen=True)
class Row:
    """One paper: its card, and the answer of each check by ident, a key of WORDS."""

    card: PaperCard
    answers: Mapping[str, str]


def of_card_alone() -> dict[str, Check]:
    """The checks that need no data, corpus, code or ledger: what a card says is enough."""
    return {ident: check for ident, check in all_checks().items() if set(check.needs) <= {Need.CLAIMS}}


def overview(cache: Path | None = None) -> list[Row]:
    """Every built-in paper, in alphabetical order; `cache` is a folder of earlier prices or None."""
    manifests = {ident: load_manifest(path) for ident, path in built_in_manifests().items()}
    return [_row(load_card(path), manifests, cache) for path in built_in_cards().values()]


def _row(card: PaperCard, manifests: Mapping[str, Manifest], cache: Path | None) -> Row:
    """Claims are priced where their noise is stated: noise that is derived from a claim contradicts nothing."""
    stated = [setting for setting in settings(card, {}) if setting.noise_multiplier is not None]
    subject = Subject(card, manifests, claims=tuple(claim_result(setting, cache) for setting in stated))
    return Row(card, {ident: word(put(check, subject)) for ident, check in of_card_alone().items()})


def word(outcome: Outcome) -> str:
    """The outcome's status; "noted" where every finding is for information only."""
    noted = outcome.findings and all(finding.severity is Severity.INFO for finding in outcome.findings)
    return "noted" if noted else outcome.status.value


def markdown(rows: Sequence[Row]) -> str:
    """Two tables: what was read of each paper and how many checks answered, then check × paper."""
    return "\n".join((*_papers(rows), "", *_checks(rows), ""))


def _papers(rows: Sequence[Row]) -> Iterator[str]:
    yield "| paper | read of it | released code | found | noted | clean | skipped |"
    yield "|---|---|---|--:|--:|--:|--:|"
    for row in rows:
        count = Counter(row.answers.values())
        read = "; ".join(source.read for source in row.card.sources if source.kind == "paper") or "nothing"
        code = "read" if any(source.kind == "code" for source in row.card.sources) else "–"
        totals = " | ".join(str(count[answer]) for answer in ("found", "noted", "clean", "skipped"))
        yield f"| `{row.card.id}` | {_cell(read)} | {code} | {totals} |"


def _checks(rows: Sequence[Row]) -> Iterator[str]:
    yield f"| check | {' | '.join(f'`{row.card.id}`' for row in rows)} |"
    yield f"|---|{'---|' * len(rows)}"
    for ident in of_card_alone():
        yield f"| `{ident}` | {' | '.join(WORDS[row.answers[ident]] for row in rows)} |"


def _cell(text: str) -> str:
    return text.replace("|", "/")
