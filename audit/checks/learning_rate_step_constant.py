"""Is a learning-rate schedule stuck at one step?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.source import Source
from audit.code.syntax import Function, identifiers, is_update, keyword, loop_around, tail, words
from audit.reading import Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "learning-rate-step-constant"
STEPS = {"step", "steps", "iter", "iteration", "it", "epoch"}
NAMED = {"lr", "learning", "anneal", "warmup", "schedule"}
FLAW = Flaw(
    Severity.LOW,
    "A learning-rate schedule is called in a loop with the same number as its step, so the rate never follows the "
    "schedule. With a warm-up and step 0 it is 0 throughout and training moves nothing.",
    "Not seen: another place that sets the rate again.",
    "Pass the current step, assert after training that the parameters moved, and run the experiment again.",
)


@check(IDENT, "Is a learning-rate schedule called with a constant step?", needs=(Need.CODE,))
def learning_rate_step_constant(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    A function of the checkout that sets `param_group["lr"]` from a parameter named like a step, and a call
    of it inside a loop that passes a number in that place. Where the number is 0 and the function takes
    the smaller of 1 and step / warm-up, the rate is 0, and the finding says so.

    ## Why it matters

    With a learning rate of 0 the model after training is the checkpoint it started from, for any ε.
    Results then describe that checkpoint and say nothing of private training; at another constant, the
    schedule that a paper describes is not the one that ran. The privacy claim is not touched.

    ## What it cannot see

    Schedules of a library, functions under another name in the caller's file, and rates that are set again
    elsewhere. A call outside a loop is taken for a starting value.
    """
    sources = subject.checkout.python
    schedules = [(source, function) for source in sources for function in _schedules(source)]
    matches = [match for source in sources for match in _matches(source, schedules)]
    yield from answers(FLAW, subject.checkout, matches, lacking="" if schedules else "learning-rate schedule")


def _schedules(source: Source) -> Iterator[Function]:
    """Functions with a step parameter that store into a subscript "lr"."""
    for node in source.nodes:
        if isinstance(node, Function) and _step(node) is not None and words(node.name) & NAMED:
            stores = (n for n in ast.walk(node) if isinstance(n, ast.Subscript) and isinstance(n.ctx, ast.Store))
            if any(isinstance(n.slice, ast.Constant) and n.slice.value == "lr" for n in stores):
                yield node


def _step(function: Function) -> tuple[int, str] | None:
    """Position and name of the step among the parameters, `self` not counted."""
    named = [a.arg for a in function.args.args if a.arg not in ("self", "cls")]
    return next(((place, name) for place, name in enumerate(named) if words(name) & STEPS), None)


def _matches(source: Source, schedules: list[tuple[Source, Function]]) -> Iterator[Match]:
    for call in source.calls:
        step = _given_step(source, call, schedules)
        loop = loop_around(source, call)
        if step is None or loop is None or not any(is_update(node) for node in ast.walk(loop)):
            continue
        number, stuck_at_zero = step
        what = f"the step is {number} in every pass" + (": the rate is 0" if stuck_at_zero else "")
        inner = any(is_update(node) and loop_around(source, node) is loop for node in ast.walk(loop))
        yield Match(source, call.lineno, what, read=inner)


def _given_step(source: Source, call: ast.Call, schedules: list[tuple[Source, Function]]) -> tuple[float, bool] | None:
    """The number that a call passes as step, and whether the rate is then 0; None where it passes something else."""
    fitting = [(place, function) for place, function in schedules if function.name == tail(call)]
    own = [pair for pair in fitting if pair[0] is source] or fitting
    step = _step(own[0][1]) if len(own) == 1 else None
    if step is None:
        return None
    place, name = step
    given = call.args[place] if place < len(call.args) else keyword(call, name)
    number = given.value if isinstance(given, ast.Constant) else None
    if not isinstance(number, int | float) or isinstance(number, bool):
        return None
    return number, number == 0 and _warms_up(own[0][1], name)


def _warms_up(function: Function, step: str) -> bool:
    """Is the rate multiplied by min(…, step / …), directly or by a name for the fraction?"""
    fractions = {step}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and _is_fraction(node.value, step):
            fractions |= {tail(target) for target in node.targets}
    least = (n for n in ast.walk(function) if isinstance(n, ast.Call) and tail(n) == "min")
    return any(
        _is_fraction(argument, step) or (isinstance(argument, ast.Name) and argument.id in fractions - {step})
        for call in least
        for argument in call.args
    )


def _is_fraction(node: ast.expr, step: str) -> bool:
    """step / something, the step alone above the line."""
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
        return False
    above = node.left.args[0] if isinstance(node.left, ast.Call) and len(node.left.args) == 1 else node.left
    return isinstance(above, ast.Name) and identifiers(above) == {step}
