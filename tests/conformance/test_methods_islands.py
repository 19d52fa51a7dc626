# SPDX-License-Identifier: Apache-2.0
"""Islands of elites: who is kept, who travels; and the mistakes of relatives avoided."""

from __future__ import annotations

import math
import random
from typing import Any

import pytest
from kinds import KINDS, history, made

from kernelcoder.methods.evolution.islands import PATIENCE, PERIOD, Grid, cell_of, fold
from kernelcoder.records import Attempt, Proposal


def scores(grid: Grid) -> dict[Any, float]:
    return dict(grid.scores)


def lucky_world(seed: int, size: int) -> list[Attempt]:
    """Attempts as a search over many kinds might have left them: half of them right."""
    rng = random.Random(seed)
    found = []
    for ordinal in range(size):
        copy = rng.randrange(ordinal) if ordinal and rng.random() < 0.1 else None
        status = rng.choice(["verified", "verified", "incorrect", "compile_error"])
        kind = rng.choice(sorted(KINDS))
        found.append(made(ordinal, rng.uniform(0.5, 3.0), kind, status, duplicate_of=copy))
    return found


def test_kinds_are_cells_of_their_own() -> None:
    assert len({cell_of(made(0, kind=kind)) for kind in KINDS}) == len(KINDS)


def test_a_cell_keeps_the_fastest_and_the_earlier_of_equals() -> None:
    past = [made(0, 1.0), made(1, 2.0), made(2, 2.0), made(3, 1.5), made(4, 1.0, "rows")]
    grid = fold(history(past), 1).islands[0]
    assert sorted(one.ordinal for one in grid.elites.values()) == [1, 4]
    best = grid.best()
    assert best is not None
    assert grid.elites[best].ordinal == 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("count", [1, 3])
def test_neither_age_nor_reset_evicts_an_elite(seed: int, count: int) -> None:
    """GEAK's full pool lost its best; OpenEvolve's limit on the population evicted elites."""
    past = lucky_world(seed, 160)
    before = fold(history([]), count)
    for size in range(1, len(past) + 1):
        world = fold(history(past[:size]), count)
        right = [one for one in past[:size] if one.verdict.verified and one.duplicate_of is None]
        fastest = max((math.log(one.speedup("eager") or 1) for one in right), default=-math.inf)
        assert world.every.top == fastest
        for old, new in zip(before.islands, world.islands, strict=True):
            assert all(new.scores[cell] >= score for cell, score in scores(old).items())
        before = world


def test_a_kernel_stays_in_its_cell_whatever_arrives() -> None:
    """OpenEvolve scales its grid by the running minimum and maximum, so cells move."""
    past = lucky_world(1, 60)
    first = [cell_of(one) for one in past[:20]]
    fold(history(past), 3)
    assert [cell_of(one) for one in past[:20]] == first


def test_attempts_go_to_the_islands_in_turn_seeds_too() -> None:
    """One of OpenEvolve's bugs put all programs on island 0."""
    seeds = [Proposal("seed", given="a" * 64), Proposal("probe", given="b" * 64)]
    past = [made(one, 1.0 + one, proposal=seeds[one]) for one in range(2)]
    past += [made(one, 1.0 + one) for one in range(2, 6)]
    world = fold(history(past), 3)
    homes = [sorted(one.ordinal for one in grid.elites.values()) for grid in world.islands]
    assert homes == [[3], [4], [5]]
    assert [sorted(g.elites) != [] for g in fold(history(past[:2]), 3).islands] == [1, 1, 0]


def test_copies_are_no_elites() -> None:
    past = [made(0, 1.0), made(1, 1.0, duplicate_of=0), made(2, 0.5)]
    world = fold(history(past), 3)
    assert [len(grid.elites) for grid in world.islands] == [1, 0, 1]


def test_bests_migrate_along_the_ring_at_the_end_of_a_period() -> None:
    count, period = 3, PERIOD * 3
    kinds = ["plain", "rows", "staged"]
    past = [made(one, 1.0 + 0.1 * (one % 3), kinds[one % 3]) for one in range(period)]
    early = fold(history(past[: period - 1]), count)
    assert [len(grid.elites) for grid in early.islands] == [1, 1, 1]
    late = fold(history(past), count)
    for number, kind in enumerate(kinds):
        here = {cell_of(made(0, kind=kind)), cell_of(made(0, kind=kinds[number - 1]))}
        assert set(late.islands[number].elites) == here
    # The migrant is a copy: its home keeps it.
    assert set(early.islands[0].elites) <= set(late.islands[0].elites)


def test_a_migrant_does_not_displace_a_faster_kernel() -> None:
    past = [made(one, 3.0 if one % 3 == 1 else 1.0) for one in range(PERIOD * 3)]
    world = fold(history(past), 3)
    assert [round(math.exp(grid.top), 3) for grid in world.islands] == [1.0, 3.0, 3.0]


def test_lost_attempts_do_not_shift_the_periods() -> None:
    whole = [made(one, 1.0 + 0.1 * (one % 3), list(KINDS)[one % 3]) for one in range(30)]
    with_gap = [one for one in whole if one.ordinal != 29]
    assert len(fold(history(with_gap, ordinal=30), 3).islands[0].elites) == 2
    assert len(fold(history(with_gap, ordinal=30, window=4), 3).islands[0].elites) == 1


@pytest.mark.parametrize(("periods", "gain_at", "restarts"), [
    (1 + PATIENCE, None, True),  # the first period brings the record, then three are flat
    (PATIENCE, None, False),
    (1 + PATIENCE, 2 * PERIOD + 1, False),  # a gain on the way starts the count again
    (2 + PATIENCE, 2 * PERIOD + 1, True),
])  # fmt: skip
def test_the_worst_island_restarts_after_three_flat_periods(
    periods: int, gain_at: int | None, restarts: bool
) -> None:
    """Island 0 has a second kind that no migration takes along, as only the best travels."""
    special = {0: made(0, 5.0), 2: made(2, 4.0, "rows")}
    if gain_at is not None:
        special[gain_at] = made(gain_at, 5.5)
    past = [special.get(one) or made(one, 0.4) for one in range(periods * PERIOD * 2)]
    before = fold(history(past[:-1]), 2)
    assert [len(grid.elites) for grid in before.islands] == [2, 1]
    after = fold(history(past), 2)
    assert [len(grid.elites) for grid in after.islands] == [2, 1 + restarts]
    assert (after.islands[1].elites == after.every.elites) is restarts


def test_a_gain_within_the_noise_is_none() -> None:
    special = {0: made(0, 5.0), 2: made(2, 4.0, "rows"), 21: made(21, 5.05)}
    past = [special.get(one) or made(one, 0.4) for one in range((1 + PATIENCE) * PERIOD * 2)]
    assert len(fold(history(past), 2).islands[1].elites) == 2
