# SPDX-License-Identifier: Apache-2.0
"""The tolerance rule on every task and dtype (KF5): rounded results and their neighbors pass, an
error of sixteen ulps fails, and nothing is granted that trusted arithmetic is far from needing."""

from __future__ import annotations

import pytest
import torch

from benchmarks import core
from kernelcoder.task import Case, Dtype, Task
from kernelcoder.verify import numerics, oracle, trusted
from kernelcoder.verify.numerics import TORCH, Bounds

oracle.quiet_torch()
DTYPES: tuple[Dtype, ...] = ("f32", "f16", "bf16")
TASKS = [core.load(name) for name in core.names()]
# Where terms cancel, an ulp of the result says nothing: these are asked where they do not, on
# results as large as their terms.
CANCELING = ("sum_last", "mean_last", "matmul", "layernorm", "rope", "gelu")


def short(task: Task, dtype: Dtype) -> Case:
    """A case with few terms; the shape of the first visible one."""
    case = task.visible[0]
    return Case("short", case.shapes, dtype, "contiguous", "normal", case.scalars)


def answered(task: Task, dtype: Dtype) -> Bounds:
    case = short(task, dtype)
    inputs = tuple(task.make_inputs(case, 3))
    if task.name in CANCELING:
        inputs = tuple(tensor.abs() + 1 for tensor in inputs)
    return oracle.answer(task, case, inputs)[0]


def moved(bounds: Bounds, count: int) -> torch.Tensor:
    """The rounded results, each moved by ``count`` representable numbers away from zero."""
    rounded = bounds.expected.to(TORCH[bounds.dtype])
    kind = torch.int32 if rounded.dtype == torch.float32 else torch.int16
    return (rounded.view(kind) + count).view(rounded.dtype)


def ordinary(bounds: Bounds) -> torch.Tensor:
    """Elements in the normal range, at least as large as what their rounding errors scale with."""
    size = bounds.expected.abs()
    least = torch.finfo(TORCH[bounds.dtype]).smallest_normal * 2.0**4
    return (
        (size > least)
        & (size < torch.finfo(TORCH[bounds.dtype]).max / 64)
        & (numerics.ulp(size, bounds.dtype) >= bounds.spacing)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.name)
def test_one_ulp_passes_and_sixteen_fail(task: Task, dtype: Dtype) -> None:
    bounds = answered(task, dtype)
    where = ordinary(bounds)
    assert not bool(bounds.wrong(moved(bounds, 0)).any())
    if task.name not in ("layernorm", "rope", "gelu"):
        assert int(where.sum()) >= min(7, where.numel())
    beside = bounds.wrong(moved(bounds, 1)) | bounds.wrong(moved(bounds, -1))
    if task.exact == "always":
        assert bool(beside[where].all()), "there is only one right answer"
    else:
        assert not bool((beside & (bounds.expected.to(TORCH[dtype]) != 0)).any())
    limit = 16 if task.name not in CANCELING else 64  # terms sum up to more than the result
    far = bounds.wrong(moved(bounds, limit)) & bounds.wrong(moved(bounds, -2 * limit))
    assert bool(far[where].all())


@pytest.mark.parametrize("name", ["sum_last", "mean_last", "matmul"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_leave_no_slack(name: str, dtype: Dtype) -> None:
    task = core.load(name)
    shapes = (
        {"x": (9, 256), "y": (9, 1)}
        if name != "matmul"
        else dict(zip("aby", ((9, 64), (64, 9), (9, 9)), strict=True))
    )
    case = Case("whole", shapes, dtype, "contiguous", "integers")
    inputs = tuple(task.make_inputs(case, 4))
    (bounds,) = oracle.answer(task, case, inputs)
    assert bounds.exact
    assert torch.equal(bounds.low, bounds.high)
    for compute in (task.reference, task.plain):
        assert compute is not None
        exact = compute(*(tensor.float() for tensor in inputs)).to(TORCH[dtype])
        assert not bool(bounds.wrong(exact).any()), "float32 sums are exact in any order"
    for narrow in (torch.float16, torch.bfloat16):
        if name == "matmul":
            rough = (inputs[0].to(narrow).float() @ inputs[1].to(narrow).float()).to(narrow)
        else:
            rough = task.reference(inputs[0].to(narrow))
        if dtype == "f32":
            assert bool(bounds.wrong(rough.to(TORCH[dtype])).any())


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.name)
def test_trusted_arithmetic_is_right_and_what_it_needs_is_measured(task: Task) -> None:
    for seed, values in enumerate(("normal", "mixed", "large")):
        case = Case(
            "c", task.visible[1].shapes, "f32", "contiguous", values, task.visible[1].scalars
        )
        inputs = tuple(oracle.exact(x) for x in task.make_inputs(case, seed))
        scalars = oracle.scalars(task, case)
        (bounds,) = oracle.answer(task, case, tuple(x.float() for x in inputs))
        for compute in (task.reference, task.plain):
            if compute is not None:
                got = compute(*(x.float() for x in inputs), *scalars)
                assert not bool(bounds.wrong(got).any())
        sizes = [None] if task.magnitude is None else [task.magnitude(*inputs, *scalars)]
        (needed,) = trusted.needed(task, inputs, scalars, [bounds.expected], sizes)
        assert 0 <= needed < 60
        if task.exact == "always":
            assert needed == 0


def test_a_running_sum_is_one_of_float32() -> None:
    from benchmarks.families import running_sum

    x = torch.full((2, 100_000), 0.1)
    slow = torch.zeros(2)
    for column in x[:, :5000].T:
        slow = slow + column
    assert torch.equal(running_sum(x[:, :5000])[:, 0], slow)
    assert abs(float(running_sum(x)[0, 0]) - 10_000) > 0.5, "not in float64, not in pairs"
    assert running_sum(torch.zeros(3, 0)).tolist() == [[0.0]] * 3


@pytest.mark.parametrize(
    ("name", "mistakes"),
    [
        ("rmsnorm", ("ignores_weight", "ignores_eps")),
        ("layernorm", ("ignores_weight", "ignores_bias", "ignores_eps")),
        ("rope", ("ignores_base",)),
    ],
)
def test_every_parameter_has_a_kernel_that_ignores_it(name: str, mistakes: tuple[str, ...]) -> None:
    """That each of them is rejected is tested with all the other wrong kernels (KF3)."""
    task = core.load(name)
    assert set(mistakes) <= set(task.wrong["cpu"])
    parameters = [arg.name for arg in task.inputs[1:]] + list(task.scalars)
    assert {f"ignores_{parameter}" for parameter in parameters} == set(mistakes)


def test_a_prompt_says_what_counts() -> None:
    assert "sign of a zero" in core.load("abs").numerics
    assert "Subnormal" in core.load("sum_last").numerics
    assert "exact" in core.load("matmul").numerics
    assert core.load("softmax").numerics == ""
