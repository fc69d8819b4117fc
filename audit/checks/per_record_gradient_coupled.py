"""Does one record's clipped gradient hold other records?"""

from __future__ import annotations

from collections.abc import Iterator

from audit.check import Need, check
from audit.evidence import caution, from_fact, moved, observed_in, probed, readings_alone
from audit.subject import Subject
from audit.training import draws_batches, value
from audit.types import Basis, Evidence, Finding, Mechanism, Severity, Skip

IDENT = "per-record-gradient-coupled"
REMEDY = (
    "Give the model one row of position ids per record, take the mean of the loss within each record, and "
    "test that removing one record moves the clipped sum by no more than the clip norm."
)


@check(IDENT, "Does one record's clipped gradient depend on the other records?", needs=(Need.CLAIMS,))
def per_record_gradient_coupled(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Two couplings in the training code: a position embedding looked up once for the whole batch, so that
    each row's gradient contains the batch; and a loss averaged over all tokens of the batch, so that each
    row's gradient is divided by the lengths of the others.

    ## Why it matters

    DP-SGD (arXiv 1607.00133) adds noise for a sum that one record moves by at most the clip norm C. When
    one record reaches every row, each row may turn by up to 2C, and the sum of B rows by up to 2·B·C,
    with noise still scaled to C. Clipping hides this: each row alone keeps within its norm.

    ## What it cannot see

    Couplings that the card does not name, such as batch normalisation, class weights computed in the
    batch, or micro-batches clipped together. It reads; how far the sum really moves takes a run of the
    training step.
    """
    silent = []
    for mechanism in filter(draws_batches, subject.card.mechanism):
        couplings = tuple(_couplings(mechanism))
        if couplings:
            yield _finding(subject, mechanism, couplings)
        elif value(mechanism.position_gradient) is None or value(mechanism.loss_reduction) is None:
            silent.append(mechanism.id)
    judged = {m.id for m in subject.card.mechanism} - set(silent)
    yield from readings_alone(subject, IDENT, judged, Severity.HIGH, REMEDY)
    if silent:
        yield Skip(
            reason=f"How per-record gradients are formed is not wholly known for {', '.join(silent)}.",
            needs="both position_gradient and loss_reduction of the [[mechanism]], read in the code",
            claims=tuple(c for name in silent for c in subject.claims_of(mechanism=name)),
        )


def _couplings(mechanism: Mechanism) -> Iterator[Evidence]:
    position, loss = mechanism.position_gradient, mechanism.loss_reduction
    if position is not None and value(position) == "batch-shared":
        yield from_fact(position, "one position gradient is made for the whole batch and copied to every row")
    if loss is not None and value(loss) == "batch-token-mean":
        yield from_fact(loss, "the loss is the mean over all tokens of the batch, so rows share a denominator")


def _finding(subject: Subject, mechanism: Mechanism, couplings: tuple[Evidence, ...]) -> Finding:
    rows = value(mechanism.physical_batch_size) or value(mechanism.batch_size)
    bound = f" ({2 * rows:,} C for the {rows:,} rows handled together)" if rows else ""
    measured = probed(subject, mechanism.id, "sensitivity", "additivity")
    return Finding(
        severity=Severity.HIGH,
        basis=Basis.OBSERVED if measured else Basis.READ,
        summary=f"In the training of {mechanism.id} one record also changes the clipped gradients of the records "
        "beside it, while the noise is scaled for one record that moves the sum by the clip norm C. The stated ε "
        "does not follow."
        + moved(subject, mechanism.id)
        + caution(mechanism.position_gradient, mechanism.loss_reduction),
        evidence=(
            *couplings,
            Evidence(
                source="accounting",
                where="triangle inequality over rows of norm at most C",
                what=f"the guaranteed bound on one record's effect grows from C to 2·B·C{bound}",
            ),
            *measured,
            *observed_in(subject, IDENT, mechanism.id),
        ),
        remedy=REMEDY,
        claims=subject.claims_of(mechanism=mechanism.id),
    )
