# SPDX-License-Identifier: Apache-2.0
"""The tolerance rule (KF5): correct rounding passes, 16 ulps fail, one wrong element fails."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kernelcoder.verify.numerics import (
    LEAST_ULPS,
    MARGIN,
    TORCH,
    Rule,
    bounds,
    errors,
    growth,
    tolerance,
    ulp,
)

DTYPES = ("f32", "f16", "bf16")
BITS = {"f32": 24, "f16": 11, "bf16": 8}
# well inside the normal range of every dtype
ordinary = st.floats(min_value=2.0**-10, max_value=2.0**10).flatmap(
    lambda size: st.sampled_from([size, -size])
)


def one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def step(value: Tensor, count: int) -> Tensor:
    """``count`` representable numbers away from zero (by the bits, independent of ``ulp``)."""
    kind = torch.int32 if value.dtype == torch.float32 else torch.int16
    return (value.view(kind) + count).view(value.dtype)


def passes(
    got: Tensor, expected: Tensor, dtype: str, magnitude: Tensor | None = None, n: int = 1
) -> bool:
    return not bool(bounds(expected, magnitude, dtype, n).wrong(got).any())


@pytest.mark.parametrize("dtype", DTYPES)
@given(value=ordinary)
@settings(max_examples=150, deadline=None)
def test_rounded_and_its_neighbors_pass_sixteen_ulps_fail(dtype: str, value: float) -> None:
    expected = one(value)
    rounded = expected.to(TORCH[dtype])
    assert passes(rounded, expected, dtype)
    assert passes(step(rounded, 1), expected, dtype)
    assert passes(step(rounded, -1), expected, dtype)
    assert not passes(step(rounded, 16), expected, dtype)
    if math.frexp(value)[0] not in (0.5, -0.5):  # below a power of two the spacing is half
        far = step(rounded, -32)
        assert not passes(far, expected, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@given(value=ordinary)
@settings(max_examples=60, deadline=None)
def test_ulp_is_the_distance_to_the_next_number(dtype: str, value: float) -> None:
    exact = one(value).to(TORCH[dtype])
    away = step(exact, 1)
    distance = (away.to(torch.float64) - exact.to(torch.float64)).abs()
    assert float(ulp(exact.to(torch.float64), dtype)) == float(distance)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_wrong_element_among_many_fails(dtype: str) -> None:
    generator = torch.Generator().manual_seed(0)
    expected = torch.randn(100, 1000, generator=generator, dtype=torch.float64)
    got = expected.to(TORCH[dtype])
    assert passes(got, expected, dtype)
    got[17, 23] += 0.25 + got[17, 23].abs()
    wrong = bounds(expected, None, dtype).wrong(got)
    assert wrong.nonzero().tolist() == [[17, 23]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_infinity_must_be_at_the_right_places(dtype: str) -> None:
    inf, nan = math.inf, math.nan
    expected = torch.tensor([1.0, inf, -inf, nan, 0.0], dtype=torch.float64)
    right = expected.to(TORCH[dtype])
    assert passes(right, expected, dtype)
    for index, bad in (
        (0, nan),
        (0, inf),
        (1, -inf),
        (1, nan),
        (1, 3e4),
        (2, inf),
        (3, 0.0),
        (3, inf),
        (4, nan),
    ):
        got = right.clone()
        got[index] = bad
        assert bounds(expected, None, dtype).wrong(got).nonzero().reshape(-1).tolist() == [index]


@pytest.mark.parametrize("dtype", DTYPES)
def test_overflow_boundary(dtype: str) -> None:
    most = float(torch.finfo(TORCH[dtype]).max)
    space = most * 2.0 ** (1 - BITS[dtype]) / (2 - 2.0 ** (1 - BITS[dtype]))
    inf, big = (
        torch.tensor([math.inf], dtype=TORCH[dtype]),
        torch.tensor([most], dtype=TORCH[dtype]),
    )
    far = 64 * space
    assert passes(inf, one(most * 2), dtype)
    assert passes(-inf, one(-most * 2), dtype)
    assert not passes(big, one(most * 2), dtype)  # clamped instead of overflowed
    assert not passes(-inf, one(most * 2), dtype)
    for near in (most, most + space / 2, most + space):  # either side of the rounding edge
        assert passes(inf, one(near), dtype)
        assert passes(big, one(near), dtype)
        assert passes(-inf, one(-near), dtype)
        assert passes(-big, one(-near), dtype)
    assert not passes(inf, one(most - far), dtype)
    assert not passes(big, one(most + far), dtype)


def test_flushing_subnormals_is_tolerated_in_f32_and_bf16_only() -> None:
    tiny = 2.0**-130
    for dtype in ("f32", "bf16"):
        assert passes(torch.zeros(1, dtype=TORCH[dtype]), one(tiny), dtype)
        assert not passes(torch.zeros(1, dtype=TORCH[dtype]), one(2.0**-124), dtype)
    assert not passes(torch.zeros(1, dtype=torch.float16), one(2.0**-20), "f16")
    assert passes(torch.tensor([2.0**-20], dtype=torch.float16), one(2.0**-20), "f16")


def test_no_relative_slack_where_zero_is_expected() -> None:
    assert passes(torch.tensor([-0.0]), one(0.0), "f32")
    assert not passes(torch.tensor([1e-30]), one(0.0), "f32")


@pytest.mark.parametrize("length", [7, 300, 5000])
def test_float32_sums_pass_and_half_precision_sums_fail(length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    constant = torch.full((1, length), 0.3)
    positive = torch.rand(4, length, generator=generator)
    for x in (constant, positive, torch.randn(4, length, generator=generator)):
        exact = x.double()
        expected, size = exact.sum(-1), exact.abs().sum(-1)
        naive = torch.zeros(len(x))
        half = torch.zeros(len(x), dtype=torch.float16)
        for column in x.T:
            naive = naive + column
            half = half + column.to(torch.float16)
        assert passes(naive, expected, "f32", size, length)
        assert not passes(half.float(), expected, "f32", size, length)


@pytest.mark.parametrize("dtype", DTYPES)
@given(value=ordinary)
@settings(max_examples=50, deadline=None)
def test_an_exact_case_takes_the_rounded_value_alone(dtype: str, value: float) -> None:
    expected = one(value)
    rounded = expected.to(TORCH[dtype])
    limits = bounds(expected, expected.abs(), dtype, 100, Rule(exact=True))
    assert limits.exact
    assert not bool(limits.wrong(rounded).any())
    there = rounded.double()
    for count in (-1, 1):
        away = step(rounded, count)
        if abs(float(away.double() - expected)) > 1.01 * abs(float(there - expected)):
            assert bool(limits.wrong(away).any())


def test_half_way_between_two_numbers_either_is_right() -> None:
    middle = one(1 + 2.0**-24)
    for right in (1.0, 1 + 2.0**-23):
        limits = bounds(middle, None, "f32", 1, Rule(exact=True))
        assert not bool(limits.wrong(torch.tensor([right])).any())


def test_what_trusted_arithmetic_needed_bounds_the_tolerance() -> None:
    expected, size = one(1000.0), one(1000.0)
    granted = [
        float(tolerance(expected, size, "f32", 4000, Rule(needed=needed)))
        for needed in (0.0, 1.0, 20.0, 50.0, 1e9, None)
    ]
    assert granted == sorted(granted)
    assert granted[0] == granted[1] < granted[2] < granted[3] < granted[4] == granted[5]
    assert granted[2] == MARGIN * 20 * 2.0**-24 * 1000
    ulps = [float(tolerance(expected, None, "f32", 1, Rule(needed=n))) for n in (0.1, 2.0, 99.0)]
    assert [value / float(ulp(expected, "f32")) for value in ulps] == [6.0, 8.0, 12.0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sign_of_zero_counts_where_it_is_kept(dtype: str) -> None:
    expected = torch.tensor([0.0, -0.0, 1e-60, -1e-60, 2.0], dtype=torch.float64)
    right = torch.tensor([0.0, -0.0, 0.0, -0.0, 2.0], dtype=TORCH[dtype])
    kept = bounds(expected, None, dtype, 1, Rule(signed_zero=True))
    either = bounds(expected, None, dtype)
    assert not bool(kept.wrong(right).any())
    turned = right * torch.tensor([-1, -1, -1, -1, 1], dtype=TORCH[dtype])
    assert kept.wrong(turned).tolist() == [True, True, True, True, False]
    assert not bool(either.wrong(turned).any())


@pytest.mark.parametrize("dtype", ["f32", "bf16"])
def test_subnormals_must_not_be_flushed_where_they_are_kept(dtype: str) -> None:
    tiny, zero = one(2.0**-128), torch.zeros(1, dtype=TORCH[dtype])
    kept = bounds(tiny, tiny, dtype, 1, Rule(subnormals=True))
    assert bool(kept.wrong(zero).any())
    assert not bool(kept.wrong(tiny.to(TORCH[dtype])).any())
    assert not bool(bounds(tiny, tiny, dtype).wrong(zero).any())


def test_magnitude_of_zero_everywhere_means_exact() -> None:
    expected = torch.tensor([1.0, 2.0, -3.0], dtype=torch.float64)
    none = torch.zeros(3, dtype=torch.float64)
    right = expected.float()
    assert passes(right, expected, "f32", none)
    assert not passes(step(right, 1), expected, "f32", none)


def test_magnitude_that_is_not_finite_gives_no_slack() -> None:
    size = torch.tensor([math.inf, math.nan], dtype=torch.float64)
    expected = torch.ones(2, dtype=torch.float64)
    assert bool((tolerance(expected, size, "f32", 8) == LEAST_ULPS["f32"] * 2.0**-23).all())


def test_growth_never_shrinks() -> None:
    values = [growth(n) for n in (1, 2, 64, 1000, 100_000)]
    assert values == sorted(values)


def test_errors_report_the_worst_finite_difference() -> None:
    expected = torch.tensor([1.0, 0.0, math.nan, 4.0], dtype=torch.float64)
    got = torch.tensor([1.0, 0.5, math.nan, 5.0])
    found = errors(got, expected, "f32")
    assert (found.max_abs, found.max_rel) == (1.0, 0.25)
    assert found.max_ulp is not None
    assert found.max_ulp > 1e6
    empty = errors(torch.empty(0), torch.empty(0, dtype=torch.float64), "f32")
    assert (empty.max_abs, empty.max_rel, empty.max_ulp) == (None, None, None)
    nothing = errors(torch.tensor([math.inf]), one(1.0), "f32")
    assert nothing.max_abs is None


def test_ulps_are_counted_at_the_size_of_the_terms() -> None:
    expected, size = one(1e-6), one(1.0)  # 1 - 0.999999
    found = bounds(expected, size, "f32", 2)
    got = (expected + 2.0**-23).float()
    assert not bool(found.wrong(got).any())
    ulps = errors(got, expected, "f32", found.spacing).max_ulp
    assert ulps is not None
    assert 0.9 < ulps < 1.1
    assert not found.exact
    assert bounds(expected, torch.zeros(1, dtype=torch.float64), "f32").exact
