"""Label counts released beside the trained model."""

from __future__ import annotations

import math

from dp_accounting import dp_event

from audit.accounting.bracket import Bracket
from audit.accounting.inputs import require_positive
from audit.accounting.mechanisms import composed, gaussian, laplace

EXACT = Bracket(
    math.inf,
    math.inf,
    "definition",
    ("exact label counts are a release without noise: adding or removing one record changes them for certain",),
)
"""Exact counts, or a prior over control codes taken from them: no finite epsilon, whatever the training."""


def with_laplace_histogram(training: dp_event.DpEvent, histogram_epsilon: float) -> dp_event.DpEvent:
    """`training` plus label counts with Laplace noise of scale 1 / `histogram_epsilon` per count.

    One record changes one count by 1; under replace-one two counts, which the accountants know.
    """
    require_positive("histogram_epsilon", histogram_epsilon)
    return composed([training, laplace(1 / histogram_epsilon)])


def with_gaussian_histogram(training: dp_event.DpEvent, noise: float) -> dp_event.DpEvent:
    """`training` plus label counts with Gaussian noise of standard deviation `noise` per count.

    Under replace-one the pair has sensitivity 2, which exceeds the true sqrt(2): an upper bound.
    """
    return composed([training, gaussian(noise)])
