"""A result made by hand in the shape of `result.json`: many claims, ∞, missing rungs, hostile and long strings."""

from __future__ import annotations

import copy
from typing import Any

import pytest

HOSTILE = '<script>alert("x")</script><img src=x onerror=y>\'"&{{ 7*7 }}'
LONG = "Unbroken" + "Wörd" * 120
MECHANISMS = {
    "bart": ("none", (3.0, 8.0)),
    "bloom": ("none", (3.0, 8.0)),
    "phi": ("none", (3.0, 8.0)),
    "genie": ("channel", (3.0, 8.0)),
    "diffuseq": ("channel", (1.0, 3.0, 8.0)),
}
DATASETS = {"spam": 42176, "swmh": 34824, "thumbs-up": 154672, "webmd": 141368, "drugs": 17020}


def rung(ident: str, label: str, lower: float | str | None, upper: float | str | None, **more: Any) -> dict[str, Any]:
    return {
        "id": ident,
        "label": label,
        "epsilon_lower": rounded(lower),
        "epsilon_upper": rounded(upper),
        "delta": 2.371e-06,
        "privacy_unit": "one record",
        "neighboring_relation": "add-or-remove-one",
        "method": "PLD of the Poisson-subsampled Gaussian, connect-the-dots, grid 1e-4",
        "assumption": "Every iterate is released; the noise multiplier is derived from the claimed ε.",
        "group_size": None,
        "unavailable": None,
        **more,
    }


def rounded(value: float | str | None) -> float | str | None:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def missing(ident: str, label: str, why: str) -> dict[str, Any]:
    return rung(ident, label, None, None, delta=None, unavailable=why)


def person(k: int, label: str, lower: float, upper: float | str, ident: str) -> dict[str, Any]:
    return rung(
        ident,
        label,
        lower,
        upper,
        group_size=k,
        privacy_unit=f"all records of a person ({k} at most)",
        method="group privacy of the whole curve (black box)",
        assumption=f"A person holds at most {k} records; neighbours differ in all of them.",
    )


def ladder(epsilon: float, flaw: str) -> list[dict[str, Any]]:
    rungs = [
        rung("claimed", "As claimed", epsilon, epsilon, method="stated", assumption="Taken at its word."),
        rung(
            "recomputed",
            "Recomputed from the stated training",
            epsilon * 0.993,
            epsilon * 0.995,
            attack={
                "advantage": 0.2125,
                "tpr_at_fpr": {"0.001": 0.004321, "0.01": 0.03456},
                "source": "the curve of delta in both directions",
            },
        ),
        rung("steps-as-run", "Steps as run", epsilon * 0.45, epsilon * 0.46),
        rung(
            "sampler-as-coded",
            "Sampler as coded: shuffled each epoch",
            epsilon * 9.65,
            epsilon * 25.1,
            method="lower: dynamic shuffle; upper: deterministic batches",
            assumption="Worst-case data set; every other gradient opposes the target's.",
        ),
        person(2, "A person with 2 records", epsilon * 2.2, epsilon * 2.5, "person-k2")
        | {"beside": [{"label": "2 × the ε of one record", "epsilon": epsilon * 1.99, "standing": "no bound"}]},
        missing(
            "person-p99", "A person at the 99th percentile", "records per person were not measured: no unit column"
        ),
        person(38, "The person with most records", epsilon * 36.5, "inf", "person-max"),
        rung("preprocessing", "Class balancing before training", epsilon * 5, epsilon * 5.02),
    ]
    if flaw == "channel":
        rungs.append(
            rung("channels", "Un-noised channel: loss-aware timesteps", "inf", "inf", method="exact statistic released")
        )
    else:
        rungs.append(missing("channels", "Un-noised channels", "none known in the sources read"))
    return rungs


