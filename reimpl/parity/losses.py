"""Our loss terms and gradients, for the arrays of a golden folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from reimpl.objective import LossTerms, mean_over
from reimpl.parity.case import EXACT, GRADIENT, HIDDEN, LOSS, Case, Ours, absolute
from reimpl.parity.schedules import adaptive

LOSS_FILE = r"(?:losses|grads)_T(\d+)(?:_(adaptive))?"


def loss_terms(case: Case, file: str, self_conditioned: bool) -> tuple[LossTerms, Tensor]:
    """The loss of the golden batch at the timesteps of a losses file, and its weighted mean."""
    num_timesteps, variant = re.match(LOSS_FILE, file).groups()
    t = case.golden.tensor(file, "t")
    process = case.process(int(num_timesteps), variant)
    more = {"self_conditioned": self_conditioned} if case.name == "seqdiffuseq" else {}
    noise = {"noise_start": case.given("noise_emb"), "noise_q": case.given("noise_q")}
    case.model.zero_grad()
    terms = case.module.loss(case.model, process, case.batch, t, **noise, **more)
    return terms, (terms.total * case.golden.tensor(file, "weights")).mean()


def losses(case: Case, file: str) -> Iterator[Ours]:
    def grad_norm(case: Case, conditioned: bool) -> Tensor:
        loss_terms(case, file, conditioned)[1].backward()
        grads = [p.grad.flatten().double() for p in case.model.parameters() if p.grad is not None]
        return torch.cat(grads).norm()

    def logged_nll(case: Case) -> Tensor:
        terms, _ = loss_terms(case, file, False)
        loss = F.cross_entropy(case.model.logits(terms.x_0).transpose(1, 2), case.ids, reduction="none")
        return mean_over(loss, case.given("input_mask"))

    def history(case: Case, conditioned: bool, part: str) -> NDArray[Any]:
        terms, t = loss_terms(case, file, conditioned)[0], case.golden.array(file, "t")
        tokens = case.ids != case.config.pad_token_id
        schedule = adaptive(case, int(re.match(LOSS_FILE, file)[1]))
        schedule.add(t, (terms.token_losses(torch.from_numpy(t)) * tokens).detach().numpy(), tokens.numpy())
        return getattr(schedule, part)

    parts: dict[str, Callable[[LossTerms], Tensor]] = {
        "mse": lambda terms: terms.mse,
        "mse_raw": lambda terms: ((terms.x_start - terms.x_0) ** 2).mean((1, 2)),
        "t0_loss": lambda terms: ((terms.x_0_mean - terms.x_0) ** 2).mean((1, 2)),
        "tT_loss": lambda terms: terms.t_T,
        "decoder_nll": lambda terms: terms.nll,
        "loss": lambda terms: terms.total,
    }
    parts["mse_pre"] = parts["mse_raw"]
    for name in case.golden.arrays(file):
        if name in ("x_start", "x_t"):
            yield Ours(name, lambda name=name: getattr(loss_terms(case, file, False)[0], name), HIDDEN)
        elif found := re.fullmatch(r"(?:(sc|nosc)_)?(\w+)_f(32|64)", name):
            conditioned, part = found[1] == "sc", found[2]
            at = case if found[3] == "32" else case.double
            if part in parts:
                yield Ours(name, lambda at=at, c=conditioned, of=parts[part]: of(loss_terms(at, file, c)[0]), LOSS)
            elif part == "grad_norm":
                yield Ours(name, partial(grad_norm, at, conditioned), LOSS)
            elif part == "nll":
                yield Ours(name, partial(logged_nll, at), LOSS)
            elif part == "loss_history":
                yield Ours(name, partial(history, at, conditioned, "sums"), HIDDEN)
            elif part == "loss_history_count":
                yield Ours(name, partial(history, at, conditioned, "counts"), EXACT)


def gradients(case: Case, file: str) -> Iterator[Ours]:
    """In float64, of mean(weights * loss) at the timesteps and weights of the losses file of the same T."""
    found = re.match(r"grads_(T\d+(?:_adaptive)?)(_sc)?", file)
    at, computed = case.double, {}

    def gradient(name: str) -> Tensor:
        if not computed:
            loss_terms(at, f"losses_{found[1]}.npz", found[2] is not None)[1].backward()
            computed.update({key: parameter.grad for key, parameter in at.model.named_parameters()})
        return computed[name]

    largest = max((float(np.abs(a).max()) for a in case.golden.arrays(file).values()), default=0.0)
    for name in case.golden.arrays(file):
        yield Ours(name, partial(gradient, name), absolute(GRADIENT * largest))
