"""Answers of probes, in the words of the result."""

from __future__ import annotations

from audit.types import ProbeAnswer, ProbeStatus, Severity, round_outward

QUESTIONS = {
    "sensitivity": "Does one record move the clipped sum by at most the clip norm?",
    "additivity": "Is the clipped sum a sum over records, each alone?",
    "precision": "Does the clipped gradient of one record alone keep within the clip norm?",
    "replay": "Given the noisy sums, does anything else follow from private data?",
    "parameters": "Does every parameter that changes pass through clipping and noise?",
    "noise": "Is the noise there, as large as accounted, and independent?",
    "randomness": "Are noise and batches secret when the seed is public?",
    "sampling": "Are batches drawn as accounted?",
    "steps": "Is there one noisy update per logical step, and as many as accounted?",
}
NOT_STATISTICAL = "a measurement, free of chance; it shows a violation and never its absence"


def answer(
    probe: str,
    status: ProbeStatus,
    summary: str,
    *,
    statistic: str,
    trials: int,
    value: float | None = None,
    bound: float | None = None,
    severity: Severity = Severity.HIGH,
    figures: dict[str, float] | None = None,
    confidence: str = NOT_STATISTICAL,
    witness: str | None = None,
) -> ProbeAnswer:
    """A probe's answer, its numbers rounded down to five digits: what was measured is a lower bound."""
    return ProbeAnswer(
        probe=probe,
        question=QUESTIONS[probe],
        status=status,
        severity=severity if status is ProbeStatus.VIOLATED else None,
        statistic=statistic,
        value=None if value is None else round_outward(value, up=False, digits=5),
        bound=bound,
        figures={name: round_outward(number, up=False, digits=5) for name, number in (figures or {}).items()},
        trials=trials,
        confidence=confidence,
        summary=summary,
        witness=witness,
    )


def not_judged(probe: str, why: str, *, trials: int = 0) -> ProbeAnswer:
    """No answer: `why` says what would be needed."""
    return answer(probe, ProbeStatus.NOT_JUDGED, why, statistic="nothing was measured", trials=trials)


def failed(probe: str, where: str) -> ProbeAnswer:
    """The probe itself broke, at `where`."""
    return answer(probe, ProbeStatus.FAILED, f"The probe broke: {where}.", statistic="nothing was measured", trials=0)
