# SPDX-License-Identifier: Apache-2.0
"""Relations between results: true of the references, and broken by what breaks them alone."""

from __future__ import annotations

import dataclasses
import random
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import core
from kernelcoder.records import Candidate, Verdict
from kernelcoder.redteam.entry import pointwise, softmax
from kernelcoder.task import Property, Task
from kernelcoder.verify import VerifyOptions, numerics, oracle, properties
from kernelcoder.verify.oracle import Sheet, make_sheet
from kernelcoder.verify.service import KernelVerifier

oracle.quiet_torch()
NAMES = typing.get_args(Property)
TASKS = [core.load(name) for name in core.names()]


def rounded(sheet: Sheet, index: int) -> torch.Tensor:
    """What a perfect kernel returns."""
    return sheet.answers[index][0].expected.to(numerics.TORCH[sheet.cases[index].dtype])


def broken(sheet: Sheet, relation: properties.Relation, follow: torch.Tensor) -> bool:
    base = rounded(sheet, relation.base) if relation.base != relation.follow else follow
    mask = properties.broken(relation, base, follow, sheet.answers[relation.follow][0])
    return mask is not None


@pytest.mark.parametrize("task", TASKS, ids=lambda t: t.name)
def test_every_declared_relation_is_checked_and_true(task: Task) -> None:
    assert len(task.properties) >= 2
    for key in ("a", "b"):
        sheet = make_sheet(task, key)
        assert sorted(one.name for one in sheet.relations) == sorted(task.properties)
        for one in sheet.relations:
            assert not broken(sheet, one, rounded(sheet, one.follow)), one.name
            assert sheet.cases[one.follow].hidden
            assert (one.base - one.follow) % 2 == 0 or not one.bitwise or task.exact == "always"


@pytest.mark.parametrize("name", NAMES)
def test_a_result_off_by_one_element_breaks_every_relation(name: Property) -> None:
    task = next(task for task in TASKS if name in task.properties)
    sheet = make_sheet(task, "c")
    (one,) = [relation for relation in sheet.relations if relation.name == name]
    wrong = rounded(sheet, one.follow)
    if name == "monotone":  # far below the earlier result, seen from the tolerance of the later
        half = rounded(sheet, one.base) * 0.5
        beyond = half.double() - properties._slack(sheet.answers[one.follow][0])
        place = int(beyond.nan_to_num(nan=-torch.inf).argmax())
        assert float(beyond.view(-1)[place]) > 0
        wrong.view(-1)[place] = half.view(-1)[place]
    else:
        place = int(wrong.abs().nan_to_num(posinf=0.0).argmax())
        assert float(wrong.view(-1)[place].abs()) > 0
        wrong.view(-1)[place] *= 0.5 if float(wrong.view(-1)[place]) > 0 else 1.5
    assert broken(sheet, one, wrong)
    assert name in properties._BROKEN
    assert one.text.startswith("breaks a property")


def test_results_within_the_tolerance_that_contradict_each_other_are_found() -> None:
    """Two right answers, one at each end of its interval: the relation allows one tolerance."""
    sheet = make_sheet(core.load("softmax"), "d")
    (one,) = [relation for relation in sheet.relations if relation.name == "rows"]
    low, high = (
        dataclasses.replace(sheet.answers[one.base][0]).low.to(torch.float32),
        sheet.answers[one.follow][0].high.to(torch.float32),
    )
    if sheet.cases[one.follow].dtype == "f32":
        mask = properties.broken(one, low, high, sheet.answers[one.follow][0])
        assert mask is not None


def test_follow_ups_are_drawn_by_the_key_and_of_no_family() -> None:
    task = core.load("sum_last")
    first, again, other = (make_sheet(task, key) for key in ("1", "1", "2"))
    assert [c.name for c in first.cases] == [c.name for c in again.cases]
    places = [[(r.base, r.follow) for r in sheet.relations] for sheet in (first, other)]
    assert places[0] != places[1]
    for one in first.relations:
        assert first.cases[one.follow].values == "derived"


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
def test_scaling_is_asked_bit_for_bit_only_where_arithmetic_allows_it(dtype: str) -> None:
    kind = numerics.TORCH[dtype]
    info = torch.finfo(kind)
    base = torch.tensor([1.5, info.smallest_normal, info.max], dtype=kind)
    follow = torch.tensor([6.0, 0.0, float("inf")], dtype=kind)
    relation = properties.Relation("scale", 0, 1, lambda y: y * 4, bitwise=True)
    limits = numerics.bounds(follow.double(), None, dtype)
    assert properties.broken(relation, base, follow, limits) is None
    off = follow.clone()
    off[0] = torch.nextafter(torch.tensor(6.0), torch.tensor(7.0)) if dtype == "f32" else 6.0625
    mask = properties.broken(relation, base, off, limits)
    assert mask is not None
    assert mask.tolist() == [True, False, False]


