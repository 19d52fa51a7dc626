# SPDX-License-Identifier: Apache-2.0
"""Which cell of the grid a kernel belongs to, read off its text; and which texts are one kernel."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import core
from kernelcoder.methods.evolution import descriptors
from kernelcoder.methods.evolution.descriptors import UNKNOWN, Cell, describe
from kernelcoder.methods.evolution.sources import LIMIT, code, fingerprint
from kernelcoder.models import recipes

LANGUAGES = ("cpp", "cuda", "python", "sim")
CPU = 'extern "C" void kernel(const DLTensor *x, DLTensor *y) {{ {} }}'
CARRIED = "CPP = r'''\n" + CPU + "\n'''"
CUDA = "template <class T> __global__ void k(const T *x, T *y) {{ {} }}"
METAL = "SOURCE = '''\n    {}\n    y[0] = 1;\n'''\nrun = mx.fast.metal_kernel(source=SOURCE)\n"
TRITON = "@triton.jit\ndef k(x_ptr, BLOCK: tl.constexpr):\n    {}\n"


@pytest.mark.parametrize(
    ("language", "frame", "inside", "memory", "mapping"),
    [
        ("cpp", CPU, "for (i = 0; i < n; ++i) y[i] = x[i];", "direct", "element"),
        ("cpp", CPU, "std::vector<float> packed(n);", "staged", "element"),
        ("cpp", CPU, "V a[4] = {}; a[k] += get(p + i);", "register-blocked", "row"),
        ("cpp", CPU, "float s0 = 0, s1 = 0; s0 = p[0]; s1 = p[1];", "register-blocked", "element"),
        ("cpp", CPU, "acc[r][v] += factor * row[v];", "register-blocked", "tile"),
        ("cpp", CPU, "for (i0 = 0;; i0 += BLOCK) for (k0 = 0;; k0 += 64) f();", "direct", "tile"),
        ("cpp", CPU, "top = std::max(top, x[i]);", "direct", "row"),
        ("cpp", CPU, "\n#pragma omp parallel for\nf();", "direct", "persistent"),
        ("cpp", CPU, "_tile_dpbf16ps(0, 1, 2);", "matrix-unit", "element"),
        ("cuda", CUDA, "y[i] = x[blockIdx.x * 256 + threadIdx.x];", "direct", "element"),
        ("cuda", CUDA, "for (; i < n; i += gridDim.x) y[i] = x[i];", "direct", "persistent"),
        ("cuda", CUDA, "__shared__ float part[32]; __syncthreads();", "staged", "row"),
        ("cuda", CUDA, "v += __shfl_xor_sync(~0u, v, 16);", "direct", "row"),
        (
            "cuda",
            CUDA,
            "__shared__ float left[16][17]; float sum[4][4]; int ty = threadIdx.y;",
            "register-blocked",
            "tile",
        ),
        ("cuda", CUDA, "wmma::mma_sync(c, a, b, c);", "matrix-unit", "element"),
        ("cuda", CUDA, 'asm volatile("{ mma.sync.m16n8k8 }" : "+f"(d));', "matrix-unit", "element"),
        ("cuda", CUDA, "atomicAdd(y, x[i]);", "direct", "persistent"),
        ("python", METAL, "uint i = thread_position_in_grid.x;", "direct", "element"),
        ("python", METAL, "sum = simd_sum(sum);", "direct", "row"),
        (
            "python",
            METAL,
            "threadgroup float t[16]; threadgroup_barrier(mem_none);",
            "staged",
            "row",
        ),
        ("python", METAL, "simdgroup_matrix<float, 8, 8> m;", "matrix-unit", "tile"),
        ("python", METAL, "atomic_fetch_add_explicit(y, 1, relaxed);", "direct", "persistent"),
        ("python", TRITON, "x = tl.load(x_ptr + tl.arange(0, BLOCK))", "direct", "element"),
        ("python", TRITON, "total = tl.zeros((BM, BN)); y = tl.sum(t)", "register-blocked", "row"),
        ("python", TRITON, "row, col = tl.program_id(0), tl.program_id(1)", "direct", "tile"),
        ("python", TRITON, "total = tl.dot(a, b, total)", "matrix-unit", "tile"),
        ("python", TRITON, "step = tl.num_programs(0)", "direct", "persistent"),
        ("python", CARRIED, "V a[4]; a[0] += x[i];", "register-blocked", "row"),
        ("sim", "staging = {}\ntiling = 2\n", "1", "staged", "tile"),
    ],
)  # fmt: skip
def test_signs(language: str, frame: str, inside: str, memory: str, mapping: str) -> None:
    found = describe(frame.format(inside), language)
    assert (found.memory, found.mapping) == (memory, mapping)


@pytest.mark.parametrize(
    ("language", "frame", "inside"),
    [
        ("cpp", CPU, "// std::vector<float> acc[4][4]\n y[0] = x[0];"),
        ("cpp", CPU, "/* _tile_dpbf16ps #pragma omp */ y[0] = x[0];"),
        ("cpp", CPU, 'f("acc[i][j] += 1", R"x(V a[4]; omp_get)x");'),
        ("cuda", CUDA, 'printf("wmma mma.sync gridDim"); // atomicAdd'),
        ("python", METAL, "/* threadgroup float t[4]; */ uint i; // simd_sum"),
        ("python", TRITON, "'tl.dot(a, b)'  # tl.num_programs(0)"),
        ("python", TRITON, '"""Uses tl.dot; and tl.sum(x) = tl.program_id(1)."""'),
    ],
)
def test_names_in_comments_and_strings_do_not_count(language: str, frame: str, inside: str) -> None:
    assert describe(frame.format(inside), language) == Cell("direct", "element")


@pytest.mark.parametrize("language", [*LANGUAGES, "cobol", ""])
@pytest.mark.parametrize("text", ["", "hello", "int main() {}", "def f(): pass", "\0\ud800"])
def test_a_text_that_is_no_kernel_is_of_no_kind(language: str, text: str) -> None:
    assert describe(text, language) == UNKNOWN


def test_kernels_of_the_suite_are_told_apart() -> None:
    languages = {"cpu": "cpp", "torch": "python", "cuda": "cuda", "metal": "python",
                 "triton": "python"}  # fmt: skip
    cells = {}
    for name in ("relu", "softmax", "matmul"):
        for backend, source in core.load(name).solutions.items():
            cells[name, backend] = describe(source, languages[backend])
    assert UNKNOWN not in cells.values()
    for backend in languages:
        assert len({cells[name, backend] for name in ("relu", "softmax", "matmul")}) == 3
        assert cells["softmax", backend].mapping == "row"
        assert cells["matmul", backend].mapping == "tile"
        assert cells["matmul", backend].memory in ("register-blocked", "matrix-unit")
    assert cells["matmul", "torch"] == cells["matmul", "cpu"]


@pytest.mark.parametrize("language", ["cpp", "cuda", "metal", "triton"])
def test_a_recipe_space_covers_more_than_one_cell(language: str) -> None:
    found = set()
    for name in ("relu", "rope"):
        recipe = {**core.load(name).recipe, "language": language}
        for draw in range(40):
            source = recipes.render(recipe, recipes.draw(recipe, random.Random(draw)))
            spoken = language if language in ("cpp", "cuda") else "python"
            found.add(describe(source, spoken))
    assert len(found) > 1
    assert UNKNOWN not in found


# Hostile text. Quadratic patterns would take minutes on the long ones.

PIECES = (
    "/*", "*/", "//", "\n", "\\", '"', "'", '"""', "'''", "#", 'R"(', ')"', "asm(", "__shared__ ",
    "threadgroup ", "[", "]", "a ", "acc[", "+=", "+= ", "V ", "tl.", "kernel", "__global__",
    "@triton.jit", "metal_kernel", "for (", "max(", "=", " ", "\t", "\0", "é", "\ud800",
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60), st.sampled_from(LANGUAGES))
def test_nothing_raises_on_any_text(pieces: list[str], language: str) -> None:
    text = "".join(pieces)
    describe(text, language)
    fingerprint(text, language)


