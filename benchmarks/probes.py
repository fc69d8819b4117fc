"""What the probes catch: every loop of tests/probes/loops, probed. Prints the table of docs/probes.md.

    python benchmarks/probes.py                     defects once, sound loops once
    python benchmarks/probes.py --seeds 20          sound loops with twenty probing seeds each
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "probes"))

from loops import defects, sound

from audit.probes.plan import BRIEF, FULL, Plan
from audit.probes.step import Loop
from audit.probes.suite import probe
from audit.types import ProbeStatus


def violated(make: Callable[[], Loop], plan: Plan) -> list[str]:
    """Names of the probes that found a violation, with their figures."""
    return [
        f"{answer.probe} {answer.value:.3g}" if answer.value is not None else answer.probe
        for answer in probe(make(), plan)
        if answer.status is ProbeStatus.VIOLATED
    ]


def words(make: Callable[[], Loop]) -> str:
    return make.__name__.replace("_", " ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="probing seeds for each sound loop")
    parser.add_argument("--brief", action="store_true", help="the plan of `audit probe --brief`")
    chosen = parser.parse_args()
    plan = BRIEF if chosen.brief else FULL
    print("| planted defect | caught by |\n|---|---|")
    caught = 0
    for make in defects.ALL:
        found = violated(make, plan)
        caught += bool(found)
        print(f"| {words(make)} | {', '.join(found) or '**missed**'} |", flush=True)
    print(f"\n{caught} of {len(defects.ALL)} caught.\n\n| beyond reach | |\n|---|---|")
    for make in defects.BEYOND:
        doc = (make.__doc__ or "").strip()
        print(f"| {words(make)} | {', '.join(violated(make, plan)) or 'not seen'}: {doc} |", flush=True)
    print("\n| sound loop | seeds | false alarms |\n|---|---|---|")
    for make in sound.ALL:
        alarms = [a for seed in range(chosen.seeds) for a in violated(make, replace(plan, seed=seed))]
        print(f"| {words(make)} | {chosen.seeds} | {', '.join(alarms) or 'none'} |", flush=True)


if __name__ == "__main__":
    main()
