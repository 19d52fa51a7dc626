# SPDX-License-Identifier: Apache-2.0
"""CUDA candidates through the real verifier: right ones, and one small mistake each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks import core
from kernelcoder.backends import cuda
from kernelcoder.records import Candidate, Verdict
from kernelcoder.verify import Verifier, VerifyOptions

KERNELS = Path(__file__).with_name("cuda_kernels")
OPTIONS = VerifyOptions(False, 12, 60, 2048, 1, "eager", False, 4)
Judge = Callable[..., Verdict]


@pytest.fixture(scope="module")
def verifier(shared_cache: Path) -> Iterator[Verifier]:
    made = cuda.open_verifier(OPTIONS, shared_cache, 1, cuda.Options(nvcc=False))
    yield made
    made.close()


@pytest.fixture
def judge(verifier: Verifier) -> Judge:
    """``judge(task, (old, new), ...)``: the verdict on a task's reference kernel with edits."""

    def judged(task: str, *edits: tuple[str, str]) -> Verdict:
        source = (KERNELS / f"{task}.cu").read_text()
        for old, new in edits:
            assert source.count(old) == 1, f"{old!r} is in {task}.cu {source.count(old)} times"
            source = source.replace(old, new)
        return verifier.verify(core.load(task), Candidate(source, "cuda", "cuda"), "5eed")

    return judged


def test_a_right_kernel_is_verified_and_said_to_be_emulated(judge: Judge) -> None:
    idle = "__global__ void idle(float *p) { *p = 0; }\n\nextern"
    verdict = judge("relu", ("extern", idle))
    assert "never launched: idle" in verdict.evidence
    assert verdict.verified and verdict.mode == "emulated" and verdict.timing is None
    assert verdict.checked["kernels launched"] == 1
    assert verdict.checked["cases under the checked build"] >= 3


@pytest.mark.slow
@pytest.mark.parametrize("task", ["softmax", "matmul"])
def test_kernels_with_barriers_and_shuffles_are_verified(judge: Judge, task: str) -> None:
    verdict = judge(task)
    assert verdict.verified, verdict.reason


STORE = "if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = top;\n  __syncthreads();"
AGAIN = "sum = warp_sum(sum);\n  __syncthreads();"
LOOP = "i < n; i += THREADS) top"
ALL = "  sum = warp_sum"
PRODUCT = "sum += left[threadIdx.y][k] * right[k][threadIdx.x];"
LAUNCH = "softmax<T, 256><<<in.rows, 256, 0, stream>>>"

INDEX = "    const T v = x[in.offset(i)];"
SAME = "    y[i] = float"
FLOAT4 = "if (n > 8 && i == 1) { float4 w = *(const float4 *)(x + 1); if (w.x == 7.25f) return; }"

