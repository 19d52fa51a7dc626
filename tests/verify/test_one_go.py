# SPDX-License-Identifier: Apache-2.0
"""What is done once for several: one mapping of the regions for a slot's children, one go for the
visible and the hidden cases of a small sheet. Neither shows in a verdict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import core
from kernelcoder.records import Candidate, Verdict
from kernelcoder.task import Task
from kernelcoder.verify import VerifyOptions, exam, judging, sandbox
from kernelcoder.verify.compile import Compiler
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.slots import Limits, Slot
from kernelcoder.verify.throughput import five_holdouts

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported())

OPTIONS = VerifyOptions(False, 2, 30, 512, 1, "eager", False, 4)
# FIRST sees which call it is; the loop makes a right relu of f32.
SOURCE = """#include <dlpack/dlpack.h>
static int calls;
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const float *in = (const float *)((char *)x->data + x->byte_offset);
  float *out = (float *)((char *)y->data + y->byte_offset);
  int64_t n = 1;
  for (int i = 0; i < x->ndim; ++i) n *= x->shape[i];
  float least = 0.0f;
  ++calls;
  FIRST
  for (int64_t i = 0; i < n; ++i) out[i] = in[i] < least ? 0.0f : in[i];
}
"""


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[KernelVerifier]:
    made = KernelVerifier(OPTIONS, shared_cache, 1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def small() -> Task:
    return five_holdouts(core.load("relu"))


def judge(verifier: KernelVerifier, task: Task, first: str = "") -> Verdict:
    return verifier.verify(task, Candidate(SOURCE.replace("FIRST", first), "cpp", "cpu"), "5eed")


def results(verdict: Verdict) -> list[tuple[str, bool, str]]:
    return [(case.name, case.ok, case.cause) for case in verdict.cases]


KERNELS = {
    "right": "",
    "wrong in all": "least = 0.25f;",
    "wrong in hidden cases": "if (calls > 1) least = 0.25f;",
    "wrong in the visible case": "if (calls == 1) least = 0.25f;",
    "wrong at one edge": "if (calls > 6) least = 0.25f;",
    "dies at once": "*(volatile int *)8 = 1;",
    "dies in a hidden case": "if (calls == 3) *(volatile int *)8 = 1;",
    "dies at the other edge": "if (calls == 9) *(volatile int *)8 = 1;",
    "never ends in a hidden case": "volatile int z = 1; while (calls == 2 && z) continue;",
}


@pytest.mark.parametrize("kernel", KERNELS)
def test_one_go_and_two_say_the_same(
    verifier: KernelVerifier, small: Task, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = judge(verifier, small, KERNELS[kernel])
    verifier.twins.clear()
    monkeypatch.setattr(exam, "_SMALL", 0)
    apart = judge(verifier, small, KERNELS[kernel])
    for name in ("status", "stage", "reason", "evidence", "checked", "labels"):
        assert getattr(together, name) == getattr(apart, name), name
    assert results(together) == results(apart)
    assert (together.status == "verified") == (kernel == "right")


def test_a_slot_follows_its_regions(shared_cache: Path) -> None:
    """Two pairs of regions by turns, and one that takes the place of a closed one."""
    built = Compiler(shared_cache).build(SOURCE.replace("FIRST", ""))
    assert built.path is not None
    inputs = [torch.randn(4, width) for width in (5, 300, 300)]
    calls = [[Call((one,), ((tuple(one.shape), "f32"),))] for one in inputs]
    with Slot() as slot, Regions(calls[0]) as first:
        for turn in (0, 1, 0, 2, 1):
            with Regions(calls[turn]) as other:
                for regions, wanted in ((other, inputs[turn]), (first, inputs[0])):
                    child = slot.start(built.path, regions, Limits(memory_mb=512))
                    child.loaded(20)
                    child.run(0, 1)
                    assert torch.equal(regions.output(0), wanted.relu())
                    child.finish()


def test_limits_of_a_child_are_not_those_of_the_one_before(shared_cache: Path) -> None:
    """The regions stay mapped; what a job may take is its own."""
    source = SOURCE.replace("FIRST", "volatile char *p = new char[400u << 20]; p[n] = 1;")
    built = Compiler(shared_cache).build(source)
    assert built.path is not None
    call = Call((torch.randn(4, 5),), (((4, 5), "f32"),))
    with Slot() as slot, Regions([call]) as regions:
        outcomes = []
        for memory in (512, 256, 512):
            child = slot.start(built.path, regions, Limits(memory_mb=memory))
            child.loaded(20)
            try:
                child.run(0, 1)
                outcomes.append("ran")
            except judging.Died:
                outcomes.append("died")
            child.finish()
    assert outcomes == ["ran", "died", "ran"]


def test_large_sheets_go_in_two(
    verifier: KernelVerifier, small: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that is wrong in a visible case meets the hidden ones of a small sheet only."""
    kernel = "least = 0.25f; if (n > 2000) *(volatile int *)8 = 1;"
    assert judge(verifier, small, kernel).status == "crashed"
    monkeypatch.setattr(exam, "_SMALL", 2000)
    assert judge(verifier, small, kernel).status == "incorrect"
