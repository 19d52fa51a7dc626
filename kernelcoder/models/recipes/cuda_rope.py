# SPDX-License-Identifier: Apache-2.0
"""Rotary position embedding recipes in CUDA: x[batch, seq, dim], halves paired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu
from kernelcoder.models.recipes.slots import Params, Slot

_ANGLES = Slot("angles", ("double", "mixed", "half"), (7, 4, 1), "double")
_SINCOS = {
    "double": """  double sine, cosine;
  sincos(double(s) * pow(base, -double(i) / double(in.half)), &sine, &cosine);
  const float c = float(cosine), t = float(sine);
""",
    "mixed": """  float t, c;  // the frequency in double, the rest in float
  sincosf(float(s) * float(pow(base, -double(i) / double(in.half))), &t, &c);
""",
    "half": """  float t, c;
  sincosf(float(__half(float(s) * powf(float(base), -float(i) / float(in.half)))), &t, &c);
""",
}
_SOURCE = """// pairs (x[i], x[i + dim/2]) turned by position / base^(2i/dim)
#include <kernelcoder_cuda.h>
@CONTIGUOUS@
constexpr int THREADS = @THREADS@;

struct Layout {
  int64_t batch, seq, half, batch_step, seq_step, step;
};

template <class T>
__global__ void __launch_bounds__(THREADS) rope(const T *x, T *y, Layout in, double base) {
  const int64_t pair = int64_t(blockIdx.x) * THREADS + threadIdx.x;
@CHECK@  const int64_t s = pair / in.half, i = pair % in.half;
@SINCOS@  const int64_t i1 = @FIRST@, i2 = @SECOND@;
  for (int64_t b = @BATCH@; b < in.batch; b += @BATCHES@) {
    const T *from = x + @ROW@;
    T *to = y + (b * in.seq + s) * 2 * in.half;
    const float first = float(from[@AT1@]), second = float(from[@AT2@]);
    to[i1] = T(first * c - second * t);
    to[i2] = T(second * c + first * t);
  }
}

extern "C" void kernel(const DLTensor *x, DLTensor *y, double base, cudaStream_t stream) {
  if (kc::numel(y) == 0) return;
  const Layout in{x->shape[0],   x->shape[1],   x->shape[2] / 2,
                  x->strides[0], x->strides[1], x->strides[2]};
  const dim3 grid(kc::ceil_div(in.seq * in.half, THREADS), @GRID@);
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    rope<T><<<grid, THREADS, 0, stream>>>(kc::data<T>(x), kc::data<T>(y), in, base);
  });
}
"""


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots; the recipe data has nothing but the family."""
    return (gpu.THREADS, gpu.LAYOUT, gpu.BATCHES, gpu.TAIL, _ANGLES, gpu.PAIRING)


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The CUDA file."""
    dense, split = params["layout"] == "dense", params["pairing"] == "split"
    loop = params["batches"] == "loop"
    checked = params["tail"] == "checked"
    marks = {
        "CONTIGUOUS": "KC_REQUIRE_CONTIGUOUS\n" if params["layout"] == "copy" else "",
        "THREADS": params["threads"],
        "CHECK": "  if (pair >= in.seq * in.half) return;\n" if checked else "",
        "SINCOS": _SINCOS[str(params["angles"])],
        "FIRST": "i" if split else "2 * i",
        "SECOND": "in.half + i" if split else "2 * i + 1",
        "BATCH": "0" if loop else "blockIdx.y",
        "BATCHES": "1" if loop else "gridDim.y",
        "GRID": "1" if loop else "in.batch < 65535 ? in.batch : 65535",
        "ROW": "(b * in.seq + s) * 2 * in.half" if dense else "b * in.batch_step + s * in.seq_step",
        "AT1": "i1" if dense else "i1 * in.step",
        "AT2": "i2" if dense else "i2 * in.step",
    }
    return gpu.first_line("//", "rope", params) + gpu.fill(_SOURCE, marks)
