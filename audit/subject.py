"""The subject: what a check may look at. The only way to data and to authors' code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from audit.code.checkout import Checkout, read_checkout
from audit.corpus_overlap import corpus_overlap
from audit.records import Records
from audit.types import ClaimResult, CorpusOverlap, DatasetUse, Manifest, Mechanism, PaperCard, ProbedStep, RunResult


@dataclass(frozen=True)
class Subject:
    """A paper's card with the data, corpora, code and ledgers that came with it, and the ladders computed from them.

    `data` and `corpora` are keyed by the card's dataset and corpus names.
    """

    card: PaperCard
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    data: Mapping[str, Records] = field(default_factory=dict)
    corpora: Mapping[str, Records] = field(default_factory=dict)
    code: Path | None = None
    claims: tuple[ClaimResult, ...] = ()
    runs: tuple[RunResult, ...] = ()  # by ledgers that were given, not those of our own reimplementation
    probes: tuple[ProbedStep, ...] = ()  # of steps of our own reimplementation

    def has(self, need: str) -> bool:
        """Is what a check needs there? `need` is one of claims, data, corpus, code, ledger."""
        return {
            "claims": bool(self.card.claim),
            "data": bool(self.data),
            "corpus": bool(self.corpora),
            "code": self.code is not None,
            "ledger": bool(self.runs),
        }[need]

    @cached_property
    def checkout(self) -> Checkout:
        """The released code, read once; empty where none was given."""
        return read_checkout(self.code) if self.code is not None else Checkout()

    @cached_property
    def overlaps(self) -> tuple[CorpusOverlap, ...]:
        """What every corpus holds of every private dataset, in the card's order of corpora; searched once."""
        given = [self.corpora[use.name] for use in self.card.corpus if use.name in self.corpora]
        return tuple(corpus_overlap(private, corpus) for corpus in given for private in self.data.values())

    def mechanism(self, ident: str) -> Mechanism:
        return next(m for m in self.card.mechanism if m.id == ident)

    def dataset(self, name: str) -> DatasetUse:
        return next(d for d in self.card.dataset if d.name == name)

    def claims_of(self, mechanism: str | None = None, dataset: str | None = None) -> tuple[str, ...]:
        """Ids of the claims made with this mechanism and on this dataset."""
        return tuple(
            c.id
            for c in self.claims
            if mechanism in (None, c.mechanism) and dataset in (None, c.dataset)
        )
