# SPDX-License-Identifier: Apache-2.0
"""The CUDA backend around the emulator: guard, prompt, and what nvcc says where it is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.backends import cuda
from kernelcoder.backends.cuda_builder import headers
from kernelcoder.backends.simt import cuda_guards, nvcc
from kernelcoder.backends.simt.build import INCLUDE

KERNELS = Path(__file__).with_name("cuda_kernels")
RELU = (KERNELS / "relu.cu").read_text()
needs_nvcc = pytest.mark.skipif(not nvcc.found(), reason="nvcc is not installed")


@pytest.mark.parametrize("name", ["relu", "softmax", "matmul"])
def test_the_guard_takes_real_kernels(name: str) -> None:
    assert cuda_guards.check((KERNELS / f"{name}.cu").read_text()) is None


REFUSED = {
    "PTX": ('  asm volatile("mov.u32 %0, %laneid;" : "=r"(i));\n', "inline PTX"),
    "threads": ("  std::thread t([] {});\n", "starts no threads"),
    "OpenMP": ("#pragma omp parallel for\n", "OpenMP"),
    "a system call": ("  syscall(1);\n", "no system calls"),
    "a library": ('  dlopen("libm.so", 2);\n', "loads no libraries"),
    "the emulator": ('  simt_warn("launched", 1, "");\n', "emulator's own names"),
    "the checked build": ("#ifdef __SANITIZE_THREAD__\n", "checked build's names"),
    "a function left out of it": (
        "  __attribute__((no_sanitize_thread)) void f();\n",
        "checked build's names",
    ),
    "a graph": ("  cudaGraphLaunch(g, s);\n", "graphs"),
    "a texture": ("  cudaTextureObject_t t;\n", "textures"),
    "a cluster": ("  cg::this_cluster().sync();\n", "clusters"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_guard_refuses_with_the_line(name: str) -> None:
    line, words = REFUSED[name]
    at = RELU.index("  const int64_t n = kc::numel")
    refusal = cuda_guards.check(RELU[:at] + line + RELU[at:])
    assert refusal and words in refusal.reason
    assert refusal.line == RELU.count("\n", 0, at) + 1


def test_the_guard_is_not_deceived_by_comments_and_says_what_is_no_kernel() -> None:
    assert cuda_guards.check('// asm("") std::thread cudaGraphLaunch\n' + RELU) is None
    refusal = cuda_guards.check('extern "C" void kernel() {} // __global__')
    assert refusal and "no __global__ function" in refusal.reason
    long = cuda_guards.check(RELU + "/" * 300_000)
    assert long and "longer" in long.reason


@pytest.mark.parametrize("task", ["softmax", "layernorm", "rope"])
def test_the_prompt_has_the_exact_signature(task: str) -> None:
    spec = core.load(task)
    text = cuda.contract(spec)
    assert cuda.signature(spec) in text and "cudaStream_t stream)" in text
    assert len(text) < 4500 and max(map(len, text.split("\n"))) < 190


def test_the_prompt_names_helpers_that_exist() -> None:
    header = (INCLUDE / "cuda" / "kernelcoder_cuda.h").read_text()
    for name in re.findall(r"kc::(\w+)|\b(\w+)\(const DLTensor", cuda.HELPERS):
        assert f"{name[0] or name[1]}(" in header
    for name in ("rows", "cols", "col", "row", "offset"):
        assert f"s.{name}" in cuda.HELPERS and name in header


def test_it_says_that_nothing_is_timed() -> None:
    found = cuda.probe()
    assert found.mode in ("emulated", None)
    assert found.mode is None or "no times" in found.reason


LOG = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z7softmaxI6__halfLi256EEvPKT_PS1_i' for 'sm_90'
ptxas info    : Function properties for _Z7softmaxI6__halfLi256EEvPKT_PS1_i
    16 bytes stack frame, 12 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 32 registers, used 1 barriers, 1056 bytes smem, 528 bytes cmem[0]
ptxas info    : Compiling entry function '_ZN2my4reluEPKfPfi' for 'sm_80'
ptxas info    : Function properties for _ZN2my4reluEPKfPfi
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 10 registers, 380 bytes cmem[0]
"""


def test_what_ptxas_prints_is_read() -> None:
    assert nvcc.read(LOG) == (
        nvcc.Kernel("softmax", "sm_90", 32, 16, 1056),
        nvcc.Kernel("relu", "sm_80", 10, 0, 0),
    )
    assert nvcc.read("nothing of the kind") == ()


# By hand from the table of compute capabilities: 65536 registers, 2048 threads, 32 blocks.
@pytest.mark.parametrize(
    ("registers", "shared", "block", "share"),
    [
        (32, 0, 256, 1.0),  # 8 blocks of 8 warps
        (64, 0, 256, 0.5),  # 2048 registers per warp: 32 warps
        (255, 0, 256, 0.125),  # 8192 per warp: 8 warps, one block
        (33, 0, 256, 0.75),  # 1280 per warp: 51 warps, 6 blocks
        (32, 48 << 10, 256, 0.5),  # 49 KiB each: 4 blocks
        (32, 0, 32, 0.5),  # 32 blocks of a warp
        (168, 0, 1024, 0.0),  # 5376 per warp: 12 warps, and a block has 32
    ],
)
def test_occupancy(registers: int, shared: int, block: int, share: float) -> None:
    assert nvcc.occupancy(registers, shared, block) == share


@needs_nvcc
def test_nvcc_takes_the_helper_header_and_tells_registers(shared_cache: Path) -> None:
    check = nvcc.StaticCheck(shared_cache, headers(shared_cache), 60)
    seen = check.look(RELU)
    assert seen.problem == ""
    assert seen.evidence[0].endswith("for sm_80 and sm_90")
    assert re.match(r"relu on sm_90: \d+ registers, no spills", seen.evidence[1])
    assert check.look(RELU) == seen  # from the cache


@needs_nvcc
def test_nvcc_refuses_what_no_device_has(shared_cache: Path) -> None:
    check = nvcc.StaticCheck(shared_cache, headers(shared_cache), 60)
    wrong = RELU.replace("const T v = ", 'const T v = std::string("").size() + ')
    seen = check.look(wrong.replace("#include", "#include <string>\n#include", 1))
    assert seen.problem.startswith("nvcc refuses it for sm_80: kernel.cu:10: error")
    assert seen.evidence == ()


def test_without_nvcc_it_is_said(shared_cache: Path) -> None:
    check = nvcc.StaticCheck(shared_cache, headers(shared_cache), 60, compiler="")
    assert check.look(RELU) == nvcc.Seen("", (nvcc.ABSENT,)) and check.version == "none"
