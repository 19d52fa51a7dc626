# SPDX-License-Identifier: Apache-2.0
"""On machines with a GPU, and there alone: real kernels on the real device, right, wrong, faulty
and endless. None of these has been run yet; whoever has the machine runs ``make test GPU=1``."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.backends import cuda, metal, triton
from kernelcoder.backends.gpu import devices
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions

NVIDIA = Path("/dev/nvidiactl").exists()
APPLE = sys.platform == "darwin" and platform.machine() == "arm64"
no_gpu = f"there is {devices.device().reason}"
needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(not NVIDIA or devices.toolkit() is None, reason=no_gpu),
]
OPTIONS = VerifyOptions(True, 10, 90, 2048, 1, "eager", False, 2)
WILD = """#include <kernelcoder_cuda.h>
__global__ void wild(float *p) { p[int64_t(1) << 44] = 1.0f; }
extern "C" void kernel(const DLTensor *x, DLTensor *y, cudaStream_t stream) {
  wild<<<1, 1, 0, stream>>>(kc::data<float>(y));
}
"""
ENDLESS = """#include <kernelcoder_cuda.h>
__global__ void endless(volatile float *p) { while (p[0] != 12345.0f) {} }
extern "C" void kernel(const DLTensor *x, DLTensor *y, cudaStream_t stream) {
  endless<<<1, 1, 0, stream>>>(kc::data<float>(y));
}
"""


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[Verifier]:
    made = cuda.open_verifier(OPTIONS, shared_cache, 1)
    yield made
    made.close()


class TestCuda:
    """Of the cuda backend, native."""

    pytestmark = needs_gpu

    def judged(self, verifier: Verifier, op: str, source: str, timing: bool = False) -> Verdict:
        candidate = Candidate(source, "cuda", "cuda")
        return verifier.verify(core.load(op), candidate, "5eed", timing=timing)

    def test_kernels_run_natively_and_it_is_said(self) -> None:
        found = cuda.probe()
        assert found.mode == "native" and "sm_" in found.reason

    @pytest.mark.measures
    @pytest.mark.parametrize("op", ["relu", "softmax", "layernorm", "rope", "matmul"])
    def test_the_suites_kernels_are_right_and_have_times(self, verifier: Verifier, op: str) -> None:
        verdict = self.judged(verifier, op, core.load(op).solutions["cuda"], timing=True)
        assert (verdict.status, verdict.stage, verdict.mode) == ("verified", "measured", "native")
        assert verdict.timing and verdict.timing.speedup

    @pytest.mark.parametrize("op", ["relu", "softmax", "matmul"])
    def test_wrong_kernels_are_rejected(self, verifier: Verifier, op: str) -> None:
        for name, source in core.load(op).wrong["cuda"].items():
            assert not self.judged(verifier, op, source).verified, name

    def test_a_fault_of_the_device_is_named_and_costs_nobody_else(self, verifier: Verifier) -> None:
        verdict = self.judged(verifier, "relu", WILD)
        assert verdict.status == "runtime_error" and "IllegalAddress" in verdict.reason
        assert self.judged(verifier, "relu", core.load("relu").solutions["cuda"]).verified

    def test_a_kernel_that_never_ends_is_ended(self, verifier: Verifier) -> None:
        assert self.judged(verifier, "relu", ENDLESS).status == "timeout"
        assert self.judged(verifier, "relu", core.load("relu").solutions["cuda"]).verified


@pytest.mark.gpu
@pytest.mark.skipif(not NVIDIA, reason=no_gpu)
def test_with_a_gpu_triton_says_what_it_does() -> None:
    assert triton.probe().mode in ("native", "interpreted", None)


@pytest.mark.metal
@pytest.mark.skipif(not APPLE, reason="no Apple silicon: nothing was ever run on a Mac")
def test_on_a_mac_metal_is_refused_with_the_reason() -> None:
    found = metal.probe()
    assert found.mode is None
    assert "Mac" in found.reason or "make mlx" in found.reason
