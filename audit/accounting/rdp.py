"""Renyi accounting of example-level mechanisms by dp_accounting, with the new and the old conversion."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from dp_accounting import dp_event
from dp_accounting.privacy_accountant import NeighboringRelation
from dp_accounting.rdp import RdpAccountant

from audit.accounting.inputs import UnknownMechanismError
from audit.accounting.pairs import Floats
from audit.accounting.steps import leaves

OLD_ORDERS = tuple(1 + x / 10 for x in range(1, 100)) + tuple(range(12, 64)) + (64, 128, 256, 512)
"""The orders of the TensorFlow Privacy tutorials of 2018-2021."""


@contextmanager
def quiet() -> Iterator[None]:
    """Silences the libraries' warnings, which repeat per order; what matters is in the result."""
    absl = logging.getLogger("absl")
    level = absl.level
    absl.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield
    finally:
        absl.setLevel(level)


def epsilon(event: dp_event.DpEvent, delta: float, relation: NeighboringRelation) -> float:
    """Upper bound of epsilon by RDP, default orders and improved conversion (arXiv 2004.00010, Prop. 12).

    Raises UnknownMechanismError for events the library does not price under `relation`.
    """
    with quiet():
        accountant = _accountant(event, relation, None)
        return float(accountant.get_epsilon(delta))


def epsilon_old(event: dp_event.DpEvent, delta: float, relation: NeighboringRelation) -> float:
    """Upper bound by the conversion of 2016-2021: min over orders of rdp + log(1/delta) / (order - 1).

    The moments accountant of Abadi et al. (arXiv 1607.00133); reproduces numbers printed in those years.
    """
    with quiet():
        orders = np.array(OLD_ORDERS, dtype=float)
        rdp = _accountant(event, relation, OLD_ORDERS).rdp
    return max(0.0, float(np.min(rdp - math.log(delta) / (orders - 1))))


def to_epsilon(orders: Floats, rdp: Floats, delta: float) -> float:
    """The improved conversion at any orders above 1: min of rdp + log(1 - 1/a) - log(delta a) / (a - 1)."""
    found = rdp + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
    return max(0.0, float(np.min(found)))


def _accountant(
    event: dp_event.DpEvent, relation: NeighboringRelation, orders: Sequence[float] | None
) -> RdpAccountant:
    accountant = RdpAccountant(orders, relation)
    if relation is NeighboringRelation.REPLACE_ONE:
        event = _with_halved_noise(event)
    if not accountant.supports(event):
        names = sorted({type(leaf).__name__ for leaf, _ in leaves(event)})
        raise UnknownMechanismError(f"rdp cannot price {', '.join(names)} under {relation.name}")
    accountant.compose(event)
    return accountant


def _with_halved_noise(event: dp_event.DpEvent) -> dp_event.DpEvent:
    """`event` with its noise multipliers relative to the replace-one sensitivity, twice the clip norm.

    dp_accounting's RDP reads them so, while its PLD and this toolkit read them relative to the clip norm.
    """
    if isinstance(event, dp_event.GaussianDpEvent | dp_event.LaplaceDpEvent):
        return type(event)(event.noise_multiplier / 2)
    if isinstance(event, dp_event.ComposedDpEvent):
        return dp_event.ComposedDpEvent([_with_halved_noise(inner) for inner in event.events])
    if isinstance(event, dp_event.SelfComposedDpEvent):
        return dp_event.SelfComposedDpEvent(_with_halved_noise(event.event), event.count)
    if isinstance(event, dp_event.SampledWithoutReplacementDpEvent):
        inner = _with_halved_noise(event.event)
        return dp_event.SampledWithoutReplacementDpEvent(event.source_dataset_size, event.sample_size, inner)
    if isinstance(event, dp_event.RepeatAndSelectDpEvent):
        return dp_event.RepeatAndSelectDpEvent(_with_halved_noise(event.event), event.mean, event.shape)
    return event
