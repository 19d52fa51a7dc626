# SPDX-License-Identifier: Apache-2.0
"""The native first look says what numerics says, and the regions' native loops see every byte."""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from benchmarks import core
from kernelcoder.task import Case, Task
from kernelcoder.verify import numerics, oracle, scan
from kernelcoder.verify.exam import Exam
from kernelcoder.verify.judging import POISONS
from kernelcoder.verify.regions import GUARD, PAGE, Call, Regions

SHAPE = (5, 23)
ODD = (float("nan"), float("inf"), -float("inf"), 0.0, -0.0, 1e-40, -1e-40, 65504.0, 3e38, 1.0)


def sheet(task: str, dtype: str) -> oracle.Sheet:
    """One visible and two hidden cases of a task, of one dtype, small."""

    def holdout(rng: random.Random) -> tuple[Case, ...]:
        return tuple(case(f"hidden-{rng.random()}", True) for _ in range(2))

    known = core.load(task)

    def case(name: str, hidden: bool) -> Case:
        shapes = {arg.name: SHAPE for arg in (*known.inputs, *known.outputs)}
        return Case(name, shapes, dtype, hidden=hidden)

    made: Task = dataclasses.replace(
        known, visible=(case("visible", False),), holdout=holdout, timing=(), properties=()
    )
    return oracle.make_sheet(made, "5eed")


@pytest.fixture(params=[(t, d) for t in ("relu", "softmax") for d in ("f32", "f16", "bf16")])
def exam(request: pytest.FixtureRequest) -> Iterator[Exam]:
    with torch.no_grad():
        made = Exam(sheet(*request.param))
        yield made
        made.close()


def right(exam: Exam, index: int) -> Tensor:
    """The correctly rounded answer of a case."""
    answer = exam.sheet.answers[index][0]
    return answer.expected.to(numerics.TORCH[answer.dtype])


def fill(exam: Exam) -> None:
    """All outputs right, at both edges."""
    exam.regions.poison(POISONS[0])
    for call in range(len(exam.regions.calls)):
        exam.regions.output(call).copy_(right(exam, call if call < 3 else call - 2))


HIDDEN = range(1, 3)


def test_right_bits_are_right_and_carry_their_errors(exam: Exam) -> None:
    fill(exam)
    found = exam.scan.results(HIDDEN)
    assert found is not None and all(result.ok and result.hidden for result in found)
    answer = exam.sheet.answers[1][0]
    errors = numerics.errors(right(exam, 1), answer.expected, answer.dtype, answer.spacing)
    assert (found[0].max_abs, found[0].max_rel, found[0].max_ulp) == (
        errors.max_abs, errors.max_rel, errors.max_ulp,
    )  # fmt: skip
    assert (found[0].total, found[0].mismatches) == (SHAPE[0] * SHAPE[1], 0)


def neighbor(value: Tensor, steps: int) -> Tensor:
    """So many representable numbers away from zero."""
    kind = torch.int32 if value.element_size() == 4 else torch.int16
    return (value.contiguous().view(kind) + steps).view(value.dtype)


@pytest.mark.parametrize("steps", [1, 3, 7, 40, 3000])
def test_other_bits_are_judged_as_numerics_judges_them(exam: Exam, steps: int) -> None:
    fill(exam)
    other = neighbor(right(exam, 1), steps)
    for call in (1, 3):
        exam.regions.output(call).copy_(other)
    answer = exam.sheet.answers[1][0]
    found = exam.scan.results(HIDDEN)
    assert (found is None) == bool(answer.wrong(other).any())
    if found is not None:
        errors = numerics.errors(other, answer.expected, answer.dtype, answer.spacing)
        assert found[0].max_abs == errors.max_abs
        assert found[0].max_rel == pytest.approx(errors.max_rel, rel=1e-12)
        assert found[0].max_ulp == pytest.approx(errors.max_ulp, rel=1e-12)


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("signed", [False, True])
def test_odd_values(dtype: str, signed: bool) -> None:
    """Bounds of one element, met by one value, against ``Bounds.wrong``."""
    case = Case("one", {"x": (1,), "y": (1,)}, dtype)
    inputs = ((torch.zeros(1, dtype=numerics.TORCH[dtype]),),)
    for expected, value in itertools.product(ODD, ODD):
        exact = torch.tensor([expected], dtype=torch.float64)
        bounds = numerics.bounds(exact, None, dtype, 1, numerics.Rule(signed_zero=signed))
        got = torch.tensor([value]).to(numerics.TORCH[dtype])
        exam = Exam(oracle.Sheet(core.load("relu"), (case,), inputs, ((bounds,),), 1, 0))
        exam.regions.poison(POISONS[0])
        exam.regions.output(0).copy_(got)
        doubt = exam.scan.results(range(1)) is None
        assert doubt == bool(bounds.wrong(got).any()), (expected, value)
        exam.close()


def test_a_difference_between_the_edges_is_doubt(exam: Exam) -> None:
    fill(exam)
    assert exam.scan.results(HIDDEN) is not None
    exam.regions.output(4).view(-1)[-1:].copy_(neighbor(right(exam, 2).view(-1)[-1:], 1))
    assert exam.scan.results(HIDDEN) is None


@pytest.mark.parametrize("call", [1, 3])
def test_one_byte_outside_is_doubt(exam: Exam, call: int) -> None:
    """On the side that is not tight; a step over the other one is a fault."""
    fill(exam)
    place = exam.regions.offsets(call)[1]
    end = place.offset + place.bytes
    at = end if end < place.last else place.offset - 1
    exam.regions._out[at] ^= 1
    assert exam.scan.results(HIDDEN) is None
    assert not exam.regions.canaries_intact(call)


def test_a_changed_input_is_seen_at_both_edges(exam: Exam) -> None:
    assert exam.scan.inputs_intact()
    for call in (0, 1, 4):
        view = exam.regions.input(call, 0).view(torch.uint8).view(-1)
        view[-1] ^= 1
        assert not exam.scan.inputs_intact()
        view[-1] ^= 1
    assert exam.scan.inputs_intact()


def test_bounds_that_learned_more_are_not_waved_through(
    exam: Exam, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(exam)
    monkeypatch.setattr(scan, "_KNOWN", scan._KNOWN - {"spacing"})
    assert scan.Scan(exam.sheet, exam.regions).results(HIDDEN) is None


def test_scrubbing_gives_back_what_lies_between_the_outputs() -> None:
    with Regions([Call((torch.ones(3),), (((3,), "f32"),))]) as regions:
        blocks = os.fstat(regions.out_fd).st_blocks
        regions.poison(0x3C)
        regions.output(0).fill_(7.0)
        gap = regions.offsets(0)[1].last + GUARD // 2
        os.pwrite(regions.out_fd, b"psst", gap)
        assert os.fstat(regions.out_fd).st_blocks == blocks + PAGE // 512
        regions.scrub()
        assert os.fstat(regions.out_fd).st_blocks == blocks
        assert os.pread(regions.out_fd, 4, gap) == bytes(4)
        assert regions.output(0).view(torch.uint8).eq(0x3C).all()
        assert regions.canaries_intact(0)
