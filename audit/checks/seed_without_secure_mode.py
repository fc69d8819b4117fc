"""Does a fixed seed drive the noise?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from audit.check import Need, check
from audit.code.checkout import Checkout
from audit.code.options import option_values
from audit.code.source import Source
from audit.code.syntax import Function, dotted, function_around, identifiers, is_constant, keyword, tail, value_before
from audit.reading import NO_ENGINE, Flaw, Match, answers
from audit.subject import Subject
from audit.types import Finding, Severity, Skip

IDENT = "seed-without-secure-mode"
SEEDERS = {"manual_seed", "manual_seed_all", "set_seed", "seed_everything", "set_all_seeds", "set_random_seed"}
FLAW = Flaw(
    Severity.HIGH,
    "A fixed seed is set in private training, and neither secure_mode nor a noise generator of its own is given. "
    "Noise and batches then come from the seeded stream: whoever has code and seed can draw them again and subtract.",
    "Not seen: whether the run behind the claim used this seed, and seeds set inside libraries.",
    "Draw noise and batches from the operating system's entropy (Opacus: secure_mode=True, or a generator seeded from "
    "`secrets`), and keep a public seed for what is not private, such as initial weights.",
)


@check(IDENT, "Is a fixed seed set where noise comes from the ordinary generator?", needs=(Need.CODE,))
def seed_without_secure_mode(subject: Subject) -> Iterator[Finding | Skip]:
    """## What it looks for

    A number in the code, an option's default, a settings file or a script that seeds PyTorch's generator
    (`torch.manual_seed`, `set_seed`, `seed_everything`) in a file that uses a privacy engine, while neither
    `secure_mode` nor `noise_generator` is given there. In files that import the engine's file, or are
    imported by it, it is a pattern.

    ## Why it matters

    The guarantee is a statement about randomness that the adversary does not know. With the code and the
    seed the noise of every step can be drawn again and subtracted, which leaves the clipped sums.

    ## What it cannot see

    Whether the published seed is the one that was used, defaults inside libraries (a Hugging Face Trainer
    seeds with 42 unless told otherwise), and whether hardware repeats the stream bit for bit.
    """
    checkout = subject.checkout
    matches, unknown = list[Match](), False
    for training in checkout.trainings:
        if not _protected(training):
            for source in training:
                for call in source.calls:
                    if _seeds(source, call) and not _is_parameter(source, call):
                        found = list(_values(checkout, training, source, call))
                        matches += found
                        unknown = unknown or not found
    lacking = "value of the seed that is set beside the privacy engine" if unknown else ""
    yield from answers(FLAW, checkout, matches, lacking=lacking if checkout.engines else NO_ENGINE)


def _protected(training: tuple[Source, ...]) -> bool:
    """Is noise, or may it be, drawn from another source, or the stream seeded anew from entropy?"""
    for source in training:
        for call in source.calls:
            given = [keyword(call, "secure_mode"), keyword(call, "noise_generator")]
            if any(g is not None and not is_constant(g, False) and not is_constant(g, None) for g in given):
                return True
            if dotted(call.func) in ("torch.seed", "th.seed"):
                return True
    return False


def _seeds(source: Source, call: ast.Call) -> bool:
    """Does the call seed the ordinary generator? `torch.Generator().manual_seed` does not; nor a function of this
    file that sets other seeds alone."""
    if tail(call) not in SEEDERS or not call.args + call.keywords:
        return False
    if tail(call).startswith("manual_seed"):
        return dotted(call.func).split(".")[0] in ("torch", "th")
    own = next((n for n in source.nodes if isinstance(n, Function) and n.name == tail(call)), None)
    return own is None or bool(identifiers(own) & {"torch", "th", "tf", "tensorflow"})


def _is_parameter(source: Source, call: ast.Call) -> bool:
    """Is the seed a parameter of the function that seeds? Then the calls of that function are looked at."""
    given, own = _given(call), function_around(source, call)
    return own is not None and isinstance(given, ast.Name) and given.id in {a.arg for a in own.args.args}


def _given(call: ast.Call) -> ast.expr:
    return call.args[0] if call.args else call.keywords[0].value


def _values(checkout: Checkout, training: tuple[Source, ...], source: Source, call: ast.Call) -> Iterator[Match]:
    """The call with a number for its seed, and where that number stands."""
    given = _given(call)
    name = tail(given) or _key(given)
    direct = value_before(source, name, call.lineno) if isinstance(given, ast.Name) else given
    sure = source in checkout.engines
    if isinstance(direct, ast.Constant):
        if type(direct.value) is int:
            yield Match(source, call.lineno, f"the generator is seeded with {direct.value}", read=sure)
        return
    values = [v for v in option_values(checkout, training, name) if v.text.isdecimal()] if name else []
    if values:
        sure = sure and any(value.tied for value in values)
        yield Match(source, call.lineno, f"the generator is seeded with {values[0].text}", read=sure)
    for value in values:
        yield Match(value.source, value.line, f"{name} is {value.text}", read=sure and value.tied)


def _key(node: ast.expr) -> str:
    """The key of `config["seed"]`."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return ""
