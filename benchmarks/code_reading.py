"""What the checks that read code find in code that is taken to be sound: a measure of their false positives.

    python benchmarks/code_reading.py [FOLDER ...]

Reads packages that are installed here (Opacus with its examples, benchmarks and tests, and libraries without any
private training), the five small sound programs of tests/code/clean, and the folders that are named. Nothing is
imported or run. Every line found is printed; those that were looked at by hand are marked right or wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from audit.check import Need, all_checks
from audit.code.checkout import read_checkout
from audit.run import put
from audit.subject import Subject
from audit.types import Finding, PaperCard, Status

CLEAN = Path(__file__).resolve().parent.parent / "tests" / "code" / "clean"
# folder as Python finds it -> the distribution it comes from
INSTALLED = {
    "examples": "opacus",
    "benchmarks": "opacus",
    "opacus": "opacus",
    "dp_accounting": "dp-accounting",
    "datasets": "datasets",
    "sklearn": "scikit-learn",
    "transformers": "transformers",
    "torch": "torch",
}
SEEDED = "right: a fixed seed before noise is drawn; a test wants that, a release does not"
REVIEWED = {
    ("examples", "boolean-flag-always-true", "fsdp_llama3.py"): "right: two flags are declared with type=bool",
    ("examples", "shuffle-accounted-as-poisson", "imdb.py"): "right: Poisson sampling is off and ε is printed",
    ("opacus", "seed-without-secure-mode", "tests/accounting_noise_multiplier_test.py"): SEEDED,
    ("opacus", "seed-without-secure-mode", "tests/batch_memory_manager_test.py"): SEEDED,
    ("torch", "boolean-flag-always-true", "_dynamo/repro/aoti.py"): "right: a flag is declared with type=bool",
}
CARD = PaperCard.model_validate(
    {
        **dict.fromkeys(("id", "title", "citation", "about", "caveat"), "x"),
        "version": 1,
        "sources": [{"id": "s", "kind": "code", "citation": "x", "read": "x"}],
    }
)


def folders() -> Iterator[tuple[str, str, Path]]:
    """Name, version and folder of everything that is measured."""
    for folder, distribution in INSTALLED.items():
        spec = find_spec(folder)
        places = list(spec.submodule_search_locations or ()) if spec else []
        try:
            if places:
                yield folder, f"{distribution} {version(distribution)}", Path(places[0])
        except PackageNotFoundError:
            continue
    yield from ((f"clean/{folder.name}", "our own", folder) for folder in sorted(CLEAN.glob("*")))
    yield from ((Path(name).name, "named", Path(name)) for name in sys.argv[1:])


def lines(name: str, check: str, finding: Finding) -> Iterator[tuple[str, str]]:
    """Every line of a finding with what was said of it by hand."""
    for evidence in finding.evidence:
        place = evidence.where.split(" at ")[0]
        said = REVIEWED.get((name, check, place.rsplit(":", 1)[0]), "not looked at")
        yield said.split(":")[0], f"{check} [{finding.basis.value}] {place}: {said}"


def main() -> None:
    checks = {ident: check for ident, check in all_checks().items() if check.needs == (Need.CODE,)}
    print("| code | version | Python files | with an engine | checks that could judge | lines found | right | wrong |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    shown = []
    for name, release, folder in folders():
        subject = Subject(CARD, code=folder)
        subject.__dict__["checkout"] = checkout = read_checkout(folder, tests=True)
        outcomes = [put(check, subject) for check in checks.values()]
        judged = sum(o.status is Status.FOUND or not any("recognised" in s.reason for s in o.skips) for o in outcomes)
        found = [line for o in outcomes for f in o.findings for line in lines(name, o.check, f)]
        said = [verdict for verdict, _ in found]
        counts = (len(checkout.python), len(checkout.engines), judged, len(found), said.count("right"))
        print(f"| {name} | {release} | {' | '.join(f'{n:,}' for n in counts)} | {said.count('wrong')} |")
        shown += [f"{name}: {line}" for _, line in found]
    print()
    print("\n".join(shown))


if __name__ == "__main__":
    main()
