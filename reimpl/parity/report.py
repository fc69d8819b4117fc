"""A parity result as a table for people."""

from __future__ import annotations

from reimpl.parity.run import Compared, Parity


def table(result: Parity) -> str:
    """One line an array: pass or FAIL, largest difference, tolerance; then what was not compared, by reason."""
    width = max((len(compared.array) for compared in result.arrays), default=5)
    lines = [f"{'':4}  {'array':{width}}  {'max |diff|':>10}  {'allowed':>10}"]
    lines += [_line(compared, width) for compared in result.arrays]
    reasons: dict[str, list[str]] = {}
    for array, why in result.not_compared.items():
        reasons.setdefault(why, []).append(array)
    lines += ["", "not compared:"] + [f"  {why}: {_shortened(arrays)}" for why, arrays in reasons.items()]
    passed = sum(compared.passed for compared in result.arrays)
    attention = " and ".join(result.attention)
    share = f"{len(result.arrays)} of {result.outputs} output arrays compared"
    return "\n".join([*lines, "", f"{result.model} ({attention}): {share}, {passed} within tolerance"])


def _shortened(arrays: list[str]) -> str:
    """The arrays, or where a file has more than three of them, the file and how many."""
    files: dict[str, list[str]] = {}
    for array in arrays:
        files.setdefault(array.partition(":")[0], []).append(array)
    parts = [", ".join(names) if len(names) <= 3 else f"{file} ({len(names)})" for file, names in files.items()]
    return ", ".join(parts)


def _line(compared: Compared, width: int) -> str:
    diff = "-" if compared.max_abs_diff is None else f"{compared.max_abs_diff:.2e}"
    verdict = "pass" if compared.passed else "FAIL"
    return f"{verdict:4}  {compared.array:{width}}  {diff:>10}  {compared.tolerance:10.2e}  {compared.why}".rstrip()
