# SPDX-License-Identifier: Apache-2.0
"""CUDA kernel of the matrix product: tiles in shared memory, a few outputs per thread."""

from __future__ import annotations

from benchmarks.cpp import edits

_SOURCE = """#include <kernelcoder_cuda.h>

// A block makes TILE x TILE outputs, a thread EACH x EACH of them, SIDE apart. Both inputs pass
// through shared memory in float; the padding keeps columns of `left` in different banks.
constexpr int SIDE = 16, EACH = 2, TILE = SIDE * EACH, DEPTH = 16;

struct Matrix {
  int64_t row, col;  // strides
};

template <class T>
__global__ void __launch_bounds__(SIDE * SIDE)
matmul(const T *a, const T *b, T *y, Matrix ma, Matrix mb, int64_t M, int64_t N, int64_t K) {
  __shared__ float left[TILE][DEPTH + 1], right[DEPTH][TILE];
  const int64_t row = int64_t(blockIdx.x) * TILE, col = int64_t(blockIdx.y) * TILE;
  const int tx = threadIdx.x, ty = threadIdx.y;
  float sum[EACH][EACH] = {};
  for (int64_t k0 = 0; k0 < K; k0 += DEPTH) {
    for (int e = 0; e < EACH; ++e) {
      const int64_t i = row + ty + e * SIDE, j = col + tx + e * SIDE, ka = k0 + tx, kb = k0 + ty;
      left[ty + e * SIDE][tx] = i < M && ka < K ? float(a[i * ma.row + ka * ma.col]) : 0.0f;
      right[ty][tx + e * SIDE] = kb < K && j < N ? float(b[kb * mb.row + j * mb.col]) : 0.0f;
    }
    __syncthreads();
    for (int k = 0; k < DEPTH; ++k)
      for (int p = 0; p < EACH; ++p)
        for (int q = 0; q < EACH; ++q)
          sum[p][q] += left[ty + p * SIDE][k] * right[k][tx + q * SIDE];
    __syncthreads();
  }
  for (int p = 0; p < EACH; ++p)
    for (int q = 0; q < EACH; ++q) {
      const int64_t i = row + ty + p * SIDE, j = col + tx + q * SIDE;
      if (i < M && j < N) y[i * N + j] = T(sum[p][q]);
    }
}

extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y, cudaStream_t stream) {
  const int64_t M = a->shape[0], K = a->shape[1], N = b->shape[1];
  if (M == 0 || N == 0) return;  // without terms (K = 0) every output is 0
  const dim3 grid(kc::ceil_div(M, TILE), kc::ceil_div(N, TILE)), block(SIDE, SIDE);
  const Matrix ma{a->strides[0], a->strides[1]}, mb{b->strides[0], b->strides[1]};
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    matmul<T><<<grid, block, 0, stream>>>(kc::data<T>(a), kc::data<T>(b), kc::data<T>(y), ma, mb,
                                          M, N, K);
  });
}
"""
NAMES = frozenset({"matmul"})


def solution(name: str) -> str:
    """A right kernel."""
    return _SOURCE


def wrong(name: str) -> dict[str, str]:
    """Mistakes of tiling, of the loop over K, and of precision."""
    return edits(
        _SOURCE,
        {
            "no_barrier_after_loading": (
                ("    }\n    __syncthreads();\n    for (int k", "    }\n    for (int k"),
            ),
            "no_barrier_before_the_next_tile": (
                ("[tx + q * SIDE];\n    __syncthreads();", "[tx + q * SIDE];"),
            ),
            "no_zeros_past_k": (("i < M && ka < K ?", "i < M ?"), ("kb < K && j < N ?", "j < N ?")),
            "no_bounds_check": (("if (i < M && j < N) y", "y"),),
            "rounds_the_grid_down": (("kc::ceil_div(M, TILE), kc::ceil_div(N, TILE)",
                                      "M / TILE, N / TILE"),),
            "loses_the_k_tail": (("k0 < K;", "k0 + DEPTH <= K;"),),
            "half_accumulator": (
                ("float sum[EACH][EACH] = {};", "__half sum[EACH][EACH] = {};"),
                ("sum[p][q] += left[ty + p * SIDE][k] * right[k][tx + q * SIDE];",
                 "sum[p][q] = __half(float(sum[p][q]) +\n"
                 "              left[ty + p * SIDE][k] * right[k][tx + q * SIDE]);"),
                ("T(sum[p][q])", "T(float(sum[p][q]))"),
            ),
            "ignores_strides": (
                ("i * ma.row + ka * ma.col", "i * K + ka"),
                ("kb * mb.row + j * mb.col", "kb * N + j"),
            ),
            "transposes_the_block": (("left[ty + e * SIDE][tx] =", "left[tx + e * SIDE][ty] ="),),
        },
    )  # fmt: skip
