"""Sound loops pass every probe; each planted defect is found by the probe that is for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from audit.probes.plan import FULL, Plan
from audit.probes.sensitivity import _cure
from audit.probes.suite import PROBES, probe
from audit.types import ProbeAnswer, ProbeStatus, Severity

Named = dict[str, torch.Tensor]
SMALL = replace(FULL, sizes=(8, 32), hard_sizes=(8,), places=2, batches=200)


def put(loop: Any, *names: str, plan: Plan = SMALL) -> dict[str, ProbeAnswer]:
    return {answer.probe: answer for answer in probe(loop, plan, names or PROBES)}


def violated(answers: dict[str, ProbeAnswer]) -> set[str]:
    return {name for name, answer in answers.items() if answer.status is ProbeStatus.VIOLATED}


# ---------------------------------------------------------------- sound loops


def noised_quantile(tiny: ModuleType) -> Any:
    """Clip norms that follow a noised count of clipped records, shown to the tap as a mechanism of its own."""

    def step(run: SimpleNamespace, parts: Any, batch: Sequence[Any], tap: Any) -> None:
        norm = run.memory[-1] if run.memory else 0.5
        gradients = tiny.per_record(run.model, batch)
        sizes = tiny.norms(gradients)
        factor = torch.where(sizes.isfinite(), (norm / (sizes + 1e-9)).clamp(max=1), 0)
        clipped = {n: torch.einsum("b,b...->...", factor, g.nan_to_num(0, 0, 0)) for n, g in gradients.items()}
        noisy = {n: g + 1.3 * norm * torch.randn(g.shape, generator=run.noise) for n, g in clipped.items()}
        parts.update(run, tap(clipped, noisy, clip_norm=norm), batch)
        count = {"count": (sizes < norm).sum().double()}
        noised = {"count": count["count"] + 4 * torch.randn((), generator=run.noise, dtype=torch.float64)}
        told = tap(count, noised, clip_norm=1.0, noise_multiplier=4.0, mechanism="quantile")
        run.memory.append(norm * float(torch.exp(-0.2 * (told["count"] / 12 - 0.5))))

    return tiny.loop(tiny.Parts(step=step))


def physical(tiny: ModuleType) -> Any:
    def summed(run: SimpleNamespace, batch: Sequence[Any]) -> Named:
        parts = [tiny.clipped_sum(run, batch[i : i + 5]) for i in range(0, len(batch), 5)]
        return {n: sum((p[n] for p in parts), torch.zeros_like(t)) for n, t in run.model.named_parameters()}

    return tiny.loop(tiny.Parts(clipped_sum=summed))


def scheduled(tiny: ModuleType) -> Any:
    def update(run: SimpleNamespace, shown: Named, batch: Sequence[Any]) -> None:
        run.memory.append(1)
        for group in run.optimizer.param_groups:
            group["lr"] = 0.01 / len(run.memory)
        tiny.update(run, shown, batch)

    return tiny.loop(tiny.Parts(update=update, released=lambda run: {"steps": len(run.memory)}))


def fixed_size(tiny: ModuleType) -> Any:
    def batches(run: SimpleNamespace) -> Iterator[list[int]]:
        for _ in range(tiny.STEPS):
            yield torch.randperm(tiny.N, generator=run.coins)[: tiny.B].tolist()

    return tiny.loop(tiny.Parts(batches=batches), sampler="fixed-size", neighboring_relation="replace-one")


def shuffled(tiny: ModuleType) -> Any:
    def batches(run: SimpleNamespace) -> Iterator[list[int]]:
        for _ in range(tiny.STEPS // 4):
            yield from torch.randperm(tiny.N, generator=run.coins).reshape(-1, tiny.B).tolist()

    return tiny.loop(tiny.Parts(batches=batches), sampler="shuffle-each-epoch")


SOUND: dict[str, Callable[[ModuleType], Any]] = {
    "plain": lambda tiny: tiny.loop(),
    "physical batches": physical,
    "a public learning-rate schedule": scheduled,
    "a noised adaptive clip norm": noised_quantile,
    "fixed-size batches accounted as such": fixed_size,
    "shuffled batches accounted as such": shuffled,
}


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("seed", [0, 7])
def test_a_sound_loop_passes_every_probe(tiny: ModuleType, name: str, seed: int) -> None:
    answers = put(SOUND[name](tiny), plan=replace(SMALL, seed=seed))
    assert {n: a.summary for n, a in answers.items() if a.status is not ProbeStatus.HOLDS} == {}


def test_same_seed_same_answers(tiny: ModuleType) -> None:
    assert put(tiny.loop()) == put(tiny.loop())


# ---------------------------------------------------------------- unsound ones: (probe that must find it, parts)


def changed_gradients(tiny: ModuleType, change: Callable[[SimpleNamespace, Named, Named], Named]) -> Any:
    """A loop whose per-record gradients are changed before they are clipped; `change` sees raw gradients too."""

    def summed(run: SimpleNamespace, batch: Sequence[Any]) -> Named:
        gradients = {n: g.nan_to_num(0, 0, 0) for n, g in tiny.per_record(run.model, batch).items()}
        if not batch:
            return {n: g.sum(0) for n, g in gradients.items()}
        return change(run, gradients, batch)

    return tiny.loop(tiny.Parts(clipped_sum=summed))


def clip(gradients: Named, sizes: torch.Tensor, norm: float) -> Named:
    factor = (norm / (sizes + 1e-9)).clamp(max=1)
    return {n: torch.einsum("b,b...->...", factor, g) for n, g in gradients.items()}


def table_unclipped(tiny: ModuleType) -> Any:
    def change(run: SimpleNamespace, gradients: Named, batch: Any) -> Named:
        rest = {n: g for n, g in gradients.items() if n != "table.weight"}
        return {**clip(rest, tiny.norms(rest), 0.5), "table.weight": gradients["table.weight"].sum(0)}

    return changed_gradients(tiny, change)


def clipped_per_tensor(tiny: ModuleType) -> Any:
    """Each tensor clipped to C of its own: together √3 C."""

    def change(run: SimpleNamespace, gradients: Named, batch: Any) -> Named:
        return {n: clip({n: g}, tiny.norms({n: g}), 0.5)[n] for n, g in gradients.items()}

    return changed_gradients(tiny, change)


def clipped_mean(tiny: ModuleType) -> Any:
    def change(run: SimpleNamespace, gradients: Named, batch: Any) -> Named:
        mean = {n: g.mean(0, keepdim=True) for n, g in gradients.items()}
        return {n: g * len(batch) for n, g in clip(mean, tiny.norms(mean), 0.5).items()}

    return changed_gradients(tiny, change)


def centred(tiny: ModuleType) -> Any:
    """The batch's mean gradient is part of every row: rows are clipped, and know each other."""

    def change(run: SimpleNamespace, gradients: Named, batch: Any) -> Named:
        coupled = {n: g + 0.2 * g.mean(0, keepdim=True) for n, g in gradients.items()}
        return clip(coupled, tiny.norms(coupled), 0.5)

    return changed_gradients(tiny, change)