# name: task, edits, status ("": one of two), words of the reason
MISTAKES: dict[str, tuple[str, list[tuple[str, str]], str, str]] = {
    "no barrier before reading what others stored": (
        "softmax", [(STORE, STORE.partition("\n")[0])], "incorrect", ""),
    "only some threads reach the barrier": (
        "softmax", [(ALL, f"  if (threadIdx.x < n) __syncthreads();\n{ALL}")],
        "incorrect", "not all threads of a block reach the same barrier"),
    "shared memory that nobody wrote": (
        "softmax", [("if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum", "part[0] = sum")],
        "incorrect", ""),
    "a row's end is read over": (
        "softmax", [(LOOP, "i <= n; i += THREADS) top")], "runtime_error", "argument x"),
    "blocks of 2048 threads": (
        "softmax", [(LAUNCH, LAUNCH.replace("256, 0", "2048, 0"))],
        "runtime_error", "a device refuses this launch (line 47, kernel softmax"),
    "one element past the end": (
        "relu", [("i < n; i += step", "i <= n; i += step")],
        "runtime_error", "it writes outside of a buffer (line 10, kernel relu, argument y"),
    "two threads write one element": (
        "relu", [(SAME, "    y[i / 2] = float")], "incorrect", ""),
    "strides are ignored": (
        "relu", [("x[in.offset(i)]", "x[i]")], "incorrect", "input strides ignored"),
    "the second barrier of a tile is missing": (
        "matmul", [(f"{PRODUCT}\n    __syncthreads();", PRODUCT)], "incorrect", "race"),
}  # fmt: skip
# More of the same; and such as are right on every case, which only the checked build tells.
MORE: dict[str, tuple[str, list[tuple[str, str]], str, str]] = {
    "threads leave before the barrier": (
        "softmax", [("  float sum = 0;", "  if (threadIdx.x >= n) return;\n  float sum = 0;")],
        "incorrect", ""),
    "one partial result too many": (
        "softmax", [("w < THREADS / 32; ++w) sum", "w <= THREADS / 32; ++w) sum")], "", ""),
    "sixty kibibytes without asking": (
        "softmax", [(LAUNCH, LAUNCH.replace("256, 0", "256, 60000"))],
        "runtime_error", "shared memory"),
    "a large local array": (
        "relu", [(INDEX, f"    volatile char big[1 << 20]; big[threadIdx.x] = 1;\n{INDEX}")],
        "runtime_error", "overflow its stack"),
    "nothing stops at the end": (
        "relu", [("i < n; i += step", "true; i += step")],
        "runtime_error", "it writes outside of a buffer"),
    "only the first block": (
        "relu", [("blocks < 1024 ? blocks : 1024", "1"), ("i < n; i += step", "i < 256; i += n")],
        "", ""),
    "a tile is two columns too narrow": (
        "matmul", [("float right[TILE][TILE + 1]", "float right[TILE][TILE - 1]")], "", ""),
    "shared memory used again too early": (
        "softmax", [(AGAIN, AGAIN.partition("\n")[0])], "incorrect", "a data race"),
    "an aligned load where nothing is aligned": (
        "relu", [(INDEX, f"{INDEX}\n    {FLOAT4}")], "runtime_error", "misaligned"),
    "an input is written": (
        "relu", [(SAME, f"    const_cast<T *>(x)[in.offset(i)] = v;\n{SAME}")],
        "runtime_error", "it writes to an input"),
    "NaN is swallowed": (
        "relu", [("float(v) < 0.0f ? T(0.0f) : v", "T(fmaxf(float(v), 0.0f))")],
        "incorrect", "NaN"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_found(judge: Judge, name: str) -> None:
    task, edits, status, words = MISTAKES[name]
    verdict = judge(task, *edits)
    assert verdict.status in ((status,) if status else ("incorrect", "runtime_error"))
    assert words in verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_more_mistakes_are_found(judge: Judge, name: str) -> None:
    task, edits, status, words = MORE[name]
    verdict = judge(task, *edits)
    assert verdict.status in ((status,) if status else ("incorrect", "runtime_error"))
    assert words in verdict.reason


COUNT = "  const int64_t n = kc::numel(x);\n"
TYPED = "    using T = decltype(zero);\n"
GRID = "    relu<T><<<blocks < 1024 ? blocks : 1024, 256, 0, stream>>>(\n"
ON_HOST = """\
    const kc::Strided in = kc::strided(x);
    for (int64_t i = 0; i < n; ++i) {
      const T v = kc::data<T>(x)[in.offset(i)];
      kc::data<T>(y)[i] = float(v) < 0.0f ? T(0.0f) : v;
    }
    if (n > 0) return;
"""
CARRIED = """\
    cudaMemcpyAsync(kc::data<T>(y), kc::data<T>(x), 0, cudaMemcpyDeviceToHost, stream);
"""


def test_a_kernel_that_launches_nothing_is_refused(judge: Judge) -> None:
    verdict = judge("relu", (TYPED, TYPED + ON_HOST))
    assert verdict.status == "refused" and "no kernel was launched" in verdict.reason


@pytest.mark.slow
def test_host_code_that_uses_device_memory_beside_a_launch_is_found(judge: Judge) -> None:
    idle = "__global__ void idle() {}\n\nextern"
    beside = "    idle<<<1, 1, 0, stream>>>();\n"
    verdict = judge("relu", ("extern", idle), (TYPED, TYPED + beside + ON_HOST))
    assert verdict.status == "runtime_error" and "host code uses device memory" in verdict.reason


def test_tensors_carried_through_the_host_are_refused(judge: Judge) -> None:
    verdict = judge("relu", (TYPED, TYPED + CARRIED))
    assert verdict.status == "refused" and "carries tensors through the host" in verdict.reason


@pytest.mark.slow
def test_contiguous_copies_for_who_asks(judge: Judge) -> None:
    plain = ("x[in.offset(i)]", "x[i]"), ("#include <k", "#include <kernelcoder_cuda.h>\n"
                                          "KC_REQUIRE_CONTIGUOUS\n#include <k")  # fmt: skip
    assert judge("relu", *plain).verified


COMPILE_ERRORS = {
    "no extern C": (('extern "C" void kernel', "void kernel"), "no function extern"),
    "a wrong parameter": (
        ("cudaStream_t stream)", "float by, cudaStream_t stream)"),
        "kernel takes const DLTensor",
    ),
    "a kernel that is called": ((GRID, "    relu<T>(\n"), "is a __global__ function"),
    "a name that is nowhere": (("float(v) < 0.0f", "floaty(v) < 0.0f"), "floaty"),
}


@pytest.mark.parametrize("name", COMPILE_ERRORS)
def test_what_does_not_compile(judge: Judge, name: str) -> None:
    edit, words = COMPILE_ERRORS[name]
    verdict = judge("relu", edit)
    assert verdict.status == "compile_error" and words in verdict.reason
