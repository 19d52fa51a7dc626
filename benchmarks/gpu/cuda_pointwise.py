# SPDX-License-Identifier: Apache-2.0
"""CUDA kernels of pointwise operators: an expression in float, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.cpp import edit

# Tensors without gaps go 16 bytes at a time, others element by element.
_SOLUTION = """#include <kernelcoder_cuda.h>

__device__ inline float apply(@FLOATS@) { return @EXPR@; }

// 16 bytes: what one thread loads and stores at once.
template <class T>
struct alignas(16) Pack {
  static constexpr int SIZE = 16 / sizeof(T);
  T at[SIZE];
};

template <class T>
__global__ void packed(@POINTERS@, T *y, int64_t n) {
  constexpr int SIZE = Pack<T>::SIZE;
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  const int64_t first = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  for (int64_t i = first; i < n / SIZE; i += step) {
@PACKS@
    Pack<T> result;
    for (int k = 0; k < SIZE; ++k) result.at[k] = T(apply(@PACKED@));
    reinterpret_cast<Pack<T> *>(y)[i] = result;
  }
  for (int64_t i = n / SIZE * SIZE + first; i < n; i += step)
    y[i] = T(apply(@SINGLE@));
}

template <class T>
__global__ void gathered(@POINTERS@, T *y, @LAYOUTS@,
                         int64_t n) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step)
    y[i] = T(apply(@GATHERED@));
}

static bool aligned(const void *p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

extern "C" void kernel(@TENSORS@, DLTensor *y, cudaStream_t stream) {
  const int64_t n = kc::numel(y);
  if (n == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
@DATA@
    T *out = kc::data<T>(y);
    const bool dense = @DENSE@ &&
                       aligned(out);
    const int64_t work = dense ? kc::ceil_div(n, Pack<T>::SIZE) : n;
    const int64_t blocks = kc::ceil_div(work, 256) < 4096 ? kc::ceil_div(work, 256) : 4096;
    if (dense) packed<T><<<blocks, 256, 0, stream>>>(@ARGUMENTS@, out, n);
    else
      gathered<T><<<blocks, 256, 0, stream>>>(
          @ARGUMENTS@, out, @STRIDED@, n);
  });
}
"""
# What wrong kernels are edits of.
_PLAIN = """#include <kernelcoder_cuda.h>

template <class T>
__global__ void pointwise(@POINTERS@, T *y,
                          @LAYOUTS@, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
@VALUES@
  y[i] = T(@EXPR@);
}