def claim(mechanism: str, dataset: str, epsilon: float, flaw: str) -> dict[str, Any]:
    broken = flaw == "channel"
    return {
        "id": f"{mechanism}-{dataset}-{epsilon:g}",
        "label": f"{mechanism} on {dataset}, ε = {epsilon:g}",
        "wording": "the released scripts target",
        "mechanism": mechanism,
        "dataset": dataset,
        "epsilon": epsilon,
        "delta": 2.371e-06,
        "privacy_unit": None if dataset == "drugs" else "one record",
        "records": DATASETS[dataset],
        "noise_multiplier": 0.8032,
        "noise_multiplier_derived": True,
        "verdict": (
            f"The claimed ε = {epsilon:g} does not hold: the timestep sampler reads un-noised losses."
            if broken
            else f"The claimed ε = {epsilon:g} holds for one record and not for a person who holds several."
        ),
        "verdict_level": "broken" if broken else "weaker",
        "ladder": ladder(epsilon, flaw),
        "curve": [
            {"group_size": k, "epsilon_lower": round(epsilon * k**1.1, 4), "epsilon_upper": round(epsilon * k**1.25, 4)}
            for k in (1, 2, 3, 4, 6, 8, 12, 16, 24)
        ]
        + [{"group_size": 38, "epsilon_lower": round(epsilon * 55, 4), "epsilon_upper": "inf"}],
    }


def finding(severity: str, basis: str, summary: str, claims: tuple[str, ...] = (), evidence: int = 1) -> dict[str, Any]:
    confidence = {"silence": "low", "pattern": "low", "read": "medium", "computed": "high", "observed": "high"}
    return {
        "severity": severity,
        "basis": basis,
        "confidence": confidence[basis],
        "summary": summary,
        "evidence": [
            {
                "source": "code",
                "where": f"step_sample.py:{118 + n} at b042515",
                "what": "The sampler keeps the last ten losses of each timestep and draws in proportion.",
            }
            for n in range(evidence)
        ],
        "remedy": "Draw timesteps uniformly, or account for the released statistic with noise of its own.",
        "claims": list(claims),
    }


def outcome(check: str, question: str, *findings: Any, skips: Any = (), error: str | None = None) -> dict[str, Any]:
    status = "failed" if error else "found" if findings else "skipped" if skips else "clean"
    return {
        "check": check,
        "question": question,
        "findings": list(findings),
        "skips": list(skips),
        "error": error,
        "status": status,
    }


def outcomes(claims: list[dict[str, Any]]) -> list[dict[str, Any]]:
    diffusion = tuple(c["id"] for c in claims if c["mechanism"] in ("genie", "diffuseq"))
    some = tuple(c["id"] for c in claims if c["epsilon"] == 8)
    return [
        outcome(
            "unaccounted-data-dependent-state",
            "Does training keep or release something computed from the private data without noise?",
            finding(
                "high", "computed", "The timestep sampler of DiffuSeq reads un-noised per-record losses.", diffusion, 3
            ),
            finding("low", "read", "Raw losses are written to the log.", some),
        ),
        outcome(
            "records-per-person-ignored",
            "Can one person hold several records, and does the claim say what it protects?",
            finding("medium", "observed", "6,403 people wrote the 10,000 records; one of them wrote 38.", ()),
            skips=[
                {
                    "reason": "WebMD carries no author column.",
                    "needs": "a column that names the author",
                    "claims": [claims[0]["id"]],
                }
            ],
        ),
        outcome("delta-too-large", "Is δ well below one over the number of people?"),
        outcome(
            "contamination-unchecked",
            "Was the pretraining corpus searched for the private texts?",
            finding("medium", "silence", "No source read says that GPT-2's corpus was searched. " + HOSTILE, some),
        ),
        outcome(
            "split-overlap",
            "Do splits share texts?",
            skips=[{"reason": "No data to judge by.", "needs": "the private data: --data NAME=PATH", "claims": []}],
        ),
        outcome(
            "labels-shifted", "Does generation prompt each class by its own name?", finding("info", "pattern", LONG)
        ),
        outcome("metric-not-comparable", "Are utility figures comparable?", error="KeyError at audit.checks.metric:41"),
    ]


