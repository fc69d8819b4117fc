"""Runs every comparison that a golden folder allows, and says of each other array why it was not compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reimpl.parity.case import Case, Ours
from reimpl.parity.chains import trajectories
from reimpl.parity.forward import forward
from reimpl.parity.golden import Golden, GoldenError, MissingArrayError
from reimpl.parity.losses import gradients, losses
from reimpl.parity.schedules import (
    adaptive_updates,
    named_schedules,
    saved_schedule,
    schedules,
    timestep_samplers,
)
from reimpl.parity.steps import noising, reverse_means

ATTENTION = ("eager", "sdpa")
LACKS = "the folder lacks it"
RULES: tuple[tuple[str, Callable[[Case, str], Iterator[Ours]]], ...] = (
    (r"schedule_T\d+(_\w+)?\.npz", schedules),
    (r"schedule_other\.npz", named_schedules),
    (r"adaptive_T\d+\.npz", adaptive_updates),
    (r"alpha_cumprod_T\d+\.npy", saved_schedule),
    (r"sampler\.npz", timestep_samplers),
    (r"q_T\d+(_\w+)?\.npz", noising),
    (r"p_mean_variance_T\d+(_\w+)?\.npz", reverse_means),
    (r"forward\.npz", forward),
    (r"losses_T\d+(_\w+)?\.npz", losses),
    (r"grads_T\d+(_\w+)?\.npz", gradients),
    (r"sampling\.npz", trajectories),
)
NOT_OUTPUTS = (
    (r"weights\.npz:.*", "input: the weights"),
    (r"inputs\.npz:.*", "input"),
    (r"dp_sensitivity\.npz:.*", "a DP training step: compared by the sensitivity probe, not by the model"),
    (r"(q|p_mean_variance|losses)_.*\.npz:(t|weights)", "input: the timesteps and weights of the batch"),
    (r"forward\.npz:model_t", "input: the timesteps"),
    (r"sampler\.npz:history_.*", "input: the loss history"),
    (r"adaptive_.*\.npz:(ts|losses|loss_masks|stride_granu)", "input: the training history"),
    (r"sampling\.npz:(x_init|.*step_noise|noise_stream|topp_draw0|topp_redraws)", "input: drawn noise"),
    (r"sampling\.npz:ddim_step_t", "input: the timesteps"),
    (r"alpha_cumprod_.*", "input: a schedule that is loaded"),
)


@dataclass(frozen=True)
class Compared:
    """One array: the largest absolute difference (None: our computation failed, see why) and what is allowed."""

    array: str
    max_abs_diff: float | None
    tolerance: float
    passed: bool
    why: str = ""

    def row(self) -> dict[str, Any]:
        row = asdict(self)
        row["pass"] = row.pop("passed")
        return row if self.why else {key: value for key, value in row.items() if key != "why"}


@dataclass(frozen=True)
class Parity:
    """All arrays of a golden folder: compared, or not and why. Passed: each compared one is within its tolerance."""

    model: str
    attention: tuple[str, ...]
    arrays: list[Compared]
    not_compared: dict[str, str]

    @property
    def passed(self) -> bool:
        return bool(self.arrays) and all(compared.passed for compared in self.arrays)

    @property
    def outputs(self) -> int:
        """How many output arrays the folder has: those compared, and those it skipped."""
        skipped = [a for a, why in self.not_compared.items() if not_output(a) is None and why != LACKS]
        return len(self.arrays) + len(skipped)

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "attention": list(self.attention),
            "passed": self.passed,
            "outputs": self.outputs,
            "arrays": [compared.row() for compared in self.arrays],
            "not_compared": [{"array": array, "why": why} for array, why in self.not_compared.items()],
        }


def label(file: str, name: str) -> str:
    """How an array is called in a result: file:name, or the file alone where it is one array."""
    return file if file == name else f"{file}:{name}"


def not_output(array: str) -> str | None:
    """Why an array is no output of the model; None where it is one."""
    return next((why for pattern, why in NOT_OUTPUTS if re.fullmatch(pattern, array)), None)


def parity(name: str, folder: Path, attention: Sequence[str] = ATTENTION) -> Parity:
    """Compare model `name` with the golden folder; of several attention implementations, the worst one counts.

    GoldenError (or a CheckpointError) where the folder cannot be used at all.
    """
    golden = Golden(folder)
    runs = [dict(_compare(Case(name, golden, implementation))) for implementation in attention]
    arrays = {label(file, name) for file in golden.files for name in golden.arrays(file)}
    listed = {label(file, name) for file, name in golden.meanings}
    compared, skipped = [], {}
    for array in sorted(arrays | listed | {array for run in runs for array in run}):
        results = [run[array] for run in runs if array in run]
        if results and all(isinstance(result, Compared) for result in results):
            compared.append(max(results, key=_badness))
        elif array not in arrays:
            skipped[array] = LACKS
        else:
            skipped[array] = results[0] if results else not_output(array) or "no rule for this array"
    return Parity(name, tuple(attention), compared, skipped)


def _badness(compared: Compared) -> tuple[bool, float]:
    diff = float("inf") if compared.max_abs_diff is None else compared.max_abs_diff
    return not compared.passed, diff


def _compare(case: Case) -> Iterator[tuple[str, Compared | str]]:
    """(array, comparison or why there is none) for everything the rules know."""
    for file in case.golden.files:
        for pattern, rule in RULES:
            if re.fullmatch(pattern, file):
                yield from _compare_file(case, file, rule)


def _compare_file(
    case: Case, file: str, rule: Callable[[Case, str], Iterator[Ours]]
) -> Iterator[tuple[str, Compared | str]]:
    try:
        for ours in rule(case, file):
            yield label(file, ours.name), _judge(case, file, ours)
    except MissingArrayError as missing:  # the rule itself needs it: nothing of this file can be computed
        for name in case.golden.arrays(file):
            array = label(file, name)
            yield array, not_output(array) or f"needs {missing.args[0]}, which the folder lacks"


def _judge(case: Case, file: str, ours: Ours) -> Compared | str:
    array = label(file, ours.name)
    if ours.name not in case.golden.arrays(file):
        return LACKS
    golden = case.golden.array(file, ours.name)
    tolerance = ours.tolerance(golden)
    try:
        diff = _difference(ours.value(), golden)
    except MissingArrayError as missing:
        return f"needs {missing.args[0]}, which the folder lacks"
    except GoldenError:
        raise
    except Exception as error:  # ours failed: that is a difference, not a reason to skip
        return Compared(array, None, tolerance, False, f"{type(error).__name__}: {error}")
    if not np.isfinite(diff):
        return Compared(array, None, tolerance, False, "the difference is not a finite number")
    return Compared(array, diff, tolerance, diff <= tolerance)


def _difference(ours: Any, golden: NDArray[Any]) -> float:
    """The largest absolute difference; ValueError where the shapes do not fit."""
    value = ours.detach().numpy() if isinstance(ours, torch.Tensor) else np.asarray(ours)
    if np.broadcast_shapes(value.shape, golden.shape) != golden.shape:
        raise ValueError(f"expected shape {golden.shape}; ours is {value.shape}")
    differing = np.where(value == golden, 0, np.abs(value.astype(np.float64) - golden.astype(np.float64)))
    return float(differing.max(initial=0))