def median_clip(tiny: ModuleType) -> Any:
    def change(run: SimpleNamespace, gradients: Named, batch: Any) -> Named:
        sizes = tiny.norms(gradients)
        return clip(gradients, sizes, min(0.5, float(sizes.median())))

    return changed_gradients(tiny, change)


def nan_spreads(tiny: ModuleType) -> Any:
    def summed(run: SimpleNamespace, batch: Sequence[Any]) -> Named:
        gradients = tiny.per_record(run.model, batch)
        return clip(gradients, tiny.norms(gradients), 0.5)

    return tiny.loop(tiny.Parts(clipped_sum=summed))


def bf16(tiny: ModuleType) -> Any:
    def change(run: SimpleNamespace, gradients: Named, batch: Any) -> Named:
        low = {n: g.bfloat16() for n, g in gradients.items()}
        sizes = torch.stack([g.flatten(1).square().sum(1) for g in low.values()]).sum(0).sqrt()
        factor = (0.5 / sizes).clamp(max=1)
        return {n: (factor.reshape(-1, *[1] * (g.ndim - 1)) * g).float().sum(0) for n, g in low.items()}

    return changed_gradients(tiny, change)


def loss_history(tiny: ModuleType) -> Any:
    """Records are weighted by the largest gradient norm seen so far, before clipping."""

    def change(run: SimpleNamespace, gradients: Named, batch: Any) -> Named:
        sizes = tiny.norms(gradients)
        past = run.memory[-1] if run.memory else 1.0
        run.memory.append(max(past, float(sizes.max())))
        scaled = {n: 0.1 * g / past for n, g in gradients.items()}
        return clip(scaled, tiny.norms(scaled), 0.5)

    return changed_gradients(tiny, change)


def other_step(tiny: ModuleType, body: Callable[..., None], **parts: Any) -> Any:
    return tiny.loop(tiny.Parts(step=body, **parts))


def divided_by_the_batch(tiny: ModuleType) -> Any:
    def update(run: SimpleNamespace, shown: Named, batch: Sequence[Any]) -> None:
        tiny.update(run, {n: t * 12 / max(1, len(batch)) for n, t in shown.items()}, batch)

    # Adam hides a factor that is the same in every step; plain SGD does not need to be told apart here.
    return tiny.loop(tiny.Parts(update=update))


