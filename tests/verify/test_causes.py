# SPDX-License-Identifier: Apache-2.0
"""Every planted bug is named, and no two bugs get the same name (KF10)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernelcoder.verify.causes import Evidence, cause
from kernelcoder.verify.numerics import TORCH, bounds
from kernelcoder.verify.patterns import by_input, where

SHAPE = (24, 50)


def make(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def judge(got: Tensor, expected: Tensor, dtype: str = "f32", **more: object) -> str:
    limits = bounds(expected, None, dtype)
    result = got.to(TORCH[dtype])
    wrong = limits.wrong(result)
    assert bool(wrong.any())
    return cause(Evidence(result, limits, wrong, **more))  # type: ignore[arg-type]


def put(mask: Tensor, value: Tensor | float) -> Tensor:
    """The right answer with ``value`` where the mask is true."""
    return torch.where(mask, value, make())


def tail(count: int) -> Tensor:
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    mask.view(-1)[-count:] = True
    return mask


def some_nan(at: float) -> Tensor:
    result = make()
    result[result > at] = torch.nan
    return result


def planted() -> dict[str, tuple[Tensor, str]]:
    """Bug -> (result, a part of the cause's text)."""
    good, other = make(), make(1)
    column = torch.arange(SHAPE[1]) >= 48
    row = (torch.arange(SHAPE[0]) > 0).unsqueeze(1).expand(SHAPE)
    factors = make(2, (SHAPE[0], 1)).abs() + 2
    return {
        "zeros": (torch.zeros(SHAPE), "zero"),
        "constant": (torch.full(SHAPE, 7.0), "the same value"),
        "transposed": (good.mT.contiguous().reshape(SHAPE), "transposed"),
        "sign": (-good, "sign flipped"),
        "late": (good.reshape(-1).roll(1).reshape(SHAPE), "one element (late)"),
        "early": (good.reshape(-1).roll(-1).reshape(SHAPE), "one element (early)"),
        "half": (good * 0.5, "scaled by 0.5"),
        "third": (good / 3, "scaled by 1/3"),
        "mean for sum": (good / 50, "scaled by 1/n"),
        "sample variance": (good * (49 / 50) ** 0.5, "sqrt((n-1)/n)"),
        "odd factor": (good * 1.2345, "constant factor"),
        "offset": (good + 0.731, "offset by a constant"),
        "row factor": (good * factors, "each row scaled"),
        "column factor": (good * (make(3, (SHAPE[1],)).abs() + 2), "each column scaled"),
        "row offset": (good + factors, "each row offset"),
        "column offset": (good + make(3, (SHAPE[1],)), "each column offset"),
        "nan": (some_nan(0.5), "NaN where a number"),
        "overflow": (put(good > 1, torch.inf), "infinity where a finite"),
        "half precision": (good.to(torch.float16).double(), "like half-precision"),
        "bfloat16": (good.to(torch.bfloat16).double(), "like bfloat16"),
        "tail": (put(tail(7), other), "the last 7 of 1200 elements"),
        "tail of zeros": (put(tail(8), 0.0), "zero in the last 8 of 1200"),
        "columns": (put(column.expand(SHAPE), other), "the last 2 of 50 columns"),
        "first row only": (put(row, other), "every row but the first"),
        "every third": (
            put((torch.arange(1200) % 3 == 1).reshape(SHAPE), other),
            "every 3rd element",
        ),
        "noise": (other, "wrong values"),
        "scattered": (put(make(5) > 1.5, other), "scattered"),
    }


@pytest.mark.parametrize("bug", planted())
def test_planted_bug_is_named(bug: str) -> None:
    result, part = planted()[bug]
    assert part in judge(result, make())


def test_distinct_bugs_have_distinct_causes() -> None:
    texts = {bug: judge(result, make()) for bug, (result, _) in planted().items()}
    assert len(set(texts.values())) == len(texts), texts


def test_causes_that_need_more_than_one_run() -> None:
    good, bad = make(), put(tail(100), 3.0)
    mask = tail(100)
    texts = [
        judge(bad, good, unwritten=mask),
        judge(bad, good, repeat=mask),
        judge(bad, good, poisoned=mask),
        judge(make(7), good, misread=lambda: [("strides ignored", make(7))]),
        judge(make(8), good, earlier=(make(9), make(8))),
    ]
    for text, part in zip(
        texts,
        ("not written", "identical runs", "buffer held", "strides ignored", "earlier call"),
        strict=True,
    ):
        assert part in text
    assert len(set(texts)) == len(texts)
    assert "the last 2 of 24 rows" in texts[0]


def test_stale_result_of_a_smaller_case() -> None:
    old = make(11, (10, 50))
    got = make()
    got.view(-1)[:500] = old.reshape(-1)
    assert "earlier call" in judge(got, make(), earlier=(old,))


def test_nan_map() -> None:
    expected = make()
    expected[3, :] = torch.nan
    got = expected.clone()
    got[3, :] = 0.0
    assert judge(got, expected).startswith("NaN of the input is swallowed")
    infinite = torch.where(make() > 1, torch.inf, make())
    assert "NaN where infinity" in judge(torch.where(make() > 1, torch.nan, make()), infinite)
    assert "a finite number where infinity" in judge(make(), infinite)
    assert "wrong sign" in judge(torch.where(make() > 1, -torch.inf, make()), infinite)


def test_wrong_only_for_some_inputs() -> None:
    x = make(4)
    assert judge(put(x < 0, make(1)), make(), inputs=(x,)).endswith("the input is negative")
    big = judge(put(x.abs() > 2, make(1)), make(), inputs=(x,))
    assert big.endswith("the input is large in magnitude")
    assert by_input(x > 9, x) == ""


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_sixteen_bit_causes(dtype: str) -> None:
    assert judge(make() * 0.5, make(), dtype) == "scaled by 0.5"
    assert judge(make().mT.contiguous().reshape(SHAPE), make(), dtype).startswith("transposed")


def test_tiny_results_do_not_break_the_detectors() -> None:
    for shape in ((), (1,), (2, 1), (1, 1, 3)):
        expected = make(0, shape).abs() + 1
        for got in (expected * 2, expected + 3, expected * 0, expected * torch.nan):
            assert judge(got, expected)


def test_no_value_of_the_case_in_the_text() -> None:
    factor = 1.61803
    for got in (make() * factor, make() + factor, torch.full(SHAPE, factor)):
        assert "1.6" not in judge(got, make())


def test_patterns() -> None:
    def mask(*on: int, shape: tuple[int, ...] = (12,)) -> Tensor:
        result = torch.zeros(shape, dtype=torch.bool)
        result.view(-1)[list(on)] = True
        return result

    assert where(torch.ones(3, 4, dtype=torch.bool)) == "everywhere"
    assert where(mask(9, 10, 11)) == "in the last 3 of 12 elements (from 9 on)"
    assert where(mask(8, 9, 10, 11)) == "in the last 4 of 12 elements (from 8 on, a partial block)"
    assert where(mask(0, 1)) == "in the first 2 of 12 elements"
    assert where(mask(1, 3, 5, 7, 9, 11)) == "in every 2nd element"
    assert where(mask(2, 3, 6, 7, 10, 11, shape=(3, 4))).startswith("in the last 2 of 4 columns")
    assert where(mask(4, 5, 6, 7, shape=(3, 4))) == "in rows 1 to 1 of 3"
    assert where(mask(5, shape=(3, 4))) == "in one of 12 elements, number 5"
    assert where(mask(0, 5, 6, shape=(3, 4))) == "in 3 of 12 elements, scattered"
