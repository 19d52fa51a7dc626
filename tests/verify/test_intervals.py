# SPDX-License-Identifier: Apache-2.0
"""Intervals of repeated ratios: coverage by simulation and by enumeration."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from kernelcoder.verify.intervals import blocks_ratio, median_interval, pairs_ratio


def test_median_interval_covers_by_enumeration() -> None:
    # Each of n values is below the true median with probability 1/2: count over all patterns.
    n = 9
    values = list(range(n))
    _, lo, hi = median_interval(values)
    covered = 0
    for signs in itertools.product((0, 1), repeat=n):
        below = sum(signs)
        covered += values.index(lo) < below <= values.index(hi)
    assert covered / 2**n >= 0.95
    assert (lo, hi) == (1, 7)


def test_ranks_of_many_values_join_those_of_few() -> None:
    widths = []
    for n in (199, 200, 201, 202, 5000):
        middle, lo, hi = median_interval(list(range(n)))
        assert lo + hi == 2 * middle
        widths.append((hi - lo) / math.sqrt(n))
    assert max(widths) - min(widths) < 0.15
    assert widths[-1] == pytest.approx(1.96, abs=0.05)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_values_give_their_range(n: int) -> None:
    values = [float(i) for i in range(n)]
    assert median_interval(values)[1:] == (0.0, float(n - 1))


def test_pairs_ratio_finds_a_known_ratio() -> None:
    rng = random.Random(5)
    logs = [math.log(1.25) + rng.gauss(0, 0.05) for _ in range(40)]
    ratio = pairs_ratio(logs)
    assert ratio.lo < 1.25 < ratio.hi
    assert ratio.n == 40


def test_block_intervals_cover_about_95_percent() -> None:
    rng = random.Random(6)
    hits = 0
    for _ in range(2000):
        blocks = [rng.gauss(0.3, 0.02) for _ in range(6)]
        ratio = blocks_ratio(blocks)
        hits += ratio.lo <= math.exp(0.3) <= ratio.hi
    assert 0.93 < hits / 2000 < 0.97


def test_one_block_admits_that_it_knows_no_spread() -> None:
    ratio = blocks_ratio([0.0])
    assert ratio.lo == pytest.approx(0.1)
    assert ratio.hi == pytest.approx(10.0)
