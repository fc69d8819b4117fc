"""How much is tried, and the level at which a statistical test speaks up."""

from __future__ import annotations

from dataclasses import dataclass

# Chance that a sound loop is flagged by any statistical test of one whole probing; its shares sum to 1.
FAMILY_LEVEL = 1e-6
SHARES = {"noise": 0.6, "sampling": 0.3, "randomness": 0.1}

# Measured sums carry float32 rounding: about 1e-5 of C for 64 records. Overshoots above this are reported.
ROUNDING = 1e-4


@dataclass(frozen=True)
class Plan:
    """What a probing tries.

    Attributes:
        seed: public; every batch, place and record follows from it.
        sizes: logical batch sizes, as far as the pool goes.
        places: ordinary records removed and replaced per batch.
        singles: ordinary records measured alone.
        factors, noiseless_steps: other values of the parameters to measure at: the first ones times a factor, and
            those after some steps on one batch without noise, where gradients are small and clipping hides less.
        hard_sizes: batch sizes (of `sizes`) into which hard records are put.
        steps: steps of a scripted replay; run_steps: most steps of a replay of the loop's own run.
        hard_changes: hard records put in for the record that a scripted replay changes.
        own_changes, own_records: the last of these changes, made in replays of the loop's own run, each to so many
            records: a rule that stops or branches by a threshold shows only where a record tips it.
        noise_runs, noise_steps: runs and steps whose noise is tested; up to ten times the steps where the model is
            so small that they hold fewer than `coordinates` numbers.
        batches: logical batches looked at for the sampler.
    """

    seed: int = 0
    sizes: tuple[int, ...] = (8, 16, 32, 64)
    places: int = 3
    singles: int = 16
    factors: tuple[float, ...] = (0.1, 2.0)
    noiseless_steps: int = 120
    hard_sizes: tuple[int, ...] = (8, 32)
    steps: int = 8
    run_steps: int = 64
    hard_changes: int = 3
    own_changes: int = 4
    own_records: int = 24
    noise_runs: int = 2
    noise_steps: int = 10
    coordinates: int = 50_000
    batches: int = 400

    def level(self, probe: str, tests: int) -> float:
        """The level of each of a probe's `tests`, so that all tests of a probing together err with FAMILY_LEVEL."""
        return FAMILY_LEVEL * SHARES[probe] / max(1, tests)


FULL = Plan()
BRIEF = Plan(
    sizes=(32,),
    places=2,
    singles=4,
    factors=(),
    noiseless_steps=0,
    hard_sizes=(32,),
    steps=8,
    run_steps=6,
    hard_changes=1,
    own_changes=1,
    own_records=1,
    noise_steps=4,
    batches=200,
)
