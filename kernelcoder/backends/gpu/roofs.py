# SPDX-License-Identifier: Apache-2.0
"""Measured roofs of a device: bytes per second by working set, and peak float32 FMA rate.

As ``verify/roofline.py``, with kernels of our own through the same slot and compiler, in a child
that nobody else's code runs in: so the device's events are its clock.
"""

from __future__ import annotations

from pathlib import Path

import torch

from kernelcoder.backends.gpu.contest import CALLS, DeviceBuilder, GpuContest
from kernelcoder.backends.gpu.cuda_native import NativeCudaBuilder
from kernelcoder.backends.gpu.slots import GpuChild
from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.arena import Unfair
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.roofline import Roofs
from kernelcoder.verify.slots import Limits
from kernelcoder.verify.timing import Ground
from kernelcoder.verify.totals import IMPOSSIBLE, Floor, regime

COPY_SOURCE = """#include <kernelcoder_cuda.h>
__global__ void copy(const float4 *x, float4 *y, int64_t n) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) y[i] = x[i];
}
extern "C" void kernel(const DLTensor *x, DLTensor *y, cudaStream_t stream) {
  const int64_t n = kc::numel(x) / 4;
  const int64_t blocks = kc::ceil_div(n, 256);
  copy<<<blocks < 4096 ? blocks : 4096, 256, 0, stream>>>(
      kc::data<float4>(x), kc::data<float4>(y), n);
}
"""
READ_SOURCE = """#include <kernelcoder_cuda.h>
__global__ void add_up(const float4 *x, float *y, int64_t n) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  float sum = 0.0f;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    const float4 v = x[i];
    sum += v.x + v.y + v.z + v.w;
  }
  if (sum == 12345.0f) y[0] = sum;
}
extern "C" void kernel(const DLTensor *x, DLTensor *y, cudaStream_t stream) {
  const int64_t n = kc::numel(x) / 4;
  const int64_t blocks = kc::ceil_div(n, 256);
  add_up<<<blocks < 4096 ? blocks : 4096, 256, 0, stream>>>(
      kc::data<float4>(x), kc::data<float>(y), n);
}
"""
LANES = 16  # independent sums of each thread
BLOCKS, THREADS, ROUNDS = 2048, 256, 4096
PEAK_SOURCE = """#include <kernelcoder_cuda.h>
__global__ void multiply_add(const float *x, float *y, int rounds) {
  const float m = 0.9999999f, c = x[0];
  float a[16];
#pragma unroll
  for (int k = 0; k < 16; ++k) a[k] = c * float(k + int(threadIdx.x));
  for (int r = 0; r < rounds; ++r) {
#pragma unroll
    for (int k = 0; k < 16; ++k) a[k] = a[k] * m + c;
  }
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < 16; ++k) sum += a[k];
  y[int64_t(blockIdx.x) * blockDim.x + threadIdx.x] = sum;
}
extern "C" void kernel(const DLTensor *x, DLTensor *y, double rounds, cudaStream_t stream) {
  multiply_add<<<kc::ceil_div(kc::numel(y), 256), 256, 0, stream>>>(
      kc::data<float>(x), kc::data<float>(y), int(rounds));
}
"""
_SOURCES = {"copy": COPY_SOURCE, "read": READ_SOURCE, "peak": PEAK_SOURCE}
_TRAFFIC = {"copy": 8, "read": 4}  # bytes per element of x
_WINDOWS, _CALLS = 15, 4
_LIMITS = Limits(memory_mb=2048, cpu_seconds=300)
# Matrix units do many times what plain multiply-adds do, also for float32 made of narrower parts:
# a time is impossible only if it is shorter than with this multiple of the measured peak.
MATRIX_UNITS = 16.0


class DeviceFloor(Floor):
    """Times no kernel can have on a device."""

    def fraction(self, bench: Bench, seconds: float) -> float:
        """The share of the roof a time per call reaches; raises Unfair if that is impossible."""
        task, case = bench.task, bench.case
        nbytes, flops = task.bytes(case), task.flops(case)
        for again in (False, True):
            roof = self._roofs.roof(bench.working_set, again)
            least = max(nbytes / roof.bandwidth, flops / (MATRIX_UNITS * roof.peak))
            if least <= IMPOSSIBLE[regime(case)] * seconds:
                return roof.bound(nbytes, flops) / seconds
        raise Unfair(
            f"{case.name}: {seconds * 1e6:.1f} us per call is less than this device's measured"
            " bandwidth and peak allow; the work cannot have been done",
            "cheating",
        )


class DeviceProbe:
    """Best bytes/s of streaming over ``size`` bytes in all, or best flop/s in registers."""

    def __init__(self, builder: NativeCudaBuilder) -> None:
        self._builder = builder

    def measure(self, kind: str, size: int) -> float:
        """``copy`` and ``read`` give bytes per second, ``peak`` float32 operations per second."""
        if kind == "peak":
            call = Call((torch.ones(1),), (((BLOCKS * THREADS,), "f32"),), (float(ROUNDS),))
            return 2.0 * LANES * ROUNDS * BLOCKS * THREADS / self._best(kind, [call])
        n = max(size // (_TRAFFIC[kind] * _CALLS), 1024) // 4 * 4
        out = (((n if kind == "copy" else 4,), "f32"),)
        x = torch.full((n,), 0.5)
        return _TRAFFIC[kind] * n * _CALLS / self._best(kind, [Call((x,), out)] * _CALLS)

    def _best(self, kind: str, calls: list[Call]) -> float:
        """Seconds of the fastest batch, between the device's events."""
        built = self._builder.build(_SOURCES[kind])
        if built.path is None:
            raise RuntimeError(f"the roofline kernel does not compile: {built.log}")
        best = 1 << 62
        with (
            self._builder.lease.alone(),
            Regions(calls) as regions,
            self._builder.timing_slot() as slot,
        ):
            child = slot.start(built.path, regions, _LIMITS)
            assert isinstance(child, GpuChild)
            child.loaded(60.0)
            for _ in range(_WINDOWS):
                child.run(0, len(calls), timeout=60.0, prepare=_nothing)
                best = min(best, max(1, child.staging.events_ns))
            child.finish()
        return best * 1e-9


def _nothing() -> None:
    """Prepares a timed run whose inputs stay as they are."""


def ground(
    options: VerifyOptions, cache: Path, builder: DeviceBuilder, cuda: NativeCudaBuilder
) -> Ground:
    """Where kernels of a builder are timed; ``cuda`` builds those that measure the roofs."""
    device = builder.device
    key = f"{device.name} | {device.visible} | {device.driver} | {cuda.versions['compiler']}"
    roofs = Roofs(cache / "roofs-gpu.json", key, DeviceProbe(cuda).measure)
    return Ground(GpuContest(options, cache, builder), DeviceFloor(roofs, 1), CALLS)
