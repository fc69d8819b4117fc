"""Is a shuffled list accounted as if every record entered a batch by its own coin flip?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.source import Source
from audit.code.syntax import (
    calls_to,
    class_around,
    dotted,
    function_around,
    identifiers,
    is_constant,
    keyword,
    tail,
    words,
)
from audit.reading import NO_ENGINE, Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "shuffle-accounted-as-poisson"
PRIVATE = {"make_private", "make_private_with_epsilon"}  # Opacus: these also replace the loader they are given
POISSON = {"UniformWithReplacementSampler", "DistributedUniformWithReplacementSampler", "DPDataLoader"}
SAMPLERS = {"RandomSampler", "DistributedSampler", "SubsetRandomSampler", "StratifiedSampler"}
RATES = {"sample_rate", "sampling_probability", "sample_size"}  # what accountants of Poisson sampling are told
TOLD = re.compile(r"step|.*(noise|accountant|epsilon|privacy|budget).*", re.IGNORECASE)
EVENTS = {"PoissonSampledDpEvent", "compute_rdp", "compute_dp_sgd_privacy", "compute_dp_sgd_privacy_statement"}
ASKED = {"get_epsilon", "make_private_with_epsilon", "get_noise_multiplier", "get_privacy_spent"}
ELSEWHERE = {"val", "valid", "validation", "eval", "evaluate", "evaluation", "test", "dev", "public", "infer"}
FLAW = Flaw(
    Severity.MEDIUM,
    "ε is computed as for Poisson sampling, where each record enters each batch by its own coin flip, but the code "
    "draws batches from a shuffled list. The ε does not follow for such batches.",
    "Not seen: which of several loaders a run used.",
    "Draw batches by Poisson sampling (Opacus: poisson_sampling=True, the default), or account for the loader that "
    "is used.",
)


@check(IDENT, "Does a shuffling loader stand beside an accountant for Poisson sampling?", needs=(Need.CODE,))
def shuffle_accounted_as_poisson(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    Private training that asks for ε and switches Poisson sampling off (`poisson_sampling=False`); or that
    clips and adds noise itself (`GradSampleModule`, `DPOptimizer`, an engine that is attached to the
    optimizer), tells an accountant a sampling rate, and draws training batches by `shuffle=True`,
    `RandomSampler`, `DistributedSampler` or `BatchSampler(drop_last=True)`, or by the default loader of a
    Hugging Face `Trainer`. Loaders handed to Opacus' `make_private` are sound: it replaces them.

    ## Why it matters

    Shuffled batches of fixed size do not have the amplification of Poisson sampling; at the same noise,
    worst-case data can have a far larger ε (arXiv 2403.17673, 2411.04205).

    ## What it cannot see

    Which loader ran where there are several, loaders of libraries, and noise that was chosen with the
    shuffling in mind. How much ε grows: `audit epsilon --sampler shuffle-each-epoch` computes it.
    """
    checkout = subject.checkout
    matches = [match for training in checkout.trainings for match in _matches(training)]
    seen = any(tail(call) in {*PRIVATE, *SAMPLERS, "DataLoader"} for s in checkout.private for call in s.calls)
    lacking = "" if seen else "loader beside a privacy engine" if checkout.engines else NO_ENGINE
    yield from answers(FLAW, checkout, matches, lacking=lacking)


def _matches(training: tuple[Source, ...]) -> Iterator[Match]:
    called = {tail(call) for source in training for call in source.calls}
    if called & ASKED:
        yield from (match for source in training for match in _switched_off(source))
    own = {tail(node) for source in training for node in source.nodes if isinstance(node, ast.Name | ast.Attribute)}
    if own & PRIVATE or not any(_tells_a_rate(source) for source in training):
        return
    if any(_is_used(source, call, called) for source in training for call in source.calls if _is_poisson(call)):
        return
    drawn = [match for source in training for match in _shuffled(source, called)]
    yield from drawn or (match for source in training for match in _default_loader(source))


def _switched_off(source: Source) -> Iterator[Match]:
    for call in calls_to(source, PRIVATE):
        given = keyword(call, "poisson_sampling")
        if given is not None and is_constant(given, False):
            yield Match(source, given.lineno, "Poisson sampling is switched off, and an ε is asked for")


def _tells_a_rate(source: Source) -> bool:
    told = (call for call in source.calls if TOLD.fullmatch(tail(call)))
    return any(tail(c) in EVENTS for c in source.calls) or any(RATES & {k.arg for k in c.keywords} for c in told)


def _is_poisson(call: ast.Call) -> bool:
    """A sampler by name, or DPDataLoader.from_data_loader(…)."""
    return bool(POISSON & set(dotted(call.func).split(".")))


def _is_used(source: Source, call: ast.Call, called: set[str]) -> bool:
    """Is it outside any class, or in one that is made somewhere?"""
    inside = class_around(source, call)
    return inside is None or inside.name in called or "Trainer" in inside.name or "Module" in inside.name


def _shuffled(source: Source, called: set[str]) -> Iterator[Match]:
    for call in source.calls:
        what = _draws(call)
        around = _words_around(source, call)
        if what and not around & ELSEWHERE and _is_used(source, call, called):
            inside = class_around(source, call)
            yield Match(source, call.lineno, what, read="train" in around or inside is not None)


def _draws(call: ast.Call) -> str:
    """How a call draws batches from a list, or ""."""
    if tail(call) == "DataLoader" and is_constant(keyword(call, "shuffle"), True):
        return "batches of a shuffled list"
    if tail(call) == "BatchSampler" and is_constant(keyword(call, "drop_last"), True):
        return "batches of fixed size, the rest dropped"
    return f"{tail(call)} draws a shuffled list" if tail(call) in SAMPLERS else ""


def _words_around(source: Source, call: ast.Call) -> set[str]:
    """Words of the names a call is given, assigned to and made in."""
    named = {name for argument in call.args for name in identifiers(argument)}
    parent = source.parents.get(call)
    if isinstance(parent, ast.Assign):
        named |= {name for target in parent.targets for name in identifiers(target)}
    named |= {place.name for place in (function_around(source, call), class_around(source, call)) if place is not None}
    return {word for name in named for word in words(name)}


def _default_loader(source: Source) -> Iterator[Match]:
    """Trainers of the transformers library that keep its loader, which shuffles."""
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and any(tail(base) in ("Trainer", "Seq2SeqTrainer") for base in node.bases):
            methods = {m.name for m in node.body if isinstance(m, ast.FunctionDef)}
            if not methods & {"get_train_dataloader", "_get_train_sampler"}:
                yield Match(source, node.lineno, "keeps the trainer's own loader, which shuffles", read=False)
