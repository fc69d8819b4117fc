"""The reimplemented training steps, ready for `audit probe`: as corrected, and as released with arXiv 2410.22971.

    audit probe examples.probe_reimpl:genie_corrected
    audit probe examples.probe_reimpl:genie_published

`audit` and `reimpl` never import each other; this file stands beside both and hands one's steps to the other.
"""

from __future__ import annotations

from dataclasses import fields

from audit.probes.step import Loop
from reimpl import probe_steps


def _loop(made: probe_steps.Loop) -> Loop:
    return Loop(**{field.name: getattr(made, field.name) for field in fields(Loop)})


def diffuseq_corrected() -> Loop:
    return _loop(probe_steps.diffuseq_corrected())


def diffuseq_published() -> Loop:
    return _loop(probe_steps.diffuseq_published())


def genie_corrected() -> Loop:
    return _loop(probe_steps.genie_corrected())


def genie_published() -> Loop:
    return _loop(probe_steps.genie_published())


def seqdiffuseq_corrected() -> Loop:
    return _loop(probe_steps.seqdiffuseq_corrected())


def seqdiffuseq_published() -> Loop:
    return _loop(probe_steps.seqdiffuseq_published())
