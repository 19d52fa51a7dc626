# SPDX-License-Identifier: Apache-2.0
"""The native CUDA path on a stand-in device: everything of it but CUDA and a GPU is the real thing.

Real devices: test_gpu_device.py."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance.gpu_mistakes import few
from gpu import standin

from benchmarks import core
from kernelcoder.backends import cuda
from kernelcoder.backends.gpu import baseline_worker, bench
from kernelcoder.backends.gpu.contest import GpuContest
from kernelcoder.backends.gpu.roofs import DeviceFloor, DeviceProbe
from kernelcoder.commands import bench_gpu
from kernelcoder.errors import CannotRun
from kernelcoder.records import Candidate, Verdict
from kernelcoder.task import Task
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.arena import Contestant, Unfair
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.roofline import Roofs
from kernelcoder.verify.service import KernelVerifier
from kernelcoder.verify.timing import Ground

OPTIONS = VerifyOptions(True, 20, 60, 1024, 1, "eager", False, 2)
SOLUTION = core.load("relu").solutions["cuda"]
_IMPOSSIBLE = 1e15  # bytes and operations per second of a device that nothing is too fast for


@pytest.fixture(scope="module")
def task() -> Task:
    """A relu with few cases and two small ones to be timed."""
    found = core.load("relu")
    small = tuple(
        dataclasses.replace(case, shapes=dict.fromkeys(case.shapes, (64, 64)))
        for case in found.timing[:2]
    )
    return dataclasses.replace(few(found), timing=small, digest="gpu")


@pytest.fixture(scope="module")
def builder(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> standin.Builder:
    made = standin.builder(OPTIONS, shared_cache, tmp_path_factory.mktemp("locks"))
    made.variables[baseline_worker.WHERE] = "cpu"
    return made


@pytest.fixture(scope="module")
def verifier(
    builder: standin.Builder, shared_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KernelVerifier]:
    roofs = Roofs(tmp_path_factory.mktemp("roofs") / "r.json", "x", lambda *_: _IMPOSSIBLE)

    def ground() -> Ground:
        contest = GpuContest(OPTIONS, shared_cache, builder)
        return Ground(contest, DeviceFloor(roofs, 1), {"hot": 4, "cold": 2})

    made = KernelVerifier(OPTIONS, shared_cache, 1, builder, ground)
    yield made
    made.close()


def judged(verifier: KernelVerifier, task: Task, source: str, timing: bool = False) -> Verdict:
    verifier.twins.clear()
    return verifier.verify(task, Candidate(source, "cuda", "cuda"), "5eed", timing=timing)


def edited(line: str, declared: str = "") -> str:
    """The solution with a line of host code at the start of its entry."""
    at = SOLUTION.index("{", SOLUTION.index('extern "C" void kernel(')) + 1
    head, body = SOLUTION[:at], SOLUTION[at:]
    entry = head.rindex('extern "C"')
    return f"{head[:entry]}{declared}\n{head[entry:]}\n  {line}{body}"


@pytest.mark.measures
def test_a_right_kernel_is_verified_and_measured_natively(
    verifier: KernelVerifier, task: Task
) -> None:
    verdict = judged(verifier, task, SOLUTION, timing=True)
    assert (verdict.status, verdict.stage, verdict.mode) == ("verified", "measured", "native"), (
        verdict.reason
    )
    assert verdict.checked["kernels launched"] > 0
    assert verdict.checked["cases under the checked build"] > 0
    assert verdict.versions["device"] == standin.DEVICE.name
    assert verdict.timing and {case.regime for case in verdict.timing.cases} == {"hot", "cold"}
    assert set(verdict.timing.speedup) == {"eager"}
    assert "wall time on a stand-in" in verdict.timing.notes[0]


@pytest.mark.slow
@pytest.mark.measures
def test_a_finalist_is_timed_again_on_held_out_shapes_too(
    verifier: KernelVerifier, task: Task
) -> None:
    (finalist,) = verifier.retime(task, [Candidate(SOLUTION, "cuda", "cuda")], "f1na1")
    assert finalist.report and set(finalist.report.speedup) == {"eager", "reference"}
    assert sum(case.heldout for case in finalist.report.cases) == 2


@pytest.mark.parametrize("name", ["swallows_nan", "leaky"])
def test_a_wrong_kernel_is_incorrect(verifier: KernelVerifier, task: Task, name: str) -> None:
    source = core.load("relu").wrong["cuda"][name]
    verdict = judged(verifier, task, source)
    assert (verdict.status, verdict.mode) == ("incorrect", "native")
    assert verdict.timing is None


FAULTS = {
    "an illegal address": ("standin_error(700);", "runtime_error", "cudaErrorIllegalAddress"),
    "no memory": ("standin_error(2);", "oom", "no memory left"),
    "an error with no name": ("standin_error(4711);", "runtime_error", "cudaErrorUnknown"),
    "an input": ("*(char *)x->data ^= x->shape[0] > 1;", "runtime_error", "writes to an input"),
    "far behind": (
        "((char *)y->data)[kc::numel(y) * y->dtype.bits / 8 + 5000] = 1;",
        "runtime_error",
        "outside of a buffer",
    ),
    "far before": ("((char *)y->data)[-9000] = 1;", "runtime_error", "outside of a buffer"),
    "close behind": (
        "char *end = (char *)y->data + kc::numel(y) * y->dtype.bits / 8;"
        " if ((size_t)end % 4096) *end = 1;",
        "incorrect",
        "writes outside its output",
    ),
    "a null pointer": ("*(volatile int *)nullptr = 1;", "crashed", "null pointer"),
    "an exit": ("_Exit(0);", "runtime_error", "ended its process"),
    "the harness's pipe": ("standin_forge(6);", "cheating", "pipe of the harness"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_a_device_or_its_memory_tells_is_said(
    verifier: KernelVerifier, task: Task, name: str
) -> None:
    line, status, words = FAULTS[name]
    declared = 'extern "C" void standin_error(int); extern "C" void standin_forge(int);'
    verdict = judged(verifier, task, edited(f"if (kc::numel(y)) {{ {line} }}", declared))
    assert verdict.status == status and words in verdict.reason


def test_work_on_the_host_is_no_kernel(verifier: KernelVerifier, task: Task) -> None:
    source = """#include <kernelcoder_cuda.h>
