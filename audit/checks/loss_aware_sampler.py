"""Do exact losses of earlier records steer the training of later ones?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.checkout import Checkout
from audit.code.options import Value, option_values
from audit.code.source import Source
from audit.code.syntax import around, calls_to, dotted, identifiers, strings, tail
from audit.reading import NO_ENGINE, Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "loss-aware-sampler"
OPTION = "schedule_sampler"
UPDATE = re.compile(r"update_with_\w*loss\w*")
AWARE = re.compile(r"loss.?aware|loss.?second.?moment|.*loss.*", re.IGNORECASE)
FLAW = Flaw(
    Severity.HIGH,
    "Losses of private records are remembered without noise and choose what is drawn next, and with which weight. "
    "Later steps then depend on private data by a way that the accountant does not know, and the ε does not cover it.",
    "Not seen: whether a run that is reported used this sampler.",
    "Draw timesteps and records uniformly, or from losses that are clipped, noised and paid for.",
)


@check(IDENT, "Do remembered losses choose timesteps or records beside a privacy engine?", needs=(Need.CODE,))
def loss_aware_sampler(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    In code that imports, or is imported by, private training: losses fed to a sampler
    (`update_with_local_losses` and its kin), the option `schedule_sampler` set to a loss-aware one, and a
    `WeightedRandomSampler` whose weights are named losses.

    ## Why it matters

    Composition (arXiv 1607.00133) lets a step depend on private data through the noisy sums already
    released and through nothing else. A memory of exact losses breaks this: one record changes timesteps
    and weights of others, even in batches that it is not part of.

    ## What it cannot see

    Samplers under other names. Where the option is nowhere set and the code asks which sampler it has, the
    finding is a pattern; where every value found is another sampler, there is none.
    """
    checkout = subject.checkout
    matches = [match for training in checkout.trainings for match in _matches(checkout, training)]
    yield from answers(FLAW, checkout, matches, lacking="" if checkout.engines else NO_ENGINE)


def _matches(checkout: Checkout, training: tuple[Source, ...]) -> Iterator[Match]:
    chosen = [*option_values(checkout, training, OPTION), *_named(training)]
    aware = [value for value in chosen if AWARE.fullmatch(value.text)]
    fed = [(source, call) for source in training for call in source.calls if _feeds(call)]
    for source, call in fed:
        asked = _asks(source, call)
        if aware or not asked or not chosen:
            sure = not asked or any(value.tied for value in aware)
            yield Match(source, call.lineno, "exact losses are handed to the sampler", read=sure)
    if fed:
        for value in aware:
            yield Match(value.source, value.line, "a loss-aware sampler is chosen", read=value.tied)
    yield from (match for source in training for match in _weighted(source))


def _feeds(call: ast.Call) -> bool:
    """Are losses handed over, from outside the sampler's own class?"""
    return UPDATE.fullmatch(tail(call)) is not None and not dotted(call.func).startswith(("self.update", "().update"))


def _asks(source: Source, call: ast.Call) -> bool:
    """Does the code first ask which kind of sampler it has?"""
    tests = (outer.test for outer in around(source, call) if isinstance(outer, ast.If))
    return any(re.search("loss|sampler", name, re.IGNORECASE) for test in tests for name in identifiers(test))


def _named(training: tuple[Source, ...]) -> Iterator[Value]:
    for source in training:
        for call in calls_to(source, {"create_named_schedule_sampler"}):
            yield from (Value(source, call.lineno, text) for argument in call.args[:1] for text in strings(argument))


def _weighted(source: Source) -> Iterator[Match]:
    for call in calls_to(source, {"WeightedRandomSampler"}):
        given = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "weights")]
        if any("loss" in name.lower() for argument in given for name in identifiers(argument)):
            yield Match(source, call.lineno, "records are drawn by their losses", read=False)
