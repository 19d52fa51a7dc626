# SPDX-License-Identifier: Apache-2.0
"""Pointwise recipes in CUDA: one expression over the inputs, element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu, pointwise
from kernelcoder.models.recipes.slots import Params, Slot

_VECTOR = Slot("vector", (1, 2, 4), (5, 4, 5), 4, ordered=True)
_ALIGN = Slot("align", ("any", "assumed"), (12, 1), "any")
_LOOP = Slot("loop", ("stride", "each", "unchecked"), (8, 6, 1), "stride")
_GRID = Slot("grid", ("cover", "fixed"), (10, 3), "cover")
NAMES = {
    "exp": "expf", "log": "logf", "sqrt": "sqrtf", "tanh": "tanhf", "abs": "fabsf", "erf": "erff",
    "max": "larger", "min": "smaller",
}  # fmt: skip
_FUNCTIONS = {
    "sigmoid": "__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }\n",
    "max": "__device__ inline float larger(float a, float b) {{ return {}; }}\n",
    "min": "__device__ inline float smaller(float a, float b) {{ return {}; }}\n",
}
_NAN = {
    ("max", "propagate"): "isnan(a) || a > b ? a : b",
    ("min", "propagate"): "isnan(a) || a < b ? a : b",
    ("max", "swallow"): "fmaxf(a, b)",
    ("min", "swallow"): "fminf(a, b)",
}
_LOOPS = {
    "stride": "for (int64_t i = first; i < work; i += step)",
    "each": "for (int64_t i = first, e = 0; e < EACH && i < work; ++e, i += step)",
    "unchecked": "for (int64_t i = first, e = 0; e < EACH; ++e, i += step)",
}
_SOURCE = """// y = @TITLE@, element by element
#include <kernelcoder_cuda.h>
@CONTIGUOUS@
constexpr int THREADS = @THREADS@, EACH = @EACH@, VECTOR = @VECTOR@;

@FUNCTIONS@__device__ inline float evaluate(@FLOATS@) {
  return @EXPR@;
}

// VECTOR elements in one access.
template <class T>
struct alignas(sizeof(T) * VECTOR) Pack {
  T at[VECTOR];
};

template <class T>
__global__ void __launch_bounds__(THREADS)
packed(@POINTERS@, T *y, int64_t n) {
  const int64_t step = int64_t(gridDim.x) * THREADS, work = n / VECTOR;
  const int64_t first = int64_t(blockIdx.x) * THREADS + threadIdx.x;
  @LOOP@ {
@PACKS@
    Pack<T> result;
    for (int k = 0; k < VECTOR; ++k) result.at[k] = T(evaluate(@PACKED@));
    reinterpret_cast<Pack<T> *>(y)[i] = result;
  }
  for (int64_t i = work * VECTOR + first; i < n; i += step)
    y[i] = T(evaluate(@SINGLE@));
}

template <class T>
__global__ void __launch_bounds__(THREADS)
gathered(@POINTERS@, T *y,
         @LAYOUTS@, int64_t work) {
  const int64_t step = int64_t(gridDim.x) * THREADS;
  const int64_t first = int64_t(blockIdx.x) * THREADS + threadIdx.x;
  @LOOP@
    y[i] = T(evaluate(@GATHERED@));
}

extern "C" void kernel(@TENSORS@, DLTensor *y, cudaStream_t stream) {
  const int64_t n = kc::numel(y);
  if (n == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    const auto fits = [](const void *p) {
      return @FITS@;
    };
    const bool dense = fits(kc::data<T>(y)) && @DENSE@;
    const int64_t work = dense ? n / VECTOR + 1 : n;
    const int64_t blocks = @BLOCKS@;
    if (dense)
      packed<T><<<blocks, THREADS, 0, stream>>>(@DATA@, kc::data<T>(y), n);
    else
      gathered<T><<<blocks, THREADS, 0, stream>>>(
          @DATA@, kc::data<T>(y), @STRIDED@, n);
  });
}
"""


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots of this expression."""
    nan = [gpu.NAN] if set(pointwise.tokens(recipe)) & {"max", "min"} else []
    return (gpu.THREADS, gpu.EACH, _VECTOR, _ALIGN, _LOOP, _GRID, gpu.LAYOUT, *nan)


def _functions(recipe: Mapping[str, Any], params: Params) -> str:
    used = set(pointwise.tokens(recipe))
    nan = str(params.get("nan", "propagate"))
    return "".join(
        text.format(_NAN[name, nan]) if (name, nan) in _NAN else text
        for name, text in _FUNCTIONS.items()
        if name in used
    )


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The CUDA file."""
    names = [str(name) for name in recipe["inputs"]]

    def each(pattern: str, joint: str = ", ") -> str:
        return joint.join(pattern.format(n=name) for name in names)

    fits = "reinterpret_cast<uintptr_t>(p) % sizeof(Pack<T>) == 0"
    cover = "kc::ceil_div(work, int64_t(THREADS) * EACH)"
    ignored = params["layout"] == "dense"
    marks = {
        "TITLE": recipe["expr"],
        "CONTIGUOUS": "KC_REQUIRE_CONTIGUOUS\n" if params["layout"] == "copy" else "",
        "FUNCTIONS": _functions(recipe, params),
        "EXPR": gpu.renamed(str(recipe["expr"]), NAMES),
        "FLOATS": each("float {n}"),
        "POINTERS": each("const T *{n}_"),
        "LAYOUTS": each("kc::Strided {n}_at"),
        "TENSORS": each("const DLTensor *{n}"),
        "PACKS": each("    const auto {n} = reinterpret_cast<const Pack<T> *>({n}_)[i];", "\n"),
        "PACKED": each("float({n}.at[k])"),
        "SINGLE": each("float({n}_[i])"),
        "GATHERED": each("float({n}_[i])" if ignored else "float({n}_[{n}_at.offset(i)])"),
        "LOOP": _LOOPS[str(params["loop"])],
        "FITS": "p != nullptr" if params["align"] == "assumed" else fits,
        "DENSE": each("kc::contiguous({n}) && fits(kc::data<T>({n}))", " &&\n                 "),
        "BLOCKS": "64" if params["grid"] == "fixed" else cover,
        "DATA": each("kc::data<T>({n})"),
        "STRIDED": each("kc::strided({n})"),
        "THREADS": params["threads"],
        "EACH": params["each"],
        "VECTOR": params["vector"],
    }
    return gpu.first_line("//", "pointwise", params) + gpu.fill(_SOURCE, marks)
