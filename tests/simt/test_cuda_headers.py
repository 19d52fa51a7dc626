# SPDX-License-Identifier: Apache-2.0
"""The headers that stand in for CUDA's: numbers against torch, kernels against plain loops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cuda_programs
import pytest
import torch

NAMES = (
    "add",
    "vector",
    "tree",
    "histogram",
    "groups",
    "tiles",
    "templates",
    "large",
    "mma",
    "lanes",
)
TYPES = {"half": torch.float16, "bfloat": torch.bfloat16}
BYTES = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}
Program = Callable[[str], Path]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """``program(name)``: the shared object of ``cuda_kernels/NAME.cu``; "-checked" instruments."""
    made: dict[str, Path] = {}

    def compiled(name: str) -> Path:
        if name not in made:
            source = (cuda_programs.HERE / f"{name.removesuffix('-checked')}.cu").read_text()
            folder = tmp_path_factory.mktemp(name)
            made[name] = cuda_programs.compiled(source, folder, name.endswith("-checked"))
        return made[name]

    return compiled


def written(program: Program, case: str, dtype: torch.dtype) -> torch.Tensor:
    done = cuda_programs.run_bytes(program("numbers"), case)
    return torch.frombuffer(bytearray(done), dtype=dtype)


def same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Equal bit for bit, except that a NaN is a NaN."""
    kind = torch.int16 if ours.element_size() == 2 else torch.int32
    alike = ours.view(kind) == theirs.view(kind)
    return bool((alike | (ours.isnan() & theirs.isnan())).all())


def drawn(count: int, state: int) -> list[int]:
    """The recurrence of cuda_kernels/numbers.cu."""
    found = []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        found.append(state)
    return found


@pytest.mark.parametrize("name", TYPES)
def test_every_word_widens_as_in_torch(program: Program, name: str) -> None:
    words = torch.arange(65536, dtype=torch.int32).to(torch.uint16)
    assert same(written(program, f"{name}-widen", torch.float32), words.view(TYPES[name]).float())


@pytest.mark.parametrize("name", TYPES)
def test_every_operation_rounds(program: Program, name: str) -> None:
    dtype = TYPES[name]
    words = torch.tensor([state >> 16 for state in drawn(60000, 12345)]).to(torch.uint16)
    a, b, c = (part.double() for part in words.view(dtype).view(-1, 3).unbind(1))
    # Exact in double but for the quotient, the root and the sum of the fused product, whose
    # rounding there is harmless.
    number = torch.fmax(a, b)
    least = torch.where(a.isnan() | b.isnan(), torch.nan, torch.minimum(a, b))
    wanted = [a + b, a - b, a * b, a / b, a * b + c, a.abs().sqrt(), number, least, a + b, b + c]
    ours = written(program, f"{name}-arithmetic", dtype).view(-1, len(wanted))
    for index, column in enumerate(wanted):
        theirs = narrowed(column, dtype)
        zero = (ours[:, index] == 0) & (theirs == 0)  # of two zeros either is the larger
        assert same(torch.where(zero, theirs, ours[:, index]).contiguous(), theirs), index


def narrowed(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A double rounded once: through the float nearest to it, made odd where that was not exact."""
    near = value.float()
    bits = near.view(torch.int32)
    over = (near.double().abs() > value.abs()) & near.isfinite()
    inexact = (near.double() != value) & near.isfinite()
    odd = torch.where(inexact, (bits - over.int()) | 1, bits).view(torch.float32)
    return odd.to(dtype)


@pytest.mark.parametrize("name", TYPES)
def test_floats_and_doubles_narrow_to_nearest(program: Program, name: str) -> None:
    states = torch.tensor(drawn(20000, 999)).to(torch.uint32)
    floats = states.view(torch.float32)
    ours = written(program, f"{name}-narrow", TYPES[name]).view(-1, 2)
    assert same(ours[:, 0].contiguous(), floats.to(TYPES[name]))
    doubles = floats.double() * (1 + 1e-12)
    assert same(ours[:, 1].contiguous(), narrowed(doubles, TYPES[name]))


@pytest.mark.parametrize("name", BYTES)
def test_eight_bits_convert_as_in_torch_but_saturate(program: Program, name: str) -> None:
    ours = cuda_programs.run_bytes(program("numbers"), name)
    words = torch.arange(256).to(torch.uint8)
    wide = torch.frombuffer(bytearray(ours[:1024]), dtype=torch.float32)
    assert same(wide, words.view(BYTES[name]).float())
    steps = torch.arange(-4000, 4001, dtype=torch.float32)
    largest = torch.finfo(BYTES[name]).max
    values = torch.stack([steps * torch.tensor(0.1373), steps * 2.0**-20], 1).flatten()
    theirs = values.clamp(-largest, largest).to(BYTES[name])
    assert torch.equal(
        torch.frombuffer(bytearray(ours[1024:]), dtype=torch.uint8), theirs.view(torch.uint8)
    )


def test_intrinsics(program: Program) -> None:
    done = cuda_programs.run(program("intrinsics"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", ["forward", "reshuffled"])
def test_published_kernels(program: Program, name: str, order: str) -> None:
    done = cuda_programs.run(program("published"), name, order=order)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_checked_build_finds_nothing_in_them(program: Program, name: str) -> None:
    done = cuda_programs.run(program("published-checked"), name)
    assert done.returncode == 0, done.stderr
    assert not [line for line in done.stderr.splitlines() if "kind=launched" not in line]


REFUSED = {
    "cub": ("#include <cub/cub.cuh>\n", "the CUB library is not part"),
    "cuBLAS": ("#include <cublas_v2.h>\n", "a kernel does its work itself"),
    "cp.async": ("#include <cuda_pipeline.h>\n", "asynchronous copies are not emulated"),
    "libcu++": ("#include <cuda/barrier>\n", "not part of this backend"),
    "a missing include": ("__global__ void k(__half *x) { *x = __half(1.0f); }", "__half"),
    "mixing half and float": (
        "#include <cuda_fp16.h>\n__global__ void k(__half *x, float f) { *x = *x * f; }",
        "ambiguous"),
    "an atomic that no device has": (
        "__global__ void k(float *x) { atomicMax(x, 1.0f); }", "deleted"),
    "a grid-wide barrier": (
        "#include <cooperative_groups.h>\n"
        "__global__ void k() { cooperative_groups::this_grid().sync(); }\n"
        "void f() { k<<<1, 1>>>(); }", "grid-wide synchronization is not emulated"),
    "a pointer of another type": (
        "__global__ void k(float *x) {}\nvoid f(void *x) { k<<<1, 1>>>(x); }", "void*"),
    "a clock": (
        "void f(cudaEvent_t a) { float t; cudaEventElapsedTime(&t, a, a); }", "no clock"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_missing_says_so(tmp_path: Path, name: str) -> None:
    source, words = REFUSED[name]
    assert words in cuda_programs.refused(source, tmp_path)