def raw_average(tiny: ModuleType) -> Any:
    """The update mixes in an average of clipped sums from before the noise."""

    def step(run: SimpleNamespace, parts: Any, batch: Sequence[Any], tap: Any) -> None:
        clipped = parts.clipped_sum(run, batch)
        run.memory.append(clipped)
        shown = tap(clipped, parts.add_noise(run, clipped))
        parts.update(run, {n: t + 0.1 * run.memory[-1][n] for n, t in shown.items()}, batch)

    return other_step(tiny, step)


def running_statistic(tiny: ModuleType) -> Any:
    def step(run: SimpleNamespace, parts: Any, batch: Sequence[Any], tap: Any) -> None:
        tiny.ordinary_step(run, parts, batch, tap)
        run.model.seen += sum(int(e.record[0].sum()) for e in batch)

    return other_step(tiny, step)


def bias_left_out(tiny: ModuleType) -> Any:
    """The bias is trained on its raw gradient and never shown."""

    def step(run: SimpleNamespace, parts: Any, batch: Sequence[Any], tap: Any) -> None:
        raw = tiny.per_record(run.model, batch)["out.bias"].nan_to_num(0, 0, 0).sum(0)
        clipped = parts.clipped_sum(run, batch)
        noisy = parts.add_noise(run, clipped)
        del clipped["out.bias"], noisy["out.bias"]
        parts.update(run, {**tap(clipped, noisy), "out.bias": raw}, batch)

    return other_step(tiny, step)


def logged(tiny: ModuleType) -> Any:
    def summed(run: SimpleNamespace, batch: Sequence[Any]) -> Named:
        run.memory.append(float(tiny.norms(tiny.per_record(run.model, batch)).nan_to_num(0, 0, 0).sum()))
        return tiny.clipped_sum(run, batch)

    return tiny.loop(tiny.Parts(clipped_sum=summed, released=lambda run: {"norms": list(run.memory)}))


def early_stop(tiny: ModuleType) -> Any:
    def summed(run: SimpleNamespace, batch: Sequence[Any]) -> Named:
        sizes = tiny.norms(tiny.per_record(run.model, batch)).nan_to_num(0, 0, 0)
        run.memory.append(max(map(float, sizes), default=0.0))
        return tiny.clipped_sum(run, batch)

    def batches(run: SimpleNamespace) -> Iterator[list[int]]:
        for batch in tiny.poisson(run):
            if run.memory and run.memory[-1] > 20:
                return
            yield batch

    return tiny.loop(tiny.Parts(clipped_sum=summed, batches=batches))


def noise_part(change: Callable[[SimpleNamespace, Named], Named]) -> Callable[[ModuleType], Any]:
    """A loop with other noise: `change` makes {name: noise / (σ C)}."""

    def made(tiny: ModuleType) -> Any:
        def add(run: SimpleNamespace, clipped: Named) -> Named:
            noise = change(run, clipped)
            return {n: t + 1.3 * 0.5 * noise[n] for n, t in clipped.items()}

        return tiny.loop(tiny.Parts(add_noise=add))

    return made


def normal(run: SimpleNamespace, clipped: Named) -> Named:
    return {n: torch.randn(t.shape, generator=run.noise) for n, t in clipped.items()}


def reused(run: SimpleNamespace, clipped: Named) -> Named:
    if not run.memory:
        run.memory.append(normal(run, clipped))
    return run.memory[0]


def shared_between_tensors(run: SimpleNamespace, clipped: Named) -> Named:
    long = torch.randn(500, generator=run.noise)
    return {n: long[: t.numel()].reshape(t.shape) for n, t in clipped.items()}


def one_row(run: SimpleNamespace, clipped: Named) -> Named:
    """One row of noise for all rows of a matrix."""
    return {n: torch.randn(t.shape[-1:], generator=run.noise).expand(t.shape).clone() for n, t in clipped.items()}


def flat_noise(run: SimpleNamespace, clipped: Named) -> Named:
    return {n: 12**0.5 * (torch.rand(t.shape, generator=run.noise) - 0.5) for n, t in clipped.items()}


def none_on_the_bias(run: SimpleNamespace, clipped: Named) -> Named:
    return {**normal(run, clipped), "out.bias": torch.zeros_like(clipped["out.bias"])}


def scaled_noise(factor: float) -> Callable[[SimpleNamespace, Named], Named]:
    return lambda run, clipped: {n: factor * t for n, t in normal(run, clipped).items()}


def skips_empty(tiny: ModuleType) -> Any:
    def step(run: SimpleNamespace, parts: Any, batch: Sequence[Any], tap: Any) -> None:
        if batch:
            tiny.ordinary_step(run, parts, batch, tap)

    return other_step(tiny, step)