@pytest.mark.parametrize("piece", PIECES)
def test_long_hostile_text_takes_linear_time(piece: str) -> None:
    for language, head in (("cpp", "kernel "), ("cuda", "__global__ "), ("python", "@triton.jit ")):
        text = head + piece * (LIMIT // len(piece))
        describe(text, language)
        fingerprint(text, language)
        assert len("".join(code(text, language))) <= 2 * LIMIT


def test_every_repetition_is_bounded_or_ends_where_it_must() -> None:
    """Repetitions without a bound are what makes a search over a text quadratic."""
    for _, memories, mappings in descriptors._SIGNS.values():
        for _, sign in (*memories, *mappings):
            bare = re.sub(r"\\.|\[[^\]]*\]", "x", sign)
            assert "*" not in bare
            assert "+" not in bare


# Fingerprints


@pytest.mark.parametrize(
    ("language", "one", "other", "same"),
    [
        ("cpp", "int a; // one", "int a;  /* two */\n", True),
        ("cpp", "int a;", "int b;", False),
        ("cpp", 'f("x // y");', 'f("x // z");', False),
        ("cpp", "a /* b */ c", "a c", True),
        ("cuda", "'//' a", "'//' b", False),
        ("python", "x = 1  # one\n", "x = 1\n", True),
        ("python", "x = 'a # b'", "x = 'a # c'", False),
        ("python", "f('ieee')", "f('tf32')", False),
    ],
)
def test_texts_that_differ_in_comments_are_one(
    language: str, one: str, other: str, same: bool
) -> None:
    assert (fingerprint(one, language) == fingerprint(other, language)) is same
    assert fingerprint(one, language) != fingerprint(one, "other")
