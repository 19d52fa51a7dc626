# SPDX-License-Identifier: Apache-2.0
"""Matrix product recipes: y[M, N] = a[M, K] b[K, N]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernelcoder.models.recipes import frame, slots
from kernelcoder.models.recipes.slots import Params, Slot

_ALGORITHM = Slot("algorithm", ("dot", "axpy", "tiled"), (1, 2, 9), "tiled")
_ROWS = Slot("tile_m", (1, 2, 4, 6, 8, 12), (1, 2, 4, 4, 4, 3), 4, ordered=True)
_VECTORS = Slot("tile_n", (1, 2, 3, 4), (3, 5, 3, 2), 2, ordered=True)
_DEPTH = Slot("tile_k", (32, 64, 128, 256, 512), (1, 2, 4, 5, 3), 256, ordered=True)
_PACK = Slot("pack", ("none", "b", "both"), (4, 4, 4), "none", ordered=True)
_ORDER = Slot("order", ("rows", "columns"), (1, 1), "columns")
_ACC = Slot("acc", ("float", "double", "element"), (9, 2, 2), "double")
_LANES = Slot("lanes", (4, 8, 16), (2, 5, 7), 8, ordered=True)

_MATRIX = """
// A matrix as floats: in place where its rows are floats in a row, else converted.
struct Matrix {
  const float *p;
  int64_t pitch;
};
template <class T>
Matrix as_floats(const DLTensor *t, std::vector<float> &buffer) {
  const int64_t rows = t->shape[0], cols = t->shape[1];
  const int64_t pitch = @PITCH@, step = @STEP@;
  if constexpr (std::is_same_v<T, float>)
    if (step == 1) return {kc::data<T>(t), pitch};
  buffer.resize(rows * cols);
  for (int64_t r = 0; r < rows; ++r)
    kc::load(kc::data<T>(t) + r * pitch, step, cols, buffer.data() + r * cols);
  return {buffer.data(), cols};
}
"""
_DOT = """
// b is turned over once, then every output is the product of two rows.
template <class Sum>
Sum product(const float *p, const float *q, int64_t K) {
  if constexpr (std::is_same_v<Sum, float>) {
    V acc[2] = {};
    int64_t k = 0;
    for (; k + 2 * W <= K; k += 2 * W) {
      acc[0] += load(p + k) * load(q + k);
      acc[1] += load(p + k + W) * load(q + k + W);
    }
    acc[0] += acc[1];
    float sum = 0.0f;
    for (int l = 0; l < W; ++l) sum += acc[0][l];
    for (; @TAIL@k < K; ++k) sum += p[k] * q[k];
    return sum;
  }
  Sum sum = Sum(0.0f);
  for (int64_t k = 0; k < K; ++k) sum = Sum(Wide<Sum>(sum) + Wide<Sum>(p[k]) * q[k]);
  return sum;
}
template <class Sum>
void multiply(Matrix a, Matrix b, Sum *c, int64_t M, int64_t N, int64_t K) {
  std::vector<float> turned(N * K);
  for (int64_t k = 0; k < K; ++k)
    for (int64_t j = 0; j < N; ++j) turned[j * K + k] = b.p[k * b.pitch + j];
@PRAGMA@  for (int64_t i = 0; i < M; ++i)
    for (int64_t j = 0; j < N; ++j)
      c[i * N + j] = product<Sum>(a.p + i * a.pitch, turned.data() + j * K, K);
}
"""
_AXPY = """
// Each row of c is a sum of rows of b, in order of memory.
template <class Sum>
void multiply(Matrix a, Matrix b, Sum *c, int64_t M, int64_t N, int64_t K) {
@PRAGMA@  for (int64_t i = 0; i < M; ++i) {
    Sum *row = c + i * N;
    std::fill(row, row + N, Sum(0.0f));
    for (int64_t k = 0; k < K; ++k) {
      const Wide<Sum> factor = a.p[i * a.pitch + k];
      const float *from = b.p + k * b.pitch;
#pragma GCC ivdep
      for (int64_t j = 0; j < N; ++j) row[j] = Sum(Wide<Sum>(row[j]) + factor * from[j]);
    }
  }
}
"""
_TILED = """
constexpr int MR = @MR@, NV = @NV@, NR = NV * W;  // a tile of c: MR rows of NV vectors
constexpr int64_t KC = @KC@;

