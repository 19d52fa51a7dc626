# SPDX-License-Identifier: Apache-2.0
"""CUDA's own syntax, token by token: what becomes of it, and that lines stay where they were."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernelcoder.backends.simt.cuda_rewrite import Parameter, rewrite
from kernelcoder.backends.simt.rewrite_tokens import Script, tokenize


def flat(text: str) -> str:
    return " ".join(text.split())


OPEN = "[&](auto &&...simt_a) {"
LAUNCHES = {
    "k<<<1, 2>>>(a, b);": f'::simt::launch("k", {OPEN} k(simt_a...); }}, 1, 2) (a, b);',
    "k<<<g, b, 0, s>>>();": f'::simt::launch("k", {OPEN} k(simt_a...); }}, g, b, 0, s) ();',
    "n::k<T, 4><<<g, b>>>(a);": (
        f'::simt::launch("k", {OPEN} n::k<T, 4>(simt_a...); }}, g, b) (a);'
    ),
    "k<A<B<int>>><<<g, sizeof(C<D<int>>)>>>(a);": (
        f'::simt::launch("k", {OPEN} k<A<B<int>>>(simt_a...); }}, g, sizeof(C<D<int>>)) (a);'
    ),
    "if (x) (*f)<<<g, b>>>(a);": (
        f'if (x) ::simt::launch("f", {OPEN} (*f)(simt_a...); }}, g, b) (a);'
    ),
    "fs[i]<<<g, b>>>(a);": f'::simt::launch("fs", {OPEN} fs[i](simt_a...); }}, g, b) (a);',
    "o->template k<3><<<g, b>>>(a);": (
        f'::simt::launch("k", {OPEN} o->template k<3>(simt_a...); }}, g, b) (a);'
    ),
    "k<(2 > 1)><<<dim3(1, 2), b>>>(x->y);": (
        f'::simt::launch("k", {OPEN} k<(2 > 1)>(simt_a...); }}, dim3(1, 2), b) (x->y);'
    ),
    "return ::n::k<<<g, b>>>(a);": (
        f'return ::simt::launch("k", {OPEN} ::n::k(simt_a...); }}, g, b) (a);'
    ),
}


@pytest.mark.parametrize("source", LAUNCHES)
def test_a_launch_becomes_a_call(source: str) -> None:
    assert flat(rewrite(source).text) == LAUNCHES[source]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("k<<<1, 2>>>;", "a launch reads"),
        ("k<<<1, 2(a);", "a launch reads"),
        ("+<<<1, 2>>>(a);", "a launch reads"),
        ("__global__ void k() {}\nvoid f() { k(); }", "line 2: `k` is a __global__ function"),
        ("template <class T>\n__global__ void k(T *) {}\nvoid f() { k<int>(0); }", "line 3: `k`"),
        ("float f();\nfloat f() { return 1; }\n__device__ float g() {\n return f(); }", "line 4"),
        ("__device__ float f() { return 1; }\nfloat g() { return f(); }", "line 2"),
    ],
)
def test_what_nvcc_refuses_is_named_with_its_line(source: str, words: str) -> None:
    assert words in rewrite(source).problem


@pytest.mark.parametrize(
    "source",
    [
        "#define DEV __device__ inline\nDEV int f() { return 1; }\n__global__ void k() { f(); }",
        "__host__ __device__ int f() { return 1; }\nint g() { return f(); }",
        "constexpr int f() { return 1; }\n__global__ void k() { int a[f()]; }",
        "struct S { int f() { return 1; } };\n__device__ int f() { return 2; }\n"
        "int g(S s) { return s.f(); }",
        "__global__ void k(int *k) { *k = 1; }",
        '// k<<<broken\n/* <<< */ const char *s = "<<<";',
        "template __global__ void k<int>(int *);",
    ],
)
def test_what_nvcc_takes_is_taken(source: str) -> None:
    assert rewrite(source).problem == ""


SHARED = {
    "__shared__ float s[32];": ("__shared__ float s[32];", ("s",)),
    "static __shared__ int a[2][3], b;": ("__shared__ int a[2][3], b;", ("a", "b")),
    "__shared__ alignas(16) char c[4];": ("__shared__ __align__(16) char c[4];", ("c",)),
    "volatile __shared__ Vec<float, 4> v[8];": ("volatile __shared__ Vec<float, 4> v[8];", ("v",)),
    "extern __shared__ float d[];": ("float *d = ::simt::dynamic_shared<float>() ;", ("d",)),
    "extern __shared__ __align__(16) volatile unsigned char d[];": (
        "volatile unsigned char *d = ::simt::dynamic_shared<volatile unsigned char>() ;", ("d",)
    ),
}  # fmt: skip


@pytest.mark.parametrize("line", SHARED)
def test_shared_memory_within_a_kernel(line: str) -> None:
    found = rewrite(f"__global__ void k() {{ {line} }}")
    text, names = SHARED[line]
    assert flat(found.text) == f"inline void k() {{ {text} }}"
    assert found.shared == names


def test_dynamic_shared_memory_of_the_whole_file_but_where_it_is_redeclared() -> None:
    found = rewrite(
        "extern __shared__ float s[];\n"
        "__global__ void k() { s[0] = a.s; }\n"
        "void h(float s) { s = 1; }\n"
    )
    place = "(::simt::dynamic_shared<float>())"
    assert f"{{ {place}[0] = a.s; }}" in found.text
    assert "void h(float s) { s = 1; }" in found.text


def test_the_threads_place_but_not_variables_of_that_name() -> None:
    found = rewrite(
        "__global__ void k() { f(threadIdx.x + blockDim.y); }\n"
        "void h() { dim3 blockDim(3); k<<<1, blockDim>>>(); }"
    )
    assert "f((simt_tls.tid).x + (simt_tls.bdim).y)" in found.text
    assert "dim3 blockDim(3);" in found.text and ", 1, blockDim)" in found.text


def test_variables_of_the_device_stay_in_the_file() -> None:
    text = (
        "__constant__ float w[4];\n__device__ int gamma = 1;\n"
        "__device__ int f(int) { return 1; }\n__device__ __constant__ float v;"
    )
    found = rewrite(text).text.split("\n")
    assert found[:2] == ["static float w[4];", "static int gamma = 1;"]
    assert "static" not in found[2] and found[3].count("static") == 1


def test_the_entry_gets_another_name_and_its_parameters_are_read() -> None:
    found = rewrite(
        "__global__ void kernel(float *p) {}\n"
        'extern "C" {\n'
        "void kernel(const DLTensor *x, DLTensor *, double eps, cudaStream_t stream) {\n"
        "  kernel<<<1, 1, 0, stream>>>((float *)x->data);\n} }\n"
    )
    assert found.entry == (
        Parameter("x", True), Parameter("", True), Parameter("eps", False),
        Parameter("stream", False),
    )  # fmt: skip
    assert "void simt_kernel(const" in found.text and found.kernels == ("kernel",)
    assert rewrite("void kernel(const DLTensor *x) {}").entry is None


def test_kernels_that_nothing_mentions_are_told_apart() -> None:
    found = rewrite(
        "__global__ void a() {}\n__global__ void b();\n__global__ void c() {}\nint x = sizeof(c);"
    )
    assert found.kernels == ("a", "c") and found.used == ("c",)


PIECES = st.sampled_from(
    ["k", "<<<", ">>>", "<", ">", "(", ")", "{", "}", "[", "]", ";", ",", "\n", "\\\n", " ", "//",
     "/*", "*/", '"', "'", "#define X", "__shared__", "extern", "__global__", "void", "kernel",
     'extern "C"', "threadIdx", 'R"(', "1.0f", "::", "->", "template", "float s[]", "__device__"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join))
@settings(max_examples=300, deadline=None)
def test_any_text_keeps_its_lines(source: str) -> None:
    assert "".join(token.text for token in tokenize(source)) == source
    assert Script(source).render() == source
    assert rewrite(source).text.count("\n") == source.count("\n")


def test_lines_of_a_long_launch_stay() -> None:
    source = "a\nk<T,\n  3>\n <<<1,\n 2>>>\n (x,\n y)\n;\nlast"
    text = rewrite(source).text
    assert text.split("\n")[-1] == "last" and text.count("\n") == source.count("\n")
    macro = "#define GO(x) \\\n  k<<<1, \\\n  2>>>(x, \\\n  1)\nlast"
    lines = rewrite(macro).text.split("\n")
    assert lines[-1] == "last" and all(line.endswith("\\") for line in lines[:3])


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        "extern __shared__ float t[];" * 9000, 'extern"C"void kernel(' * 11000, "a><<<" * 50000,
        "void f(){float t;}" * 14000 + "extern __shared__ float t[];", "#define a\\\n" * 20000,
        "__device__ float f(){}" * 9000 + "f<" * 20000, "(" * 200000 + "<<<",
    ],
    ids=["dynamic", "entry", "launch", "redeclared", "define", "device", "brackets"],
)  # fmt: skip
def test_hostile_text_takes_linear_time(source: str) -> None:
    # What is quadratic here takes hours.
    assert rewrite(source[: 256 * 1024]).text.count("\n") == source[: 256 * 1024].count("\n")