extern "C" void kernel(@TENSORS@, DLTensor *y, cudaStream_t stream) {
  const int64_t n = kc::numel(y);
  if (n == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    pointwise<T><<<kc::ceil_div(n, 256), 256, 0, stream>>>(
        @PLAIN_ARGUMENTS@, kc::data<T>(y), @STRIDED@, n);
  });
}
"""


@dataclass(frozen=True, slots=True)
class _Op:
    """``expr`` over floats named like the inputs; ``mistakes``: name -> another expression."""

    expr: str
    mistakes: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("x",)


_OPS: Mapping[str, _Op] = {
    "abs": _Op("fabsf(x)", {"swallows_nan": "x > 0.0f ? x : x < 0.0f ? -x : 0.0f"}),
    "elementwise_add": _Op(
        "a + b", {"adds_in_half": "__half2float(__float2half(a) + __float2half(b))"}, ("a", "b")
    ),
    "elementwise_mul": _Op("a * b", {"squares": "a * a"}, ("a", "b")),
    "exp": _Op("expf(x)", {"base_two": "exp2f(x)", "clamps": "expf(fminf(x, 80.0f))"}),
    "gelu": _Op(
        "0.5f * x * (1.0f + erff(x * 0.70710678f))",
        {"tanh_form": "0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)))"},
    ),
    "log": _Op("logf(x)", {"adds_epsilon": "logf(x + 1e-6f)", "base_two": "log2f(x)"}),
    "relu": _Op(
        "x < 0.0f ? 0.0f : x", {"swallows_nan": "fmaxf(x, 0.0f)", "leaky": "x < 0 ? 0.01f * x : x"}
    ),
    "sigmoid": _Op("1.0f / (1.0f + expf(-x))", {"overflows": "expf(x) / (1.0f + expf(x))"}),
    "silu": _Op("x / (1.0f + expf(-x))", {"overflows": "x * (expf(x) / (1.0f + expf(x)))"}),
    "sqrt": _Op("sqrtf(x)", {"by_reciprocal_root": "x * rsqrtf(x)"}),
    "swiglu": _Op(
        "gate / (1.0f + expf(-gate)) * up",
        {"gates_the_other": "up / (1.0f + expf(-up)) * gate"},
        ("gate", "up"),
    ),
    "tanh": _Op("tanhf(x)", {"overflows": "(expf(2 * x) - 1) / (expf(2 * x) + 1)"}),
}
NAMES = frozenset(_OPS)


def _fill(template: str, name: str) -> str:
    op = _OPS[name]

    def each(pattern: str, joint: str = ", ") -> str:
        return joint.join(pattern.format(n=one) for one in op.inputs)

    marks = {
        "EXPR": op.expr,
        "FLOATS": each("float {n}"),
        "POINTERS": each("const T *{n}_"),
        "LAYOUTS": each("kc::Strided {n}_at"),
        "TENSORS": each("const DLTensor *{n}"),
        "PACKS": each("    const auto {n} = reinterpret_cast<const Pack<T> *>({n}_)[i];", "\n"),
        "PACKED": each("float({n}.at[k])"),
        "SINGLE": each("float({n}_[i])"),
        "GATHERED": each("float({n}_[{n}_at.offset(i)])"),
        "VALUES": each("  const float {n} = float({n}_[{n}_at.offset(i)]);", "\n"),
        "DATA": each("    const T *{n}_ = kc::data<T>({n});", "\n"),
        "DENSE": each("kc::contiguous({n}) && aligned({n}_)", " &&\n" + 23 * " "),
        "ARGUMENTS": each("{n}_"),
        "PLAIN_ARGUMENTS": each("kc::data<T>({n})"),
        "STRIDED": each("kc::strided({n})"),
    }
    for mark, text in marks.items():
        template = template.replace(f"@{mark}@", text)
    return template


def solution(name: str) -> str:
    """A right kernel."""
    return _fill(_SOLUTION, name)


def wrong(name: str) -> dict[str, str]:
    """Two mistakes that every pointwise operator invites, in turn, and those of its formula."""
    op = _OPS[name]
    plain, right = _fill(_PLAIN, name), solution(name)
    first = op.inputs[0]
    gathered = f"{first}_[{first}_at.offset(i)]"
    structural: tuple[tuple[str, str, tuple[str, str]], ...] = (
        ("no_bounds_check", plain, ("  if (i >= n) return;\n", "")),
        ("ignores_strides", plain, (gathered, f"{first}_[i]")),
        ("fixed_grid", plain, ("<<<kc::ceil_div(n, 256), ", "<<<64, ")),
        ("one_past_the_end", plain, ("i >= n", "i > n")),
        ("rounds_the_grid_down", plain, ("kc::ceil_div(n, 256)", "n / 256")),
        ("assumes_alignment", right, ("uintptr_t>(p) % 16 == 0", "uintptr_t>(p) != 0")),
        ("loses_the_tail", right, ("i = n / SIZE * SIZE + first;", "i = n + first;")),
    )
    at = sorted(NAMES).index(name)
    two = [structural[(at + k) % len(structural)] for k in (0, 1)]
    found = {key: edit(base, change) for key, base, change in two}
    return found | {key: edit(plain, (op.expr, expr)) for key, expr in op.mistakes.items()}