// The tile over `depth` steps of k, all of it in registers; then handed to `out`.
template <class Out>
inline void tile(int64_t depth, const float *a, int64_t a_row, int64_t a_k, const float *b,
                 int64_t b_k, Out out) {
  V acc[MR][NV] = {};
  for (int64_t k = 0; k < depth; ++k) {
    V row[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) row[v] = load(b + k * b_k + v * W);
#pragma GCC unroll 12
    for (int r = 0; r < MR; ++r) {
      const V factor = splat(a[r * a_row + k * a_k]);
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) acc[r][v] += factor * row[v];
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < MR; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) out(r, v, acc[r][v]);
}

// Adds a tile to c (or sets c, for the first panel of k); only rows x cols of it are inside.
template <class Sum>
inline void add_tile(int64_t depth, const float *a, int64_t a_row, int64_t a_k, const float *b,
                     int64_t b_k, Sum *c, int64_t pitch, int64_t rows, int64_t cols, bool first) {
  if constexpr (std::is_same_v<Sum, float>) {
    if (rows == MR && cols == NR) {
      tile(depth, a, a_row, a_k, b, b_k, [&](int r, int v, V sum) {
        float *p = c + r * pitch + v * W;
        V old;
        std::memcpy(&old, p, sizeof old);
        sum = first ? sum : sum + old;
        std::memcpy(p, &sum, sizeof sum);
      });
      return;
    }
  }
  alignas(64) float local[MR][NR];
  tile(depth, a, a_row, a_k, b, b_k, [&](int r, int v, V sum) {
    std::memcpy(&local[r][v * W], &sum, sizeof sum);
  });
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < cols; ++j) {
      Sum &to = c[r * pitch + j];
      to = first ? Sum(local[r][j]) : Sum(Wide<Sum>(to) + local[r][j]);
    }
}

// One panel, k-major and padded with zeros to WIDTH; `across` and `along` are strides.
template <int WIDTH>
inline void pack(const float *p, int64_t across, int64_t along, int64_t count, int64_t depth,
                 float *to) {
  if (count == WIDTH && across == 1) {
    for (int64_t k = 0; k < depth; ++k) std::memcpy(to + k * WIDTH, p + k * along, 4 * WIDTH);
    return;
  }
  if (count < WIDTH) std::fill(to, to + depth * WIDTH, 0.0f);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t k = 0; k < depth; ++k) to[k * WIDTH + i] = p[i * across + k * along];
}

struct Scratch {  // uninitialized floats on a cache line boundary
  float *p;
  Scratch(int64_t n) : p((float *)::operator new(4 * n + 64, std::align_val_t(64))) {}
  ~Scratch() { ::operator delete(p, std::align_val_t(64)); }
};

struct Panel {
  const float *p;
  int64_t across, along;
};

