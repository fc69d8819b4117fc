"""What is measured is what the arithmetic of one record says, and a witness replays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from audit.probes.bench import OTHER, OWN, REMOVED, START, Bench, Neighbours
from audit.probes.neighbours import hard_records
from audit.probes.plan import FULL, Plan
from audit.probes.sensitivity import sensitivity
from audit.probes.step import Example, Loop, Run, untapped
from audit.probes.suite import probe
from audit.probes.tied import tied
from audit.probes.watch import Session, distance
from audit.types import ProbeStatus

SMALL = replace(FULL, sizes=(8,), places=2, factors=(), noiseless_steps=0, hard_sizes=(8,))


def vectors(norms: Sequence[float]) -> Loop:
    """A loop whose records are vectors that are their own gradients: S is known in closed form."""

    def start(records: Sequence[Any], seed: int, entropy: int) -> Run:
        model = nn.Linear(4, 1, bias=False)

        def step(batch: Sequence[Example], tap: Any) -> None:
            rows = [e.record * min(1.0, 1 / max(float(e.record.norm()), 1e-9)) for e in batch]
            total = {"weight": sum(rows, torch.zeros(4))[None]}
            tap(total, {n: t + torch.randn(t.shape) for n, t in total.items()})

        return Run(model, step)

    directions = torch.randn((len(norms), 4), generator=torch.Generator().manual_seed(0))
    pool = [n * d / d.norm() for n, d in zip(norms, directions, strict=True)]
    return Loop(start, pool, clip_norm=1.0, noise_multiplier=1.0, batch_size=8, records_checked=True)


def test_a_removal_moves_the_sum_by_the_records_clipped_norm() -> None:
    loop = vectors([0.1 * (i + 1) for i in range(16)])
    bench = Bench(loop, SMALL)
    batch = bench.batch(8)
    for place in range(8):
        expected = min(1.0, float(batch[place].record.norm()))
        assert bench.ratio(Neighbours(8, place)) == pytest.approx(expected, abs=1e-6)


def test_a_replacement_moves_the_sum_by_the_difference_of_two_clipped_records() -> None:
    bench = Bench(replace(vectors([5.0] * 16), outliers={"opposite": [torch.tensor([3.0, 0, 0, 0])]}), SMALL)
    own = bench.batch(8)[2].record
    expected = float((own / own.norm() - torch.tensor([1.0, 0, 0, 0])).norm())
    assert bench.ratio(Neighbours(8, 2, "opposite", OWN)) == pytest.approx(expected, abs=1e-6)


def test_bounds_are_c_for_a_removal_and_twice_c_for_a_replacement() -> None:
    assert Neighbours(8, 0, OWN, REMOVED).bound == Neighbours(8, 0, "hard", REMOVED).bound == 1
    assert Neighbours(8, 0, OWN, OTHER).bound == Neighbours(8, 0, "hard", OWN).bound == 2


def test_the_witness_replays_on_a_new_bench() -> None:
    loop = replace(vectors([3.0] * 16), clip_norm=0.8)  # accounted for less than the loop clips to
    answer = sensitivity(Bench(loop, SMALL))
    assert answer.status is ProbeStatus.VIOLATED
    assert answer.value == pytest.approx(1 / 0.8, rel=1e-4)
    place = int((answer.witness or "").split("place ")[1].split(":")[0])
    assert Bench(loop, SMALL).ratio(Neighbours(8, place)) == pytest.approx(answer.value, rel=1e-4)


def test_with_replace_one_accounting_only_replacements_are_judged() -> None:
    loop = replace(vectors([3.0] * 16), clip_norm=0.8, neighboring_relation="replace-one")
    figures = sensitivity(Bench(loop, SMALL)).figures
    assert not [name for name in figures if "removed" in name]


def test_a_sum_that_is_not_finite_is_infinitely_far() -> None:
    assert distance({"a": torch.tensor([math.nan])}, {"a": torch.tensor([1.0])}) == math.inf


def test_a_tensor_that_is_missing_counts_as_zero() -> None:
    assert distance({"a": torch.tensor([3.0, 4.0])}, {}) == 5.0


def test_every_point_has_other_parameters(tiny: ModuleType) -> None:
    bench = Bench(tiny.loop(), replace(SMALL, factors=(0.5,), noiseless_steps=3))
    start = Session(bench.loop, seed=11, entropy=12).parameters()
    assert [*bench.points] == [START, "parameters ×0.5", "parameters after 3 steps without noise"]
    half = bench.points["parameters ×0.5"]
    fitted = bench.points["parameters after 3 steps without noise"]
    assert half is not None
    assert fitted is not None
    assert all(torch.equal(half[name], 0.5 * value) for name, value in start.items())
    assert not any(torch.equal(fitted[name], value) for name, value in start.items())


# ---------------------------------------------------------------- hard records


def test_hard_records_scale_floats_and_leave_labels_alone(tiny: ModuleType) -> None:
    made = {name: e.record for name, e in hard_records(tiny.loop(), 0).items()}
    ids, weight = tiny.records()[0]
    assert made["numbers ×1000"][1] == 1000 * weight
    assert torch.equal(made["numbers ×1000"][0], ids)
    assert math.isnan(made["NaN"][1])
    assert math.isinf(made["infinite"][1])
    assert made["one token repeated"][0].unique().numel() == 1


def test_nothing_is_made_where_the_loop_checks_its_records() -> None:
    loop = replace(vectors([1.0] * 16), outliers={"mine": [torch.ones(4), torch.zeros(4)]})
    assert [*hard_records(loop, 0)] == ["mine (1)", "mine (2)"]


def test_a_longer_text_is_made_of_texts() -> None:
    loop = Loop(lambda *_: None, ["a b", "a b c"] * 8, 1.0, 1.0, 4)  # type: ignore[arg-type, return-value]
    assert hard_records(loop, 0)["long text"].record.split() == ["a", "b", "c"] * 8


# ---------------------------------------------------------------- randomness of records


def dropped(seeds: Sequence[int]) -> torch.Tensor:
    with tied([Example(None, seed) for seed in seeds]):
        return nn.functional.dropout(torch.ones(len(seeds), 50), 0.5)


def test_tied_draws_of_a_record_are_the_same_in_any_batch() -> None:
    whole, part = dropped([5, 6, 7]), dropped([7, 5])
    assert torch.equal(part, whole[[2, 0]])
    assert not torch.equal(whole[0], whole[1])


def test_tied_draws_leave_the_default_generator_and_own_generators_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    own = torch.Generator().manual_seed(9)
    with tied([Example(None, 1), Example(None, 2)]):
        torch.randn(2, 3)
        drawn = torch.randn(2, 3, generator=own)
    assert torch.equal(torch.rand(4), expected)
    assert torch.equal(drawn, torch.randn(2, 3, generator=torch.Generator().manual_seed(9)))


def test_two_draws_of_a_record_differ() -> None:
    with tied([Example(None, 1), Example(None, 2)]):
        first, second = torch.randn(2, 8), torch.randn(2, 8)
    assert not torch.equal(first, second)


def test_draws_that_are_not_tied_are_not_judged(tiny: ModuleType) -> None:
    """Dropout drawn for the batch would read as a large sensitivity when a middle record is removed."""

    def summed(run: Any, batch: Sequence[Example]) -> dict[str, torch.Tensor]:
        kept = [e for e, keep in zip(batch, torch.rand(len(batch)) < 0.5, strict=True) if keep]
        return tiny.clipped_sum(run, kept)

    answers = probe(tiny.loop(tiny.Parts(clipped_sum=summed)), SMALL, ["sensitivity", "additivity", "precision"])
    assert {a.status for a in answers} == {ProbeStatus.NOT_JUDGED}
    assert "tied" in answers[0].summary


def test_a_loop_that_ignores_the_tap_is_not_judged_by_replay(tiny: ModuleType) -> None:
    def step(run: Any, parts: Any, batch: Sequence[Example], tap: Any) -> None:
        clipped = parts.clipped_sum(run, batch)
        noisy = parts.add_noise(run, clipped)
        tap(clipped, noisy)
        parts.update(run, noisy, batch)

    answers = probe(tiny.loop(tiny.Parts(step=step)), SMALL, ["replay"])
    assert answers[0].status is ProbeStatus.NOT_JUDGED


def test_an_untapped_loop_trains_as_ever(tiny: ModuleType) -> None:
    run = tiny.loop().start(tiny.records(), 0, 1)
    before = [p.clone() for p in run.model.parameters()]
    run.step([Example(r, i) for i, r in enumerate(tiny.records()[:4])], untapped)
    assert all(not torch.equal(a, b) for a, b in zip(before, run.model.parameters(), strict=True))


def test_the_default_generators_are_left_as_they_were(tiny: ModuleType) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    probe(tiny.loop(), Plan(noise_steps=2, coordinates=1), ["noise"])
    assert torch.equal(torch.rand(3), expected)
