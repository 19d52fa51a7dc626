# SPDX-License-Identifier: Apache-2.0
"""Regions and honest candidates: what a kernel sees, and what the judge sees afterwards."""

from __future__ import annotations

import errno
import mmap
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from kernelcoder.verify import sandbox
from kernelcoder.verify.compile import Compiler
from kernelcoder.verify.regions import GUARD, PAGE, Call, Regions, extent
from kernelcoder.verify.slots import Child, Died, Limits, Slot

pytestmark = pytest.mark.skipif(bool(sandbox.supported()), reason=sandbox.supported())

NAMES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}
RELU = r"""
#include <kernelcoder.h>
EXTRA
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const int64_t n = kc::cols(x);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    std::vector<float> row(n);
    for (int64_t r = 0; n && r < kc::rows(x); ++r) {
      kc::load(kc::data<T>(x) + kc::row_offset(x, r), kc::col_stride(x), n, row.data());
      for (float &value : row) value = value > 0 ? value : 0;
      kc::store(row.data(), n, kc::data<T>(y) + r * n);
    }
  });
}
"""
# Writes what it was given: shape, strides, alignment, scalars.
SHOW = r"""
#include <dlpack/dlpack.h>
EXTRA
extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y, double s, double t) {
  float *out = (float *)y->data;
  out[0] = a->ndim, out[1] = a->shape[0], out[2] = a->strides[0], out[3] = a->strides[1];
  out[4] = (unsigned long)a->data % 64, out[5] = b->ndim, out[6] = s, out[7] = t;
  out[8] = a->dtype.code, out[9] = a->dtype.bits, out[10] = ((float *)b->data)[0];
}
"""


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Compiler:
    return Compiler(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def slot() -> Iterator[Slot]:
    with Slot() as slot:
        yield slot


def build(compiler: Compiler, source: str, extra: str = "") -> Path:
    built = compiler.build(source.replace("EXTRA", extra))
    assert built.path is not None, built.log
    return built.path


def inputs() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = [(5, 7), (64, 33), (17, 19), (1, 1), (0, 3), (3, 0), (2, 3, 5)]
    found = []
    for dtype in NAMES:
        tensors = [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]
        wide = torch.randn(9, 40, generator=generator).to(dtype)
        flat = torch.randn(100, generator=generator).to(dtype)
        found += [*tensors, wide[:, 1:21:2], wide.t(), flat[3:].view(97), flat[:1].expand(4)]
    return found


@pytest.mark.parametrize("extra", ["", "KC_REQUIRE_CONTIGUOUS"])
def test_every_layout_at_both_edges(extra: str, compiler: Compiler, slot: Slot) -> None:
    calls = [
        Call((x,), ((tuple(x.shape), NAMES[x.dtype]),), (), flush)
        for x in inputs()
        for flush in ("start", "end")
    ]
    with Regions(calls) as regions:
        child = slot.start(build(compiler, RELU, extra), regions, Limits())
        child.loaded(20)
        child.run(0, len(calls), touch=True)
        for index, call in enumerate(calls):
            assert torch.equal(regions.output(index), call.inputs[0].relu())
            assert regions.canaries_intact(index)
            assert regions.inputs_intact(index)
        child.finish()


def show(compiler: Compiler, slot: Slot, a: torch.Tensor, extra: str = "") -> list[float]:
    b = torch.full((1,), 9.0)
    with Regions([Call((a, b), (((11,), "f32"),), (0.5, -3.0))]) as regions:
        child = slot.start(build(compiler, SHOW, extra), regions, Limits())
        child.loaded(20)
        child.run(0, 1)
        values: list[float] = regions.output(0).tolist()
        child.finish()
        return values


def test_strides_scalars_and_alignment_arrive(compiler: Compiler, slot: Slot) -> None:
    base = torch.zeros(10, 12)
    assert show(compiler, slot, base) == [2, 10, 12, 1, 0, 1, 0.5, -3, 2, 32, 9]
    assert show(compiler, slot, base.t()) == [2, 12, 1, 12, 0, 1, 0.5, -3, 2, 32, 9]
    assert show(compiler, slot, base[:, 3:])[2:5] == [12, 1, 12]
    wants = 'extern "C" { extern const int kc_require_contiguous; }\n'
    wants += 'extern "C" { const int kc_require_contiguous = 1; }'
    assert show(compiler, slot, base[:, 3:], wants)[2:5] == [9, 1, 0]


def test_flush_end_touches_the_guard() -> None:
    x = torch.zeros(5, 7, dtype=torch.float16)
    with Regions([Call((x,), (((3,), "bf16"),), (), "end")]) as regions:
        for place in regions.offsets(0):
            assert (place.offset + place.bytes) % PAGE == 0
        first, second = regions.offsets(0)
        assert first.region == "in"
        assert second.region == "out"
        assert first.first >= GUARD


def test_the_input_file_cannot_be_mapped_writable_again() -> None:
    with Regions([Call((torch.ones(4),), (((4,), "f32"),))]) as regions:
        with pytest.raises(PermissionError):
            mmap.mmap(regions.in_fd, PAGE)
        with pytest.raises(PermissionError):
            os.pwrite(regions.in_fd, b"x", 0)
        regions.input(0, 0).fill_(5)  # the judge's own mapping stays writable
        assert not regions.inputs_intact(0)
        assert regions.inputs_intact(0, [torch.full((4,), 5.0)])


def test_fresh_inputs_and_views_after_close(compiler: Compiler, slot: Slot) -> None:
    with Regions([Call((torch.ones(6),), (((6,), "f32"),))]) as regions:
        child = slot.start(build(compiler, RELU), regions, Limits())
        child.loaded(20)
        for value in (3.0, -2.0, 4.0):
            regions.refresh(0, 0, torch.full((6,), value))
            regions.poison(0xFF)
            child.run(0, 1)
            assert torch.equal(regions.output(0), torch.full((6,), max(value, 0)))
        child.finish()
        kept = regions.output(0)
    assert kept.sum() == 24


def test_calls_that_do_not_fit_are_refused() -> None:
    x = torch.zeros(1)
    with pytest.raises(ValueError, match="at most 8 tensors"):
        Call((x,) * 8, (((1,), "f32"),))
    with pytest.raises(ValueError, match="at most 8 dimensions"):
        Regions([Call((torch.zeros((1,) * 9),), ())])


@pytest.mark.parametrize(
    ("shape", "strides", "size"),
    [((2, 3), (3, 1), 6), ((4,), (0,), 1), ((0, 5), (5, 1), 0), ((), (), 1)],
)
def test_extent(shape: tuple[int, ...], strides: tuple[int, ...], size: int) -> None:
    assert extent(shape, strides) == size


SPIN = r"""
#include <dlpack/dlpack.h>
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  volatile long n = 0;
  for (long i = 0; i < (long)((float *)x->data)[0]; ++i) n = n + 1;
  ((float *)y->data)[0] += 1;
}
"""


def test_the_judges_clock_counts_the_work(compiler: Compiler, slot: Slot) -> None:
    calls = [Call((torch.full((1,), size),), (((1,), "f32"),)) for size in (0.0, 1e7)]
    with Regions(calls) as regions:
        regions.output(0).zero_()
        child = slot.start(build(compiler, SPIN), regions, Limits())
        child.loaded(20)
        idle = min(child.run(0, 1).cpu_ns for _ in range(5))
        busy = min(child.run(1, 1).cpu_ns for _ in range(3))
        twice = min(child.run(1, 1, reps=2).cpu_ns for _ in range(3))
        assert idle * 5 < busy < twice
        child.run(0, 1, reps=10)
        assert regions.output(0)[0] == 15
        assert child.finish().cpu_ns >= busy * 3


def test_finish_twice_and_run_after_the_end(compiler: Compiler, slot: Slot) -> None:
    with Regions([Call((torch.ones(1),), (((1,), "f32"),))]) as regions:
        child = slot.start(build(compiler, RELU), regions, Limits())
        child.loaded(20)
        assert child.finish() == child.finish()
        assert child.finish().code == signal.SIGKILL
        with pytest.raises(Died):
            child.run(0, 1)


def test_many_children_leave_no_descriptors(compiler: Compiler, slot: Slot) -> None:
    path = build(compiler, RELU)

    def one() -> None:
        with Regions([Call((torch.ones(1),), (((1,), "f32"),))]) as regions:
            child = slot.start(path, regions, Limits())
            child.loaded(20)
            child.run(0, 1)
            child.finish()

    one()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        one()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_two_slots_alternate(compiler: Compiler, slot: Slot) -> None:
    """Interleaved timing holds two children at once."""
    path = build(compiler, RELU)
    with Slot() as other, Regions([Call((torch.ones(3),), (((3,), "f32"),))]) as regions:
        children: list[Child] = [one.start(path, regions, Limits()) for one in (slot, other)]
        for child in children:
            child.loaded(20)
        for turn in range(6):
            regions.poison(turn)
            children[turn % 2].run(0, 1)
            assert regions.output(0).sum() == 3
        for child in children:
            child.finish()


JUDGE = """
import sys, torch
from pathlib import Path
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.slots import Limits, Slot
slot, regions = Slot(), Regions([Call((torch.full((1,), 1e12),), (((1,), "f32"),))])
child = slot.start(Path(sys.argv[1]), regions, Limits())
child.loaded(20)
print(slot._process.pid, child.pid(), flush=True)
child.run(0, 1, timeout=100)
"""


def test_a_killed_judge_leaves_nothing_running(compiler: Compiler) -> None:
    path = build(compiler, SPIN)
    judge = subprocess.Popen(
        [sys.executable, "-c", JUDGE, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert judge.stdout is not None
    pids = [int(word) for word in judge.stdout.readline().split()]
    assert len(pids) == 2
    judge.kill()
    judge.wait()
    judge.stdout.close()
    for _ in range(500):
        if not any(_runs(pid) for pid in pids):
            return
        time.sleep(0.01)
    pytest.fail("the slot or its child outlived the judge")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_one_thread_allowed_means_one(compiler: Compiler) -> None:
    source = """#include <dlpack/dlpack.h>
      #include <pthread.h>
      static void *idle(void *) { return 0; }
      extern "C" void kernel(const DLTensor *x, DLTensor *y) {
        pthread_t thread;
        ((float *)y->data)[0] = pthread_create(&thread, 0, idle, 0);
      }"""
    built = compiler.build(source)
    assert built.path is not None, built.log
    with (
        Regions([Call((torch.zeros(1),), (((1,), "f32"),))]) as regions,
        Slot() as slot,
    ):
        for threads, answer in ((1, errno.EAGAIN), (2, 0)):
            child = slot.start(built.path, regions, Limits(threads=threads))
            child.loaded(10)
            child.run(0, 1)
            assert regions.output(0)[0] == answer
            child.finish()
