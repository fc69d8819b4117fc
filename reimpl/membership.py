"""Membership inference from synthetic text alone, on canaries that were planted by a coin.

Each canary gets a score that is higher the more the synthetic text resembles it:

    n-gram             mean log-probability of its words under a bigram model of the synthetic text
    nearest-neighbour  mean Jaccard similarity, over sets of words, to its k most similar synthetic texts

after Meeus et al. 2025 (arXiv 2502.14921), which also trains reference models to say how likely a canary is in any
case. Here that part is played by one reference text where there is one, for instance from a model that never saw the
private data: its score is subtracted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

FPR = 0.01
NEIGHBOURS = 25
SMOOTHING = 0.1  # pseudo-count of a bigram that was never seen
CONFIDENCE = 0.95
NULL_RESULT = (
    "A rate near the false-positive rate does not show that nothing leaks: these two attacks see the synthetic text "
    "only, one set of it, and words only; a canary that the model learnt but never repeats is missed; an attacker "
    "with the model, with better canaries or with more text can succeed; and no attack bounds ε from above."
)


@dataclass(frozen=True)
class Canary:
    """A text whose membership in the training data was drawn by a coin before training."""

    text: str
    member: bool


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def membership(canaries: Sequence[Canary], synthetic: Sequence[str], reference: Sequence[str] = ()) -> dict[str, Any]:
    """For each attack: TPR at a FPR of at most 1 %, with an interval. ValueError without both kinds of canary."""
    members = np.array([canary.member for canary in canaries], dtype=bool)
    if members.all() or not members.any():
        raise ValueError("canaries: expected both members and others among them")
    if not all(words(canary.text) for canary in canaries):
        raise ValueError("canaries: expected at least one word in each")
    texts = [canary.text for canary in canaries]
    result: dict[str, Any] = {"members": int(members.sum()), "others": int((~members).sum())}
    for name, scored in {"n-gram": bigram_scores, "nearest-neighbour": neighbour_scores}.items():
        scores = scored(texts, synthetic)
        if reference:
            scores = scores - scored(texts, reference)
        result[name] = tpr_at_fpr(scores[members], scores[~members])
    return result | {"calibrated_by_reference": bool(reference), "what_a_null_result_does_not_show": NULL_RESULT}


def bigram_scores(texts: Sequence[str], synthetic: Sequence[str]) -> NDArray[np.float64]:
    """Mean log P(word | word before) of each text under the smoothed bigrams of the synthetic texts."""
    pairs, firsts = Counter(), Counter()
    for text in synthetic:
        said = ["", *words(text)]
        pairs.update(pairwise(said))
        firsts.update(said[:-1])
    known = len({word for pair in pairs for word in pair}) + 1  # and one for every word never seen

    def score(text: str) -> float:
        said = ["", *words(text)]
        steps = pairwise(said)
        logs = [np.log((pairs[a, b] + SMOOTHING) / (firsts[a] + SMOOTHING * known)) for a, b in steps]
        return float(np.mean(logs))

    return np.array([score(text) for text in texts])


def neighbour_scores(texts: Sequence[str], synthetic: Sequence[str]) -> NDArray[np.float64]:
    """Mean Jaccard similarity of each text to its NEIGHBOURS nearest synthetic texts (all where there are fewer)."""
    sets = [frozenset(words(text)) for text in synthetic]

    def score(text: str) -> float:
        own = frozenset(words(text))
        similarities = sorted((len(own & other) / max(1, len(own | other)) for other in sets), reverse=True)
        return float(np.mean(similarities[:NEIGHBOURS])) if similarities else 0.0

    return np.array([score(text) for text in texts])


def tpr_at_fpr(members: NDArray[np.float64], others: NDArray[np.float64], fpr: float = FPR) -> dict[str, float]:
    """The share of members that score above the threshold which at most a share fpr of the others exceeds.

    Ties with the threshold count as not found. Intervals are Clopper and Pearson's at 95 %, given the threshold: that
    of the true-positive rate, and the upper end of the false-positive rate, which few others leave wide. fpr_allowed
    is what the number of others can resolve: 0 where there are fewer than 1 / fpr of them.
    """
    allowed = int(np.floor(fpr * len(others) + 1e-9))
    threshold = np.sort(others)[::-1][allowed]
    hits, false_hits = int((members > threshold).sum()), int((others > threshold).sum())
    low, high = clopper_pearson(hits, len(members))
    return {
        "tpr": hits / len(members),
        "tpr_low": low,
        "tpr_high": high,
        "fpr": false_hits / len(others),
        "fpr_high": clopper_pearson(false_hits, len(others))[1],
        "fpr_allowed": allowed / len(others),
    }


def clopper_pearson(hits: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The exact two-sided interval of a binomial proportion."""
    tail = (1 - confidence) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, trials - hits + 1))
    high = 1.0 if hits == trials else float(beta.ppf(1 - tail, hits + 1, trials - hits))
    return low, high
