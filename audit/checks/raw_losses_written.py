"""Are un-noised losses written where the model is?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.source import Source
from audit.code.syntax import dotted, function_around, identifiers, tail, words
from audit.reading import NO_ENGINE, Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "raw-losses-written"
DUMPS = {"dump", "save", "savez", "savetxt", "write", "writerow", "writerows", "to_csv", "to_json", "to_pickle"}
SCREENS = {"tqdm", "pbar", "bar", "stdout", "stderr", "console"}
LOGS = {"add_scalar", "add_scalars", "log_metrics", "log_metric"}
LOSSES = {"loss", "losses"}
ELSEWHERE = {"val", "valid", "validation", "eval", "evaluate", "evaluation", "test", "dev", "best", "min"}
OTHER_THINGS = {"fn", "func", "function", "criterion", "type", "weight", "weights", "name"}  # a loss_fn is no loss
FLAW = Flaw(
    Severity.LOW,
    "Private training writes losses without noise to files. The claim stands as long as these files are not released; "
    "released with the model, no ε covers them.",
    "Not seen: whether the files were released, and what happens to losses inside other functions.",
    "Keep un-noised losses off the disk, or behind a debug switch, and out of every release.",
)


@check(IDENT, "Does private training write un-noised losses to disk?", needs=(Need.CODE,))
def raw_losses_written(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    In code beside a privacy engine: something named loss that is handed to `pickle.dump`, `json.dump`,
    `np.save`, `torch.save`, `file.write` or a table's `to_csv`. Loggers (TensorBoard, Weights & Biases,
    MLflow) are patterns. Losses named for validation or test are left out.

    ## Why it matters

    A loss is an exact function of private records. Released as it is, it has no finite ε, however small
    the ε of the model beside it. Published run logs hold such values more often than checkpoints do.

    ## What it cannot see

    Whether a file was released, losses under other names, and averages printed on a screen.
    """
    checkout = subject.checkout
    matches = [match for source in checkout.private for match in _matches(source)]
    yield from answers(FLAW, checkout, matches, lacking="" if checkout.engines else NO_ENGINE)


def _matches(source: Source) -> Iterator[Match]:
    for call in source.calls:
        logs = tail(call) in LOGS or dotted(call.func) in ("wandb.log", "mlflow.log_metric")
        own = function_around(source, call)
        if (own is not None and words(own.name) & ELSEWHERE) or set(dotted(call.func).split(".")) & SCREENS:
            continue
        if (logs or tail(call) in DUMPS) and any(_holds_losses(argument) for argument in _arguments(call)):
            what = "losses reach a log" if logs else "losses reach a file"
            yield Match(source, call.lineno, what, read=not logs)


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    """What is handed over, and the table whose to_csv is called."""
    yield from call.args
    yield from (k.value for k in call.keywords)
    if tail(call).startswith("to_") and isinstance(call.func, ast.Attribute):
        yield call.func.value


def _holds_losses(node: ast.expr) -> bool:
    return any(words(name) & LOSSES and not words(name) & (ELSEWHERE | OTHER_THINGS) for name in identifiers(node))