template <class Sum>
void multiply(Matrix a, Matrix b, Sum *c, int64_t M, int64_t N, int64_t K) {
  if (K == 0) std::fill(c, c + M * N, Sum(0.0f));
  const int64_t tiles_m = @TILES_M@, tiles_n = @TILES_N@;
  const int64_t size_a = tiles_m * MR * KC, size_b = tiles_n * NR * KC;
  const Scratch packed(size_a + size_b);
  float *const pa = packed.p, *const pb = pa + (size_a + 15) / 16 * 16;
  std::vector<Panel> as(tiles_m), bs(tiles_n);
  for (int64_t k0 = 0; k0 < K; k0 += KC) {
    const int64_t depth = std::min(KC, K - k0);
    for (int64_t t = 0; t < tiles_m; ++t) {
      const int64_t rows = std::min<int64_t>(MR, M - t * MR);
      as[t] = {a.p + t * MR * a.pitch + k0, a.pitch, 1};
      if (@PACK_A@rows < MR) {
        float *to = pa + t * MR * KC;
        pack<MR>(as[t].p, as[t].across, as[t].along, rows, depth, to);
        as[t] = {to, 1, MR};
      }
    }
    for (int64_t t = 0; t < tiles_n; ++t) {
      const int64_t cols = std::min<int64_t>(NR, N - t * NR);
      bs[t] = {b.p + k0 * b.pitch + t * NR, 1, b.pitch};
      if (@PACK_B@cols < NR) {
        float *to = pb + t * NR * KC;
        pack<NR>(bs[t].p, bs[t].across, bs[t].along, cols, depth, to);
        bs[t] = {to, 1, NR};
      }
    }
@PRAGMA@@LOOPS@        add_tile(depth, as[m].p, as[m].across, as[m].along, bs[n].p, bs[n].along,
                 c + m * MR * N + n * NR, N, std::min<int64_t>(MR, M - m * MR),
                 std::min<int64_t>(NR, N - n * NR), k0 == 0);
  }
}
"""
_LOOPS = {
    "rows": "    for (int64_t m = 0; m < tiles_m; ++m)\n"
    "      for (int64_t n = 0; n < tiles_n; ++n)\n",
    "columns": "    for (int64_t n = 0; n < tiles_n; ++n)\n"
    "      for (int64_t m = 0; m < tiles_m; ++m)\n",
}
_WIDE = """
// Sums are added in at least float.
template <class Sum>
using Wide = std::conditional_t<std::is_same_v<Sum, double>, double, float>;
"""
_KERNEL = """
template <class T>
void matmul(const DLTensor *a, const DLTensor *b, DLTensor *y) {
  using Sum = @SUM@;
  const int64_t M = a->shape[0], K = a->shape[1], N = b->shape[1];
  std::vector<float> a_buffer, b_buffer;
  const Matrix af = as_floats<T>(a, a_buffer), bf = as_floats<T>(b, b_buffer);
  T *out = kc::data<T>(y);
  if constexpr (std::is_same_v<Sum, T>) {
    multiply(af, bf, out, M, N, K);
  } else {
    std::vector<Sum> c(M * N);
    multiply(af, bf, c.data(), M, N, K);
    for (int64_t i = 0; i < M * N; ++i) out[i] = T(float(c[i]));
  }
}

}  // namespace

extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y) {
  if (kc::numel(y) == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) { matmul<decltype(zero)>(a, b, y); });
}
"""
_SUMS = {"float": "float", "double": "double", "element": "T"}


def space(recipe: Mapping[str, Any]) -> tuple[Slot, ...]:
    """The slots; the recipe data has nothing but the family."""
    tail = Slot("tail", ("edges", "none"), (12, 1), "edges")
    return (
        _ALGORITHM, _LANES, _ROWS, _VECTORS, _DEPTH, _PACK, _ORDER, _ACC, slots.THREADS,
        slots.LAYOUT, slots.ALIGN, tail,
    )  # fmt: skip


def render(recipe: Mapping[str, Any], params: Params) -> str:
    """The C++ file."""
    algorithm, pack, edges = (
        str(params["algorithm"]),
        params["pack"],
        params["tail"] == "edges",
    )
    strided = params["layout"] == "strides"
    work = "M * N * K"
    marks = {
        "PITCH": "t->strides[0]" if strided else "cols",
        "STEP": "t->strides[1]" if strided else "1",
        "TAIL": "" if edges else "false && ",
        "MR": str(params["tile_m"]),
        "NV": str(params["tile_n"]),
        "KC": "8" if params["acc"] == "element" else str(params["tile_k"]),
        "TILES_M": "(M + MR - 1) / MR" if edges else "M / MR",
        "TILES_N": "(N + NR - 1) / NR" if edges else "N / NR",
        "PACK_A": "true || " if pack == "both" else "",
        "PACK_B": "true || " if pack in ("b", "both") else "",
        "PRAGMA": frame.parallel(params, work),
        "LOOPS": _LOOPS[str(params["order"])],
        "SUM": _SUMS[str(params["acc"])],
    }
    text = _MATRIX + _WIDE + {"dot": _DOT, "axpy": _AXPY, "tiled": _TILED}[algorithm] + _KERNEL
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", value)
    sentence = {
        "dot": "y[i, j] = sum over k, one output at a time",
        "axpy": "y[i, :] += a[i, k] * b[k, :]",
        "tiled": f"tiles of {params['tile_m']} rows by {params['tile_n']} vectors in registers",
    }[algorithm]
    return frame.head("matmul", sentence, params) + frame.threads(params) + text
