"""dp_accounting's own PLD accountant, for the mechanisms that have no pair here."""

from __future__ import annotations

from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.privacy_accountant import NeighboringRelation

from audit.accounting.inputs import UnknownMechanismError
from audit.accounting.rdp import quiet
from audit.accounting.steps import leaves


def epsilon(event: dp_event.DpEvent, delta: float, relation: NeighboringRelation) -> float:
    """Upper bound of epsilon by connect-the-dots at the library's interval of 1e-4.

    Raises UnknownMechanismError for events the library does not price under `relation`.
    """
    with quiet():
        accountant = PLDAccountant(relation)
        if not accountant.supports(event):
            names = sorted({type(leaf).__name__ for leaf, _ in leaves(event)})
            raise UnknownMechanismError(f"pld cannot price {', '.join(names)} under {relation.name}")
        accountant.compose(event)
        return float(accountant.get_epsilon(delta))