__global__ void unused(float *) {}
extern "C" void kernel(const DLTensor *x, DLTensor *y, cudaStream_t) {
  const auto s = kc::strided(x);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < kc::numel(x); ++i) {
      const T v = kc::data<T>(x)[s.offset(i)];
      kc::data<T>(y)[i] = float(v) < 0.0f ? T(0.0f) : v;
    }
  });
}
"""
    verdict = judged(verifier, task, source)
    assert verdict.status == "refused" and "no kernel was launched" in verdict.reason


def test_a_race_that_the_device_hides_is_seen_by_the_emulator(
    verifier: KernelVerifier, task: Task
) -> None:
    racy = SOLUTION.replace(
        'extern "C"',
        '__global__ void racy(int *p) { *p = int(threadIdx.x); }\nextern "C"',
        1,
    )
    at = racy.index("{", racy.index('extern "C" void kernel(')) + 1
    line = "static int *p; if (!p) cudaMalloc(&p, 4); racy<<<1, 64, 0, stream>>>(p);"
    verdict = judged(verifier, task, f"{racy[:at]}\n  {line}{racy[at:]}")
    assert verdict.status == "incorrect"
    assert "race" in verdict.reason and "checked build" in verdict.reason


def test_modules_are_for_the_emulator(verifier: KernelVerifier, task: Task) -> None:
    verdict = judged(verifier, task, "import torch\ndef kernel(x):\n    return x\n")
    assert verdict.status == "refused" and "emulator only" in verdict.reason


HIDDEN = {
    "bringing its inputs to the device": "standin_hold(40000);",
    "bringing its outputs back": "standin_slow(40000);",
}


@pytest.mark.measures
@pytest.mark.parametrize("step", HIDDEN)
def test_work_outside_of_the_clock_is_cheating(
    builder: standin.Builder, shared_cache: Path, task: Task, step: str
) -> None:
    declared = 'extern "C" void standin_hold(unsigned); extern "C" void standin_slow(unsigned);'
    built = builder.build(edited(HIDDEN[step], declared))
    rng, contest = random.Random(1), GpuContest(OPTIONS, shared_cache, builder)
    bench = Bench(task, task.timing[0], 2, rng)
    try:
        with contest.enter(bench, [Contestant("candidate", built)], ["reference"]) as arena:
            for _ in range(8):
                arena.round(rng)
            with pytest.raises(Unfair, match=step) as caught:
                arena.fair()
        assert caught.value.status == "cheating"
    finally:
        contest.close()
        bench.close()


@pytest.mark.slow
@pytest.mark.measures
def test_the_benchmark_of_a_gpu_says_what_it_measured(verifier: KernelVerifier, task: Task) -> None:
    wrong = dataclasses.replace(
        task, name="leaky", solutions={"cuda": core.load("relu").wrong["cuda"]["leaky"]}
    )
    found = list(bench.rows([task, wrong], verifier, 1))
    timed = [row for row in found if row.us is not None]
    assert {row.case.split("-")[0] for row in timed} == {"hot", "cold"}, found
    assert all(row.itself and row.eager and row.us for row in timed)
    assert [row.status for row in found if row.us is None] == ["incorrect"]
    text = bench_gpu.markdown(found)
    assert text.count("\n| core/relu |") == len(timed) and "| core/leaky | - | incorrect |" in text


@pytest.mark.skipif(cuda.probe().mode == "native", reason="there is a GPU")
def test_the_benchmark_refuses_a_machine_without_a_gpu() -> None:
    with pytest.raises(CannotRun, match="no native CUDA"):
        bench.available()


@pytest.mark.measures
def test_roofs_are_measured_by_kernels_of_ours(builder: standin.Builder) -> None:
    probe = DeviceProbe(builder)
    assert probe.measure("copy", 1 << 16) > 0 and probe.measure("read", 1 << 16) > 0
