# SPDX-License-Identifier: Apache-2.0
"""Matrix product recipes in CUDA: tiles in shared memory, several outputs per thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import gpu
from kernelcoder.models.recipes.slots import Params, Slot

_ACC = Slot("acc", ("float", "half"), (14, 1), "float")
_PAD = Slot("pad", (0, 1), (3, 7), 1)
_SOURCE = """// y = a b: tiles of both in shared memory, OUTPUTS x OUTPUTS results per thread
#include <kernelcoder_cuda.h>
@CONTIGUOUS@
constexpr int SIDE = @SIDE@, OUTPUTS = @OUTPUTS@, TILE = SIDE * OUTPUTS;
constexpr int DEPTH = @DEPTH@, PAD = @PAD@;
using A = @ACC@;

struct Matrix {
  int64_t row, col;  // strides
};

template <class T>
__global__ void __launch_bounds__(SIDE * SIDE)
matmul(const T *a, const T *b, T *y, Matrix ma, Matrix mb, int64_t M, int64_t N, int64_t K) {
  __shared__ float left[TILE][DEPTH + PAD], right[DEPTH][TILE + PAD];
  const int64_t row = int64_t(blockIdx.x) * TILE, col = int64_t(blockIdx.y) * TILE;
  const int tx = threadIdx.x, ty = threadIdx.y, me = ty * SIDE + tx;
  A sum[OUTPUTS][OUTPUTS];
  for (int p = 0; p < OUTPUTS; ++p)
    for (int q = 0; q < OUTPUTS; ++q) sum[p][q] = A(0.0f);
  for (int64_t k0 = 0; @TERMS@; k0 += DEPTH) {
    for (int e = me; e < TILE * DEPTH; e += SIDE * SIDE) {
      const int64_t i = row + e / DEPTH, ka = k0 + e % DEPTH;
      left[e / DEPTH][e % DEPTH] = i < M && ka < K ? float(a[@AT_A@]) : 0.0f;
      const int64_t kb = k0 + e / TILE, j = col + e % TILE;
      right[e / TILE][e % TILE] = kb < K && j < N ? float(b[@AT_B@]) : 0.0f;
    }
@BEFORE@    for (int k = 0; k < DEPTH; ++k)
      for (int p = 0; p < OUTPUTS; ++p)
        for (int q = 0; q < OUTPUTS; ++q)
          sum[p][q] = A(float(sum[p][q]) + left[ty + p * SIDE][k] * right[k][tx + q * SIDE]);
@AFTER@  }
  for (int p = 0; p < OUTPUTS; ++p)
    for (int q = 0; q < OUTPUTS; ++q) {
      const int64_t i = row + ty + p * SIDE, j = col + tx + q * SIDE;
      @CHECK@y[i * N + j] = T(float(sum[p][q]));
    }
}

extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y, cudaStream_t stream) {
  const int64_t M = a->shape[0], K = a->shape[1], N = b->shape[1];
  if (M == 0 || N == 0) return;
  const dim3 grid(kc::ceil_div(M, TILE), kc::ceil_div(N, TILE)), block(SIDE, SIDE);
  const Matrix ma{a->strides[0], a->strides[1]}, mb{b->strides[0], b->strides[1]};
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    matmul<T><<<grid, block, 0, stream>>>(kc::data<T>(a), kc::data<T>(b), kc::data<T>(y), ma, mb,
                                          M, N, K);
  });
}
"""


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots; the recipe data has nothing but the family."""
    return (
        gpu.SIDE, gpu.OUTPUTS, gpu.DEPTH, _PAD, gpu.LAYOUT, gpu.BARRIERS, gpu.BOUNDS, gpu.TAIL,
        _ACC,
    )  # fmt: skip


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The CUDA file."""
    dense = params["layout"] == "dense"
    wait = "    __syncthreads();\n"
    marks = {
        "CONTIGUOUS": "KC_REQUIRE_CONTIGUOUS\n" if params["layout"] == "copy" else "",
        "SIDE": params["side"],
        "OUTPUTS": params["outputs"],
        "DEPTH": params["depth"],
        "PAD": params["pad"],
        "ACC": "__half" if params["acc"] == "half" else "float",
        "AT_A": "i * K + ka" if dense else "i * ma.row + ka * ma.col",
        "AT_B": "kb * N + j" if dense else "kb * mb.row + j * mb.col",
        "BEFORE": "" if params["barrier"] == "after" else wait,
        "AFTER": "" if params["barrier"] == "before" else wait,
        "CHECK": "if (i < M && j < N) " if params["bounds"] == "checked" else "",
        "TERMS": "k0 < K" if params["tail"] == "checked" else "k0 + DEPTH <= K",
    }
    return gpu.first_line("//", "matmul", params) + gpu.fill(_SOURCE, marks)