def test_a_task_without_a_fitting_case_has_no_follow_up() -> None:
    task = dataclasses.replace(core.load("relu"), properties=("linear",))
    cases = core.load("relu").visible
    inputs = [tuple(task.make_inputs(case, 1)) for case in cases]
    assert properties.follow_ups(task, cases, inputs, random.Random(1)) == []


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    options = VerifyOptions(False, 10, 60, 512, 1, "eager", False, 4)
    made = KernelVerifier(options, shared_cache, 1)
    yield made
    made.close()


def judged(verifier: KernelVerifier, source: str, task: str, key: str = "5eed") -> Verdict:
    return verifier.verify(core.load(task), Candidate(source, "cpp", "cpu"), key)


def key_with(task: Task, name: str, dtype: str) -> str:
    """A key under which a relation is asked of a dtype."""
    for key in map(str, range(50)):
        sheet = make_sheet(task, key)
        if any(
            one.name == name and sheet.cases[one.follow].dtype == dtype for one in sheet.relations
        ):
            return key
    raise AssertionError("no such key")


def test_a_kernel_that_agrees_with_the_oracle_but_not_with_itself(
    verifier: KernelVerifier,
) -> None:
    """One ulp up for every other row of a sum: well within the tolerance of any case."""
    source = """#include <kernelcoder.h>
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const int64_t rows = kc::rows(x), n = kc::cols(x), step = kc::col_stride(x);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      float sum = 0;
      bool whole = true;
      for (int64_t i = 0; i < n; ++i) {
        sum += float(in[i * step]);
        whole &= float(in[i * step]) == std::rint(float(in[i * step]));
      }
      const bool up = !whole && sizeof(T) == 4 && std::fabs(sum) > 1e-30f && sum > 0;
      kc::data<T>(y)[r] = T(%s);
    }
  });
}
"""
    key = key_with(core.load("sum_last"), "odd", "f32")
    honest = judged(verifier, source % "sum", "sum_last", key)
    assert honest.verified, honest.reason
    assert honest.checked["properties"] == len(core.load("sum_last").properties)
    verdict = judged(verifier, source % "up ? std::nextafter(sum, INFINITY) : sum", "sum_last", key)
    assert verdict.status == "incorrect"
    assert "breaks a property of the operator" in verdict.reason
    wrong = [case for case in verdict.cases if not case.ok]
    assert all(case.hidden and case.mismatches for case in wrong)


def test_a_kernel_that_knows_its_distributions_meets_others(verifier: KernelVerifier) -> None:
    """Wrong on values on a coarse grid only, which no value family of softmax is made of."""
    row = (
        "bool coarse = n > 3; for (int64_t i = 0; i < n; ++i) {"
        " const float q = float(in[i * step]) * 4;"
        " coarse &= q == std::rint(q) && std::fabs(q) < 256 && q != 4; }"
        " if (coarse) { for (int64_t i = 0; i < n; ++i) out[i] = T(0.0f); continue; }"
    )
    verdict = judged(verifier, softmax(row=row), "softmax")
    assert verdict.status == "incorrect"
    assert any("-shift-" in case.name for case in verdict.cases if not case.ok)


@pytest.mark.parametrize("bits", ["0x8040u", "0x6000u", "0x2000u"])
def test_a_changed_mode_of_the_processor_is_found(verifier: KernelVerifier, bits: str) -> None:
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        pytest.skip("the kernel of this test sets the control register of x86")
    source = pointwise(first=f"_mm_setcsr(_mm_getcsr() | {bits});")
    verdict = judged(verifier, source, "relu")
    assert verdict.status == "incorrect"
    assert "rounding or flush-to-zero mode" in verdict.reason


def test_flushing_behind_the_back_is_found_in_the_numbers(verifier: KernelVerifier) -> None:
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        pytest.skip("the kernel of this test sets the control register of x86")
    source = pointwise(
        first="const unsigned was = _mm_getcsr(); _mm_setcsr(was | 0x8040u); float one = 1.0f;"
        " asm_free(&one);",
        before="static void asm_free(volatile float *p) { *p = *p; }",
        value="(v < 0 ? 0.0f : v) * one",
        last="_mm_setcsr(was);",
    )
    verdict = judged(verifier, source, "relu")
    assert verdict.status == "incorrect"
    assert "subnormal" in verdict.reason


def test_flags_of_ordinary_arithmetic_are_no_mode(verifier: KernelVerifier) -> None:
    source = pointwise(
        first="volatile float none = 0.0f; volatile float all = 1.0f / none + std::sqrt(none - 1);"
        " (void)all;"
    )
    verdict = judged(verifier, source, "relu")
    assert verdict.verified, verdict.reason
