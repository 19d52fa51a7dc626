# SPDX-License-Identifier: Apache-2.0
"""How alike is alike enough: learnt per entry, and bounded whatever an entry believes."""

from __future__ import annotations

import random

import pytest

from kernelcoder.memory import cache
from kernelcoder.memory.caching.thresholds import NEVER, chance, threshold


def test_trials_move_the_threshold_of_their_entry() -> None:
    fresh = threshold([], 0.05)
    assert 0.9 < fresh < 1.0
    assert threshold([(0.9, True)] * 10, 0.05) < fresh
    assert threshold([(1.0, False)], 0.05) == NEVER
    assert threshold([(0.97, False), *[(1.0, True)] * 20], 0.05) <= 1.0
    assert threshold([], 0.01) > threshold([], 0.2)


def test_the_chance_grows_with_similarity_and_stands_at_the_threshold() -> None:
    trials = [(0.8, False), (0.9, True), (0.95, True)]
    found = [chance(trials, step / 50) for step in range(51)]
    assert found == sorted(found)
    assert chance(trials, threshold(trials, 0.05)) == pytest.approx(0.95, abs=0.01)


def simulated(planted: float, seed: int, adapt: bool = True) -> dict[str, int]:
    """A stream of tasks near one entry or another: of a share of the entries no kernel is ever
    right elsewhere, of the others it is right above a similarity of their own."""
    rng, options = random.Random(seed), cache.Options(5, 20, False)
    truth = [9.0 if rng.random() < planted else rng.uniform(0.8, 0.97) for _ in range(20)]
    trials: list[list[tuple[float, bool]]] = [[] for _ in truth]
    limits = [threshold([], 0.05)] * len(truth)
    stats = {"hits": 0, "wrong": 0, "served": 0, "served_wrong": 0}
    for _ in range(400):
        one, near = rng.randrange(len(truth)), rng.choice([1.0, rng.uniform(0.7, 1.0)])
        right = near >= truth[one]
        above = near >= (limits[one] if adapt else 0.9)
        serve = above and not (adapt and cache.braked({"stats": stats}, options))
        stats["served"] += serve
        stats["served_wrong"] += serve and not right
        if serve or rng.random() < options.explore_percent / 100:
            stats["hits"] += above
            stats["wrong"] += above and not right
            trials[one] = [*trials[one], (near, right)]
            limits[one] = threshold(trials[one], 0.05) if adapt else 0.9
    return stats


def test_at_most_one_hit_in_twenty_is_wrong_even_among_planted_near_misses() -> None:
    for planted in (0.0, 0.3):
        for seed in range(2):
            found = simulated(planted, seed)
            assert found["served_wrong"] <= 0.05 * found["hits"] + 1, found
            assert planted or found["served"] > 100
    careless = simulated(0.3, 0, adapt=False)
    assert careless["served_wrong"] > 0.2 * careless["served"]
