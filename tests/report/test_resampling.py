# SPDX-License-Identifier: Apache-2.0
"""The hierarchical bootstrap, against the distribution it draws from, enumerated."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelcoder.report import resampling, stats

Levels = list[list[list[float]]]


def enumerated(levels: Levels) -> dict[float, float]:
    """Mean -> probability, over every way to draw families, tasks inside, seeds inside."""

    def task(values: list[float]) -> list[tuple[float, float]]:
        draws = list(itertools.product(values, repeat=len(values)))
        return [(math.fsum(one) / len(one), 1 / len(draws)) for one in draws]

    def family(tasks: list[list[float]]) -> list[tuple[float, int, float]]:
        out = []
        for drawn in itertools.product(range(len(tasks)), repeat=len(tasks)):
            for each in itertools.product(*(task(tasks[i]) for i in drawn)):
                p = math.prod(q for _, q in each) / len(tasks) ** len(tasks)
                out.append((math.fsum(v for v, _ in each), len(tasks), p))
        return out

    found: Counter[float] = Counter()
    families = [family(tasks) for tasks in levels]
    for drawn in itertools.product(range(len(levels)), repeat=len(levels)):
        for each in itertools.product(*(families[i] for i in drawn)):
            mean = math.fsum(s for s, _, _ in each) / sum(n for _, n, _ in each)
            p = math.prod(q for _, _, q in each) / len(levels) ** len(levels)
            found[round(mean, 9)] += p
    return found


CASES: list[Levels] = [
    [[[0.0], [1.0]]],
    [[[0.0, 1.0]], [[2.0, 4.0]]],
    [[[0.0], [3.0]], [[10.0]]],
    [[[1.0, 2.0], [5.0]], [[7.0]]],
]


@pytest.mark.parametrize("levels", CASES)
def test_resamples_follow_the_enumerated_distribution(levels: Levels) -> None:
    expected = enumerated(levels)
    draws = 20_000
    seen = Counter(numpy.round(resampling.hierarchical_means(levels, draws), 9).tolist())
    assert set(seen) <= {value + 0.0 for value in expected}
    for value, p in expected.items():
        slack = 5 * math.sqrt(p * (1 - p) / draws) + 1e-9
        assert abs(seen[value] / draws - p) < slack


def test_with_one_seed_and_few_families_it_is_the_plain_bootstrap_over_tasks() -> None:
    tree = {"a": {"1": [0.3], "2": [0.1]}, "b": {"3": [-0.2], "4": [0.7]}}
    found = resampling.spread(tree)
    assert found.interval == stats.mean_interval([0.3, 0.1, -0.2, 0.7])
    assert found.resampled == "tasks"


@pytest.mark.parametrize(
    ("families", "seeds", "words"),
    [
        (2, 1, "tasks"), (2, 3, "tasks and seeds"), (10, 1, "families and tasks"),
        (10, 2, "families, tasks and seeds"),
    ],
)  # fmt: skip
def test_families_are_resampled_where_there_are_ten(families: int, seeds: int, words: str) -> None:
    tree = {
        f"f{f}": {f"{f}-{t}": [f + t + s / 10 for s in range(seeds)] for t in range(2)}
        for f in range(families)
    }
    found = resampling.spread(tree, draws=2000)
    assert found.resampled == words
    assert found.interval is not None and found.interval[0] < found.interval[1]


def test_families_that_differ_make_a_wider_interval_than_their_tasks_alone() -> None:
    tree = {f"f{f}": {f"{f}-{t}": [float(f % 2)] for t in range(8)} for f in range(10)}
    whole = resampling.spread(tree).interval
    flat = resampling.spread({"": {k: v for f in tree.values() for k, v in f.items()}}).interval
    assert whole is not None and flat is not None
    assert whole[1] - whole[0] > 1.8 * (flat[1] - flat[0])


def test_cluster_error_by_hand() -> None:
    assert resampling.cluster_error([[1.0, 2.0]]) is None
    # mean 2, family sums of deviations -2 + 0 = ... : (0-2)+(2-2) = -2 and (4-2) = 2
    assert resampling.cluster_error([[0.0, 2.0], [4.0]]) == pytest.approx(math.sqrt(8) / 3)


def test_fewer_than_two_tasks_have_no_spread() -> None:
    assert resampling.spread({"a": {"1": [1.0, 2.0]}}) == resampling.Spread(None, "nothing", None)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.lists(st.floats(-3, 3), min_size=1, max_size=3), min_size=1, max_size=4),
        min_size=1,
        max_size=4,
    )
)
def test_means_stay_within_the_values(levels: Levels) -> None:
    values = [v for tasks in levels for each in tasks for v in each]
    found = resampling.hierarchical_means(levels, 200)
    assert len(found) == 200
    assert min(values) - 1e-9 <= found[0] and found[-1] <= max(values) + 1e-9
