// SPDX-License-Identifier: Apache-2.0
// metal_simdgroup_matrix: 8 by 8 matrices that the lanes of a SIMD-group hold together. Here every
// lane holds all of one, so `thread_elements()`, which shows a lane's share, does not exist.
#pragma once
#include "atomic.h"

namespace metal {

template <class T, int COLUMNS, int ROWS>
struct simdgroup_matrix {
  static_assert(COLUMNS == 8 && ROWS == 8, "Metal has SIMD-group matrices of 8 by 8 only");
  T at[ROWS][COLUMNS];
  simdgroup_matrix() = default;
  explicit simdgroup_matrix(T diagonal) {
    for (int r = 0; r < ROWS; ++r)
      for (int c = 0; c < COLUMNS; ++c) at[r][c] = r == c ? diagonal : T(0);
  }
};
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<bfloat, 8, 8> simdgroup_bfloat8x8;

template <class T, int C, int R>
inline simdgroup_matrix<T, C, R> make_filled_simdgroup_matrix(T value) {
  simdgroup_matrix<T, C, R> out;
  for (auto &row : out.at)
    for (auto &element : row) element = value;
  return out;
}
template <class T, int C, int R>
inline simdgroup_matrix<T, C, R> make_diagonal_simdgroup_matrix(T value) {
  return simdgroup_matrix<T, C, R>(value);
}
inline void meet(int kind, int line) {
  simt_warp(0, simt::SIMT_FREE + kind, line, nullptr, nullptr, nullptr, 0, 0);
}
// origin is (column, row); elements_per_row is the distance of rows in memory.
template <class T, int C, int R>
inline void simdgroup_load(simdgroup_matrix<T, C, R> &to, const T *from,
                           ulong elements_per_row = C, ulong2 origin = ulong2(0),
                           bool transpose = false, KC_LINE) {
  meet(60, line);
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < C; ++c) {
      const ulong row = origin.y + (transpose ? c : r), column = origin.x + (transpose ? r : c);
      to.at[r][c] = from[row * elements_per_row + column];
    }
  meet(61, line);
}
template <class T, int C, int R>
inline void simdgroup_store(const simdgroup_matrix<T, C, R> &from, T *to,
                            ulong elements_per_row = C, ulong2 origin = ulong2(0),
                            bool transpose = false, KC_LINE) {
  meet(62, line);
  if (simt_tls.lane == 0)
    for (int r = 0; r < R; ++r)
      for (int c = 0; c < C; ++c) {
        const ulong row = origin.y + (transpose ? c : r), column = origin.x + (transpose ? r : c);
        to[row * elements_per_row + column] = from.at[r][c];
      }
  meet(63, line);
}
// d = a b + c, summed in float.
template <class D, class A, class B, class E, int C, int R, int K>
inline void simdgroup_multiply_accumulate(simdgroup_matrix<D, C, R> &d,
                                          const simdgroup_matrix<A, K, R> &a,
                                          const simdgroup_matrix<B, C, K> &b,
                                          const simdgroup_matrix<E, C, R> &c) {
  simdgroup_matrix<D, C, R> out;
  for (int i = 0; i < R; ++i)
    for (int j = 0; j < C; ++j) {
      float sum = float(c.at[i][j]);
      for (int k = 0; k < K; ++k) sum += float(a.at[i][k]) * float(b.at[k][j]);
      out.at[i][j] = D(sum);
    }
  d = out;
}
template <class D, class A, class B, int C, int R, int K>
inline void simdgroup_multiply(simdgroup_matrix<D, C, R> &d, const simdgroup_matrix<A, K, R> &a,
                               const simdgroup_matrix<B, C, K> &b) {
  simdgroup_multiply_accumulate(d, a, b, make_filled_simdgroup_matrix<D, C, R>(D(0)));
}
template <class T, int C, int R, int K>
inline simdgroup_matrix<T, C, R> operator*(const simdgroup_matrix<T, K, R> &a,
                                           const simdgroup_matrix<T, C, K> &b) {
  simdgroup_matrix<T, C, R> out;
  simdgroup_multiply(out, a, b);
  return out;
}

}  // namespace metal
