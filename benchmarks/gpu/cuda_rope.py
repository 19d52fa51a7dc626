# SPDX-License-Identifier: Apache-2.0
"""CUDA kernel of the rotary embedding: a thread turns one pair in every batch."""

from __future__ import annotations

from benchmarks.cpp import edits

_SOURCE = """#include <kernelcoder_cuda.h>

struct Layout {
  int64_t batch, seq, half, batch_step, seq_step, step;
};

// The angle depends on position and frequency alone, so a thread has one of each and goes through
// the batches. In double, as a float angle is off by 1e-4 a few thousand positions on.
template <class T>
__global__ void rope(const T *x, T *y, Layout in, double base) {
  const int64_t pair = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (pair >= in.seq * in.half) return;
  const int64_t s = pair / in.half, i = pair % in.half;
  double sine, cosine;
  sincos(double(s) * pow(base, -double(i) / double(in.half)), &sine, &cosine);
  const float c = float(cosine), t = float(sine);
  const int64_t i1 = i, i2 = in.half + i;
  for (int64_t b = blockIdx.y; b < in.batch; b += gridDim.y) {
    const T *from = x + b * in.batch_step + s * in.seq_step;
    T *to = y + (b * in.seq + s) * 2 * in.half;
    const float first = float(from[i1 * in.step]), second = float(from[i2 * in.step]);
    to[i1] = T(first * c - second * t);
    to[i2] = T(second * c + first * t);
  }
}

extern "C" void kernel(const DLTensor *x, DLTensor *y, double base, cudaStream_t stream) {
  if (kc::numel(y) == 0) return;
  const Layout in{x->shape[0],   x->shape[1],   x->shape[2] / 2,
                  x->strides[0], x->strides[1], x->strides[2]};
  const dim3 grid(kc::ceil_div(in.seq * in.half, 256), in.batch < 8 ? in.batch : 8);
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    rope<T><<<grid, 256, 0, stream>>>(kc::data<T>(x), kc::data<T>(y), in, base);
  });
}
"""
NAMES = frozenset({"rope"})


def solution(name: str) -> str:
    """A right kernel."""
    return _SOURCE


def wrong(name: str) -> dict[str, str]:
    """Mistakes of pairing, of the angle, and of the launch."""
    return edits(
        _SOURCE,
        {
            "interleaved": (("i1 = i, i2 = in.half + i", "i1 = 2 * i, i2 = 2 * i + 1"),),
            "turns_backwards": (("t = float(sine)", "t = -float(sine)"),),
            "ignores_base": (("pow(base,", "pow(10000.0,"),),
            "angle_in_half": (
                ("sincos(double(s)", "sincos(float(__half(float(double(s)"),
                ("double(in.half)), &sine", "double(in.half))))), &sine"),
            ),
            "no_bounds_check": (("  if (pair >= in.seq * in.half) return;\n", ""),),
            "fixed_grid": (("grid(kc::ceil_div(in.seq * in.half, 256), ", "grid(4, "),),
            "first_batch_only": (("b = blockIdx.y; b < in.batch; b += gridDim.y",
                                  "b = 0; b < 1; ++b"),),
            "in_place": (("    to[i2] = T(second * c + first * t);",
                          "    to[i2] = T(second * c + float(to[i1]) * t);"),),
            "ignores_strides": (
                ("b * in.batch_step + s * in.seq_step", "(b * in.seq + s) * 2 * in.half"),
                (" * in.step]", "]"),
            ),
        },
    )  # fmt: skip