def noise_per_physical_batch(tiny: ModuleType) -> Any:
    def step(run: SimpleNamespace, parts: Any, batch: Sequence[Any], tap: Any) -> None:
        for start in range(0, max(1, len(batch)), 5):
            tiny.ordinary_step(run, parts, batch[start : start + 5], tap)

    return other_step(tiny, step)


def noise_scaled_by_the_batch(tiny: ModuleType) -> Any:
    def step(run: SimpleNamespace, parts: Any, batch: Sequence[Any], tap: Any) -> None:
        clipped = parts.clipped_sum(run, batch)
        noise = normal(run, clipped)
        noisy = {n: t + 0.65 * noise[n] * len(batch) / 12 for n, t in clipped.items()}
        parts.update(run, tap(clipped, noisy), batch)

    return other_step(tiny, step)


def shuffled_as_poisson(tiny: ModuleType) -> Any:
    return replace(shuffled(tiny), sampler="poisson")


def fixed_as_poisson(tiny: ModuleType) -> Any:
    return replace(fixed_size(tiny), sampler="poisson", neighboring_relation="add-or-remove-one")


def twice_the_rate(tiny: ModuleType) -> Any:
    return replace(tiny.loop(), sampling_probability=tiny.B / tiny.N / 1.5)


def public_noise(tiny: ModuleType) -> Any:
    return tiny.loop(tiny.Parts(noise_seed=lambda seed, entropy: seed))


def public_batches(tiny: ModuleType) -> Any:
    return tiny.loop(tiny.Parts(coin_seed=lambda seed, entropy: seed))


UNSOUND: dict[str, tuple[str, Callable[[ModuleType], Any]]] = {
    "a table that is not clipped": ("sensitivity", table_unclipped),
    "each tensor clipped on its own": ("precision", clipped_per_tensor),
    "clipping after the mean": ("sensitivity", clipped_mean),
    "the batch mean in every row": ("additivity", centred),
    "a clip norm at the batch's median": ("additivity", median_clip),
    "a NaN that spreads": ("sensitivity", nan_spreads),
    "bf16 without a margin": ("precision", bf16),
    "a history of norms": ("replay", loss_history),
    "the update divided by the batch's size": ("replay", divided_by_the_batch),
    "raw sums mixed into the update": ("replay", raw_average),
    "a running statistic in a buffer": ("parameters", running_statistic),
    "a parameter trained past the tap": ("parameters", bias_left_out),
    "raw norms released": ("replay", logged),
    "an early stop on raw norms": ("replay", early_stop),
    "noise a tenth too small": ("noise", noise_part(scaled_noise(0.9))),
    "the same noise in every step": ("noise", noise_part(reused)),
    "noise shared between tensors": ("noise", noise_part(shared_between_tensors)),
    "one row of noise for a matrix": ("noise", noise_part(one_row)),
    "uniform noise of the right size": ("noise", noise_part(flat_noise)),
    "no noise on one tensor": ("noise", noise_part(none_on_the_bias)),
    "noise scaled by the size of the batch": ("noise", noise_scaled_by_the_batch),
    "empty batches skipped": ("steps", skips_empty),
    "an update for each physical batch": ("steps", noise_per_physical_batch),
    "more steps than accounted": ("steps", lambda tiny: tiny.loop(steps=10)),
    "shuffled batches accounted as Poisson": ("sampling", shuffled_as_poisson),
    "fixed-size batches accounted as Poisson": ("sampling", fixed_as_poisson),
    "a larger rate than accounted": ("sampling", twice_the_rate),
    "noise from the public seed": ("randomness", public_noise),
    "batches from the public seed": ("randomness", public_batches),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_a_planted_defect_is_found_by_the_probe_that_is_for_it(tiny: ModuleType, name: str) -> None:
    which, made = UNSOUND[name]
    answers = put(made(tiny), which)
    assert violated(answers) == {which}, answers[which].summary
    assert answers[which].severity is Severity.HIGH
    assert answers[which].witness


def test_more_noise_than_accounted_is_told_and_is_no_breach(tiny: ModuleType) -> None:
    answer = put(noise_part(scaled_noise(1.5))(tiny), "noise")["noise"]
    assert answer.status is ProbeStatus.VIOLATED
    assert answer.severity is Severity.LOW
    assert answer.value == pytest.approx(1.5, rel=0.05)


def test_fewer_steps_than_accounted_is_told_and_is_no_breach(tiny: ModuleType) -> None:
    answer = put(tiny.loop(steps=64), "steps")["steps"]
    assert answer.status is ProbeStatus.VIOLATED
    assert answer.severity is Severity.LOW
    assert answer.value == 0.25


@pytest.mark.parametrize(("ratio", "cure"), [(1.004, "in float32"), (2.1, "not clipped to C")])
def test_the_cure_named_for_a_norm_above_the_clip_norm_fits_its_size(ratio: float, cure: str) -> None:
    assert cure in _cure(ratio)
