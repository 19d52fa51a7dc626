# SPDX-License-Identifier: Apache-2.0
"""Every estimator against enumeration or a known value."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelcoder.report import stats

values = st.floats(-3, 3, allow_nan=False).map(lambda x: round(x, 3))


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_pass_at_k_is_the_share_of_subsets_with_a_success(pair: tuple[int, int]) -> None:
    n, c = pair
    for k in range(1, n + 1):
        subsets = list(itertools.combinations([i < c for i in range(n)], k))
        assert stats.pass_at_k(n, c, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))


@given(st.lists(values, min_size=1, max_size=7))
def test_best_of_k_is_the_mean_maximum_of_subsets(scores: list[float]) -> None:
    for k in range(1, len(scores) + 1):
        tops = [max(subset) for subset in itertools.combinations(scores, k)]
        assert stats.best_of_k(scores, k) == pytest.approx(sum(tops) / len(tops), abs=1e-9)


@given(st.lists(values, min_size=1, max_size=8))
def test_sign_flip_is_the_share_of_sign_patterns_at_least_as_far(differences: list[float]) -> None:
    observed = abs(sum(differences)) - 1e-9
    patterns = list(itertools.product((1, -1), repeat=len(differences)))
    hits = sum(
        abs(sum(s * d for s, d in zip(signs, differences, strict=True))) >= observed
        for signs in patterns
    )
    assert stats.sign_flip(differences) == pytest.approx(hits / len(patterns))


def test_sign_flip_beyond_twenty_tasks_is_seeded_and_close_to_the_truth() -> None:
    differences = [0.1 if i % 3 else -0.1 for i in range(30)]
    first = stats.sign_flip(differences)
    assert first == stats.sign_flip(differences)
    # Two-sided binomial tail: 20 of 30 signs one way.
    truth = 2 * sum(math.comb(30, i) for i in range(20, 31)) / 2**30
    assert first == pytest.approx(truth, abs=0.01)


@given(st.integers(0, 12), st.integers(0, 12))
def test_mcnemar_is_the_two_sided_binomial_tail(b: int, c: int) -> None:
    coins = b + c
    tail = sum(math.comb(coins, i) for i in range(coins + 1) if i <= min(b, c)) / 2**coins
    assert stats.mcnemar(b, c) == pytest.approx(min(1.0, 2 * tail))


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_solves_its_equation_and_holds_the_share(pair: tuple[int, int]) -> None:
    k, n = pair
    found = stats.wilson(k, n)
    assert found is not None
    lo, hi = found
    assert 0 <= lo <= k / n <= hi <= 1
    for bound in (lo, hi):
        if 0 < bound < 1:  # |p - bound| = z * sqrt(bound (1 - bound) / n)
            width = stats.Z95 * math.sqrt(bound * (1 - bound) / n)
            assert abs(k / n - bound) == pytest.approx(width, abs=1e-9)


def test_wilson_known_value() -> None:
    lo, hi = stats.wilson(18, 20) or (0, 0)
    assert (round(lo, 4), round(hi, 4)) == (0.6990, 0.9721)
    assert stats.wilson(0, 0) is None


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=9))
def test_geomean_and_fast_p(ratios: list[float]) -> None:
    assert stats.geomean(ratios) == pytest.approx(math.prod(ratios) ** (1 / len(ratios)))
    some = [*ratios, None]
    assert stats.fast_p(some, 0.0) == pytest.approx(len(ratios) / len(some))
    curve = [stats.fast_p(some, p) or 0.0 for p in (0, 0.5, 1, 2, 5, 10)]
    assert curve == sorted(curve, reverse=True)


@settings(max_examples=20)
@given(st.lists(st.floats(0.2, 5), min_size=2, max_size=12))
def test_bootstrap_interval_is_seeded_and_within_the_extremes(ratios: list[float]) -> None:
    found = stats.geomean_interval(ratios)
    assert found is not None
    assert found == stats.geomean_interval(ratios)
    assert min(ratios) * (1 - 1e-9) <= found[0] <= found[1] <= max(ratios) * (1 + 1e-9)


def test_bootstrap_interval_has_the_width_theory_says() -> None:
    data = [math.sin(i * 12.9898) for i in range(400)]
    mean = sum(data) / len(data)
    sd = math.sqrt(sum((x - mean) ** 2 for x in data) / len(data))
    lo, hi = stats.mean_interval(data) or (0, 0)
    assert hi - lo == pytest.approx(2 * 1.96 * sd / math.sqrt(len(data)), rel=0.05)
    assert stats.mean_interval([1.0]) is None


def test_holm_superiority_detectable() -> None:
    assert stats.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert stats.holm([0.9, 0.8]) == [1.0, 1.0]
    assert stats.superiority([1, -1, 0, 2]) == pytest.approx(0.625)
    # The planning table: 71 tasks with a spread of 0.3 find a true ratio of 1.10.
    spread = [0.3 * math.sqrt(71 / 70) if i % 2 else -0.3 * math.sqrt(71 / 70) for i in range(70)]
    assert stats.detectable([*spread, 0.0]) == pytest.approx(1.105, abs=0.005)


def test_impossible_requests_raise() -> None:
    for call in (
        lambda: stats.pass_at_k(4, 5, 1),
        lambda: stats.best_of_k([1.0], 2),
        lambda: stats.wilson(3, 2),
    ):
        with pytest.raises(ValueError):  # noqa: PT011
            call()
