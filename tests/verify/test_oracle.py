# SPDX-License-Identifier: Apache-2.0
"""The oracle: float64 answers on the exact inputs, made once per task and key."""

from __future__ import annotations

import dataclasses
import random

import pytest
import torch

from benchmarks import core
from kernelcoder.task import Case
from kernelcoder.verify import oracle
from kernelcoder.verify.numerics import TORCH, ulp
from kernelcoder.verify.oracle import Oracle, make_sheet


@pytest.mark.parametrize("name", ["relu", "softmax", "layernorm", "matmul"])
def test_answers_are_the_reference_in_float64(name: str) -> None:
    task = core.load(name)
    sheet = make_sheet(task, "k")
    assert sheet.visible == len(task.visible)
    assert not any(case.hidden for case in sheet.cases[: sheet.visible])
    for index, case in enumerate(sheet.cases):
        for tensor, arg in zip(sheet.inputs[index], task.inputs, strict=True):
            assert tuple(tensor.shape) == tuple(case.shapes[arg.name])
        inputs = [tensor.double() for tensor in sheet.inputs[index]]
        expected = task.reference(*inputs, *oracle.scalars(task, case))
        (answer,) = sheet.answers[index]
        assert answer.expected.dtype == torch.float64
        # where terms cancel, the order of a sum shows; it may be another for other addresses
        size = float(expected.nan_to_num(0, 0, 0).abs().max()) if expected.numel() else 0.0
        assert torch.allclose(
            answer.expected, expected, rtol=1e-12, atol=1e-14 * size, equal_nan=True
        )


def test_a_correctly_rounded_result_always_passes() -> None:
    for name in core.names():
        sheet = make_sheet(core.load(name), "rounding")
        for case, (answer, *_) in zip(sheet.cases, sheet.answers, strict=True):
            got = answer.expected.to(TORCH[case.dtype])
            assert not bool(answer.wrong(got).any()), (name, case.name)


POINTWISE = [n for n in core.names() if core.load(n).recipe.get("family") == "pointwise"]


def sixteen_ulps_off(got: torch.Tensor) -> torch.Tensor:
    bits = torch.int32 if got.dtype == torch.float32 else torch.int16
    return (got.view(bits) + 16).view(got.dtype)


@pytest.mark.parametrize("name", POINTWISE)
def test_an_error_of_sixteen_ulps_fails_in_every_dtype(name: str) -> None:
    sheet = make_sheet(core.load(name), "ulps")
    for dtype in TORCH:
        ordinary = missed = 0
        for case, (answer, *_) in zip(sheet.cases, sheet.answers, strict=True):
            if case.dtype != dtype:
                continue
            got = answer.expected.to(TORCH[dtype])
            # where 16 ulps mean something: normal numbers, no cancellation behind them
            tiny = 6e-5 if dtype == "f16" else 2.0**-100  # far above the floor
            counts = (got.abs() > tiny) & (got.abs() < 1e4)
            counts &= answer.spacing <= ulp(answer.expected, dtype)
            ordinary += int(counts.sum())
            missed += int((counts & ~answer.wrong(sixteen_ulps_off(got))).sum())
        assert ordinary > 100, dtype
        assert missed <= 0.01 * ordinary, dtype  # gelu: |x| may be a little above |y|


def test_one_sheet_per_task_and_key() -> None:
    judge, task = Oracle(kept=2), core.load("relu")
    first = judge.sheet(task, "a")
    assert judge.sheet(task, "a") is first
    other = judge.sheet(task, "b")
    assert [case.shapes for case in first.cases] != [case.shapes for case in other.cases]
    judge.sheet(core.load("abs"), "a")
    assert judge.sheet(task, "b") is other
    again = judge.sheet(task, "a")
    assert again is not first  # was dropped, and comes out the same
    assert again.cases == first.cases
    for ours, theirs in zip(again.inputs, first.inputs, strict=True):
        assert all(
            torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(ours, theirs, strict=True)
        )


def test_visible_cases_do_not_depend_on_the_key() -> None:
    task = core.load("softmax")
    first, other = make_sheet(task, "a"), make_sheet(task, "b")
    for index in range(first.visible):
        pairs = zip(first.inputs[index], other.inputs[index], strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)


def test_the_judge_uses_one_thread() -> None:
    Oracle()
    assert torch.get_num_threads() == 1


def test_a_reference_of_the_wrong_shape_is_our_bug() -> None:
    task = dataclasses.replace(core.load("relu"), reference=lambda x: x.sum(), digest="bad")
    with pytest.raises(ValueError, match="shape"):
        make_sheet(task, "a")


@pytest.mark.parametrize("name", core.names())
def test_the_timed_sizes_are_hidden_cases_with_values_no_timed_call_has(name: str) -> None:
    task = core.load(name)
    drawn = [oracle.timed_shapes(task, random.Random(seed)) for seed in range(8)]
    (hot,) = [case for case in task.timing if case.name.startswith("hot")]
    for cases in drawn:
        assert all(case.hidden and case.shapes == hot.shapes for case in cases)
        assert [case.values for case in cases][0] == "large"
        assert len(cases) == 2
        for case in cases:
            assert len(task.make_inputs(case, 1)) == len(task.inputs)
    assert len({cases[1].values for cases in drawn}) > 1, "the other family is drawn"


def test_an_exact_family_leaves_no_slack_and_a_policy_reaches_the_bounds() -> None:
    task = core.load("sum_last")
    case = Case("c", {"x": (3, 64), "y": (3, 1)}, "f32", "contiguous", "integers")
    inputs = tuple(task.make_inputs(case, 1))
    (exact,) = oracle.answer(task, case, inputs)
    (loose,) = oracle.answer(task, dataclasses.replace(case, values="normal"), inputs)
    assert torch.equal(exact.low, exact.high)
    assert bool((loose.low < loose.high).all())
    add = core.load("elementwise_add")
    shapes = dict.fromkeys(("a", "b", "y"), (1, 1))
    zero = (torch.tensor([[-0.0]]), torch.tensor([[-0.0]]))
    (signed,) = oracle.answer(add, Case("z", shapes, "f32"), zero)
    assert bool(signed.wrong(torch.tensor([[0.0]])).all())
    assert not bool(signed.wrong(torch.tensor([[-0.0]])).any())
