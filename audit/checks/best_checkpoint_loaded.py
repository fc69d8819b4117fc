"""Is the checkpoint with the best score taken, beside private training?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.options import option_values
from audit.code.source import Source
from audit.code.syntax import calls_to, identifiers, tail, words
from audit.reading import NO_ENGINE, Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "best-checkpoint-loaded"
OPTION = "load_best_model_at_end"
YES = {"true", "1", "yes", ""}  # "" is the flag without a value
SAVES = {"save", "save_checkpoint", "save_model", "save_pretrained", "save_state_dict", "deepcopy"}
CHOOSERS = {"EarlyStoppingCallback", "EarlyStopping"}
FLAW = Flaw(
    Severity.MEDIUM,
    "Beside private training, the checkpoint with the best score is the one that is kept. If the records it is scored "
    "on are private, that choice is a look at private data that the ε does not pay for.",
    "Not seen: whether those records are private, and whether the choice is paid for elsewhere.",
    "Keep the last checkpoint of settings fixed beforehand, or choose on public data, or pay for the choice.",
)


@check(IDENT, "Is the best-scoring checkpoint kept beside private training?", needs=(Need.CODE,))
def best_checkpoint_loaded(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    `load_best_model_at_end`, in the code or on a command line of the release, in programs that train
    privately or are imported by or import such a one. As patterns: the option in a settings file beside
    them, early stopping, and a comparison with the best value so far that saves the model.

    ## Why it matters

    Every look at private data that shapes what is released is part of the release. Choosing among the
    checkpoints of one run by private validation records costs privacy for these records, without any noise
    (arXiv 2110.03620 prices choices that are noised).

    ## What it cannot see

    Whether the records that decide are private, which checkpoint is released, and choices made by hand.
    """
    checkout = subject.checkout
    matches = list[Match]()
    for training in checkout.trainings:
        for value in option_values(checkout, training, OPTION):
            if value.text.lower() in YES:
                matches.append(Match(value.source, value.line, "the best checkpoint is loaded", read=value.tied))
        matches += [match for source in training for match in _patterns(source)]
    yield from answers(FLAW, checkout, matches, lacking="" if checkout.engines else NO_ENGINE)


def _patterns(source: Source) -> Iterator[Match]:
    for call in calls_to(source, CHOOSERS):
        yield Match(source, call.lineno, "training stops by a score", read=False)
    for node in source.nodes:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Compare) and _is_best(node.test):
            inside = (inner for statement in node.body for inner in ast.walk(statement))
            if any(isinstance(inner, ast.Call) and tail(inner) in SAVES for inner in inside):
                yield Match(source, node.lineno, "the best so far is saved", read=False)


def _is_best(test: ast.Compare) -> bool:
    ordered = isinstance(test.ops[0], ast.Lt | ast.Gt | ast.LtE | ast.GtE)
    return ordered and any("best" in words(name) for name in identifiers(test))