def data() -> list[dict[str, Any]]:
    histogram = {
        "1": 4976,
        "2": 807,
        "3": 270,
        "4": 130,
        "5": 70,
        "6": 45,
        "7": 30,
        "8": 22,
        "9": 13,
        "12": 20,
        "17": 12,
        "24": 7,
        "38": 1,
    }
    return [
        {
            "name": "webmd",
            "role": "private",
            "format": "jsonl.gz",
            "identity": {
                "verdict": "sample",
                "why": "10,000 records; the manifest's source publishes 141,368, so this is a sample.",
                "sha256": "3f" * 32,
                "records": 10000,
                "published_records": 141368,
            },
            "text_column": "text",
            "unit_column": "user_id",
            "counts": {
                "records": 10000,
                "units": 6403,
                "max": 38,
                "mean": 1.5618,
                "p50": 1.0,
                "p90": 3.0,
                "p99": 8.0,
                "p999": 18.6,
                "share_single": 0.7771,
                "share_top1": 0.0957,
                "missing": 0,
                "histogram": histogram,
            },
        },
        {
            "name": "qqp",
            "role": "corpus",
            "format": "parquet",
            "identity": {
                "verdict": "unknown",
                "why": "The manifest publishes no count.",
                "sha256": "a0" * 32,
                "records": 404290,
                "published_records": None,
            },
            "text_column": "question",
            "unit_column": None,
            "counts": None,
        },
    ]


def paper() -> dict[str, Any]:
    observation = {
        "id": "genie-steps",
        "kind": "steps-mismatch",
        "mechanisms": ["genie"],
        "where": "genie/train.py:212",
        "commit": "b042515",
        "basis": "read",
        "what": "The loop counts physical batches where the accountant counts logical ones.",
        "figures": ["50,160 accounted", "12,540 run"],
    }
    return {
        "id": "ochs-2025",
        "title": "Private Synthetic Text Generation with Diffusion Models",
        "citation": "Ochs and Habernal (2025). Private Synthetic Text Generation with Diffusion Models. NAACL.",
        "arxiv": "2410.22971",
        "about": "Trains text diffusion models and language models with DP-SGD and compares the synthetic text.",
        "caveat": "Released code may differ from the code that ran; observations speak of the commit named.",
        "sources": [
            {
                "id": "paper",
                "kind": "paper",
                "citation": "arXiv 2410.22971v2",
                "url": "https://arxiv.org/abs/2410.22971",
                "commit": None,
                "read": "full text",
            },
            {
                "id": "code",
                "kind": "code",
                "citation": "released code",
                "url": "javascript:alert(1)",
                "commit": "b042515",
                "read": "file by file",
            },
        ],
        "observations": [
            observation,
            {
                **observation,
                "id": "seed",
                "kind": "noise-seed-published",
                "what": HOSTILE,
                "basis": "computed",
                "figures": [],
            },
            {**observation, "id": "note-1", "kind": "note", "what": LONG, "mechanisms": [], "figures": []},
        ],
        "reported": [{"what": "RoBERTa accuracy, SPAM, ε = 8", "value": "0.93", "where": "Table 2", "known": "paper"}],
        "not_in_sources": ["the ε that SeqDiffuSeq was trained with", "the number of people in each data set"],
        "response": None,
        "corrections": [],
    }


def build(claims: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    if claims is None:
        claims = [
            claim(name, dataset, epsilon, flaw)
            for name, (flaw, epsilons) in MECHANISMS.items()
            for dataset in DATASETS
            for epsilon in epsilons
            if not (name == "diffuseq" and dataset == "drugs")
        ]
    return {
        "version": 1,
        "paper": paper(),
        "claims": claims,
        "data": data(),
        "outcomes": outcomes(claims),
        "provenance": {
            "command": "audit run prior-work/ochs-2025 --data webmd=sample.jsonl.gz",
            "versions": {"dp-accounting": "0.4.4", "dp-claim-audit": "0.1.0", "python": "3.11.2"},
            "commit": None,
            "started": "2025-11-25T12:00:00+00:00",
            "seconds": 41.7,
            "inputs": {"card ochs-2025": "c4" * 32, "data webmd": "3f" * 32},
        },
    }


@pytest.fixture
def result() -> dict[str, Any]:
    """A fresh, realistic result with 52 claims."""
    return copy.deepcopy(build())


@pytest.fixture
def result_builder() -> Any:
    """Makes results of any number of claims: `result_builder(claims)`, with `result_builder.claim(...)`."""

    class Builder:
        hostile = HOSTILE
        claim = staticmethod(claim)
        missing = staticmethod(missing)

        def __call__(self, claims: list[dict[str, Any]] | None = None) -> dict[str, Any]:
            return copy.deepcopy(build(claims))

    return Builder()
