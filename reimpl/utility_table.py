"""An evaluation as a table that people read (Markdown)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ORDER = ("synthetic", "real", "public-only")
Evaluation = Mapping[str, Any]


def table(evaluation: Evaluation) -> str:
    """The sets side by side, the attacks, and what was left out."""
    names = [name for name in ORDER if name in evaluation["sets"]]
    sets = [evaluation["sets"][name] for name in names]
    lines = [
        f"# {evaluation['recipe']}: {evaluation['variant']}, {evaluation['scale']}, {evaluation['dataset']}, "
        f"ε = {evaluation['epsilon']}",
        "",
        f"| | {' | '.join(names)} |",
        f"|---{'|---' * len(names)}|",
        *(f"| {title} | {' | '.join(cell(one) for one in sets)} |" for title, cell in rows(sets)),
    ]
    lines += ["", *attacks(evaluation.get("membership"))]
    lines += [f"- not computed: {reason}" for reason in evaluation["skipped"]]
    lines += [f"- {note}" for note in evaluation["notes"]]
    lines.append(f"- classifier: {evaluation['classifier']}; texts cut at {evaluation['words_kept_of_a_text']} words")
    return "\n".join(lines) + "\n"


def rows(sets: list[Evaluation]) -> list[tuple[str, Any]]:
    """(title, function of a set to the cell)."""
    found = [
        ("texts", lambda one: str(one["texts"])),
        ("macro-F1", lambda one: spread(one["downstream"]["macro_f1"])),
        ("accuracy", lambda one: spread(one["downstream"]["accuracy"])),
        ("mean length, words", lambda one: f"{one['shape']['mean_length']:.1f}"),
        ("length distance to real test texts, words", lambda one: f"{one['shape']['length_distance']:.2f}"),
        ("vocabulary divergence to them, bits", lambda one: f"{one['shape']['vocabulary_divergence']:.3f}"),
        ("empty texts", lambda one: f"{one['shape']['empty']:.0f}"),
        ("copies of training records", lambda one: str(one["duplicates"]["copies_of_training_records"])),
    ]
    if any("perplexity" in one for one in sets):
        found.append(("perplexity, mean over texts", lambda one: number(one["perplexity"].get("mean"))))
        found.append(("perplexity, corpus", lambda one: number(one["perplexity"].get("corpus"))))
    if any("mauve" in one for one in sets):
        found.append(("MAUVE against real test texts", lambda one: number(one["mauve"]["mauve"])))
    return found


def spread(metric: Evaluation) -> str:
    deviation = metric["standard_deviation"]
    return f"{metric['mean']:.3f}" + ("" if deviation is None else f" ± {deviation:.3f}")


def number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def attacks(found: Evaluation | None) -> list[str]:
    if found is None:
        return []
    lines = [
        f"Membership inference from the texts alone, {found['members']} canaries planted, {found['others']} not:",
        "",
    ]
    for name in ("n-gram", "nearest-neighbour"):
        one = found[name]
        found_of = f"TPR {one['tpr']:.3f} (95 %: {one['tpr_low']:.3f} to {one['tpr_high']:.3f})"
        lines.append(f"- {name}: {found_of} at FPR {one['fpr']:.3f} (95 %: below {one['fpr_high']:.3f})")
    return [*lines, f"- {found['what_a_null_result_does_not_show']}"]
