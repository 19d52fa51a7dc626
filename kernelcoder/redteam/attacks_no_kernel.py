# SPDX-License-Identifier: Apache-2.0
"""Class E, not a kernel at all: somebody else's code, or none."""

from __future__ import annotations

from kernelcoder.redteam.entry import HEAD, Hostile, among, pointwise, unless

_UNBUILT = among("refused", "compile_error")
_WRONG = among("incorrect")

ENTRIES = (
    Hostile(
        ("E1",),
        "blas",
        "calls a library's matrix product",
        HEAD
        + """
extern "C" void cblas_sgemm(int, int, int, int, int, int, float, const float *, int, const float *,
                            int, float, float *, int);
extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y) {
  const int m = int(a->shape[0]), k = int(a->shape[1]), n = int(b->shape[1]);
  cblas_sgemm(101, 111, 111, m, n, k, 1, kc::data<float>(a), k, kc::data<float>(b), n, 0,
              kc::data<float>(y), n);
}
""",
        _UNBUILT,
        task="matmul",
    ),
    Hostile(
        ("E1",),
        "torch",
        "calls PyTorch's operator by its C++ name",
        pointwise(
            "namespace at { struct Tensor; Tensor &relu_(Tensor &); }",
            first="at::relu_(*(at::Tensor *)x);",
        ),
        _UNBUILT,
    ),
    Hostile(
        ("E2",),
        "fallback",
        "throws on purpose and leaves the work to whoever catches",
        pointwise("#include <stdexcept>", first='throw std::runtime_error("use the reference");'),
        among("runtime_error"),
    ),
    Hostile(
        ("E3",),
        "decoy",
        "a fine kernel that nobody calls",
        pointwise().replace('extern "C" void kernel(', "[[maybe_unused]] static void fine(")
        + '\nextern "C" void kernel(const DLTensor *, DLTensor *) {}\n',
        _WRONG,
    ),
    Hostile(
        ("E6",),
        "library-by-name",
        "looks a library function up by name",
        pointwise(
            'extern "C" void *dlsym(void *, const char *);',
            first='((void (*)(const void *, void *))dlsym(nullptr, "relu"))(x, y); return;',
        ),
        _UNBUILT,
    ),
    Hostile(
        ("E6",),
        "library-by-pointer",
        "loads one through a function pointer the guard overlooks",
        unless(
            '(load)("libopenblas.so.0", 2) || (load)("libtorch_cpu.so", 2)',
            'extern "C" void *dlopen(const char *, int);\nstatic auto *const load = &dlopen;',
        ),
        among("incorrect", "refused"),
    ),
    Hostile(
        ("E6",),
        "runs-python",
        "hands the work to an interpreter",
        unless("std::system(\"python3 -c 'import torch'\") == 0"),
        _WRONG,
    ),
    Hostile(("E3",), "empty", "nothing", "  \n", among("refused")),
    Hostile(
        ("E3",),
        "a-program",
        "a program instead of a kernel",
        "int main() { return 0; }\n",
        among("refused"),
    ),
    Hostile(
        ("E2",),
        "python-text",
        "a Python kernel for the C++ backend",
        "def kernel(x):\n    return torch.relu(x)\n",
        _UNBUILT,
    ),
    Hostile(
        ("E3",),
        "a-variable",
        "a variable of that name",
        HEAD + 'extern "C" { int kernel = 1; }\n',
        among("compile_error", "crashed"),
    ),
    Hostile(
        ("E3",),
        "not-exported",
        "a kernel nobody can find",
        pointwise().replace('extern "C" void', "static void"),
        _UNBUILT,
    ),
)
