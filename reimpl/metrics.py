"""What a set of texts is worth: a classifier trained on it, its perplexity, its lengths and words, its copies.

Every function takes texts that were cut beforehand, so that all sets are cut alike (`cut`).
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from reimpl.data import Record
from reimpl.membership import words


def cut(text: str, length: int) -> str:
    """The first `length` white-space separated words, joined by single spaces."""
    return " ".join(text.split()[:length])


def resampled(records: Sequence[Record], seed: int) -> list[Record]:
    """As many records, drawn with replacement: what a seed changes for a classifier that has no randomness."""
    rows = np.random.RandomState(seed).randint(len(records), size=len(records))
    return [records[row] for row in rows]


def downstream(train: Sequence[Record], test: Sequence[Record], seed: int) -> dict[str, float]:
    """{accuracy, macro_f1} on test of TF-IDF and logistic regression, trained on texts drawn anew from train.

    The F1 of a class that is in test counts, also where training never named it. With one class in training the
    answer is that class.
    """
    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    drawn = resampled(train, seed)
    labels = [record.label for record in drawn]
    head = LogisticRegression(max_iter=1000) if len(set(labels)) > 1 else DummyClassifier(strategy="most_frequent")
    model = make_pipeline(TfidfVectorizer(tokenizer=words, token_pattern=None), head)
    texts = [record.text for record in drawn]
    if not any(words(text) for text in texts):
        model = DummyClassifier(strategy="most_frequent")
    model.fit(texts, labels)
    return scores(list(model.predict([record.text for record in test])), test)


def scores(predicted: Sequence[int], test: Sequence[Record]) -> dict[str, float]:
    """Accuracy and the mean F1 over the classes of test."""
    from sklearn.metrics import accuracy_score, f1_score

    truth = [record.label for record in test]
    macro = f1_score(truth, predicted, labels=sorted(set(truth)), average="macro", zero_division=0.0)
    return {"accuracy": float(accuracy_score(truth, predicted)), "macro_f1": float(macro)}


def over_seeds(results: Sequence[dict[str, float]]) -> dict[str, dict[str, Any]]:
    """Mean, sample standard deviation (none for one seed) and values of each metric."""
    summary = {}
    for name in results[0]:
        values = [result[name] for result in results]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        summary[name] = {"mean": float(np.mean(values)), "standard_deviation": spread, "values": values}
    return summary


def shape(texts: Sequence[str], reference: Sequence[str]) -> dict[str, float]:
    """Lengths and words of texts beside those of reference texts.

    length_distance: Wasserstein-1 distance of the lengths, in words. vocabulary_divergence: Jensen-Shannon
    divergence in bits (0 to 1) of the word frequencies; small sets differ by chance, so compare it with the one
    between two sets of real texts of the same size.
    """
    lengths, others = ([len(words(text)) for text in side] for side in (texts, reference))
    return {
        "mean_length": float(np.mean(lengths)),
        "length_distance": float(wasserstein_distance(lengths, others)),
        "vocabulary_divergence": vocabulary_divergence(texts, reference),
        "distinct_words": float(len({word for text in texts for word in words(text)})),
        "empty": float(sum(not text.strip() for text in texts)),
    }


def vocabulary_divergence(texts: Sequence[str], reference: Sequence[str]) -> float:
    """Jensen-Shannon divergence in bits; 1 where a side has no word at all."""
    first, second = (Counter(word for text in side for word in words(text)) for side in (texts, reference))
    if not first or not second:
        return 1.0
    both = sorted(first | second)
    frequencies = [np.array([side[word] for word in both], dtype=float) for side in (first, second)]
    return float(jensenshannon(*frequencies, base=2) ** 2)


def duplicates(texts: Sequence[str], private: Sequence[str]) -> dict[str, int]:
    """How many texts are a private text after normalisation, and how many private texts that are.

    Normalised: NFKC, case folded, words only. Near copies are not counted here: `audit overlap` finds those.
    """
    known = {digest(text) for text in private if words(text)}
    hits = [digest(text) for text in texts if words(text)]
    found = [hit for hit in hits if hit in known]
    return {"copies_of_training_records": len(found), "training_records_copied": len(set(found))}


def digest(text: str) -> str:
    said = " ".join(words(unicodedata.normalize("NFKC", text)))
    return hashlib.sha256(said.encode()).hexdigest()
