// SPDX-License-Identifier: Apache-2.0
// Matrix fragments of a warp (CUDA C++ Programming Guide, "Warp Matrix Functions"). Every lane keeps
// a whole matrix instead of its share: results are the same, fragments cannot be taken apart by lane.
// Products are summed in float, in order of k; tensor cores sum in an order of their own.
#pragma once
#include "cuda_bf16.h"
#include "cuda_fp16.h"

namespace nvcuda {
namespace wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
enum layout_t { mem_row_major, mem_col_major };
namespace precision {
struct tf32 {};
}
template <class T> struct simt_stored { using type = T; };
template <> struct simt_stored<precision::tf32> { using type = float; };

template <class USE, int M, int N, int K, class T, class LAYOUT = void>
struct fragment {
  using element_type = typename simt_stored<T>::type;
  static constexpr int rows = std::is_same_v<USE, matrix_b> ? K : M;
  static constexpr int cols = std::is_same_v<USE, matrix_a> ? K : N;
  static constexpr int num_elements = rows * cols;
  element_type x[rows * cols];
};

// tf32: a float with 10 bits of mantissa, rounded to nearest with ties away from zero.
SIMT_ALWAYS float __float_to_tf32(float v) {
  return v != v ? v : simt::bits<float>((simt::bits<unsigned>(v) + 0x1000u) & ~0x1fffu);
}

template <class F, class V>
inline void fill_fragment(F &f, V value) {
  for (auto &element : f.x) element = value;
}
template <class F, class T>
inline void simt_load(F &f, const T *from, unsigned ld, bool columns, int line) {
  __syncwarp(0xffffffffu, line);
  for (int r = 0; r < F::rows; ++r)
    for (int c = 0; c < F::cols; ++c)
      f.x[r * F::cols + c] = columns ? from[size_t(c) * ld + r] : from[size_t(r) * ld + c];
}
template <class USE, int M, int N, int K, class T, class LAYOUT, class P>
inline void load_matrix_sync(fragment<USE, M, N, K, T, LAYOUT> &f, const P *from, unsigned ld,
                             SIMT_LINE) {
  static_assert(!std::is_void_v<LAYOUT>, "an accumulator is loaded with its layout");
  simt_load(f, from, ld, std::is_same_v<LAYOUT, col_major>, simt_line);
}
template <int M, int N, int K, class T, class P>
inline void load_matrix_sync(fragment<accumulator, M, N, K, T> &f, const P *from, unsigned ld,
                             layout_t layout, SIMT_LINE) {
  simt_load(f, from, ld, layout == mem_col_major, simt_line);
}
template <int M, int N, int K, class T, class P>
inline void store_matrix_sync(P *to, const fragment<accumulator, M, N, K, T> &f, unsigned ld,
                              layout_t layout, SIMT_LINE) {
  __syncwarp(0xffffffffu, simt_line);
  // One lane stores: on the device every element is stored by one lane, too.
  if (simt_tls.lane == 0)
    for (int r = 0; r < M; ++r)
      for (int c = 0; c < N; ++c)
        to[layout == mem_col_major ? size_t(c) * ld + r : size_t(r) * ld + c] = f.x[r * N + c];
  __syncwarp(0xffffffffu, simt_line);
}
template <class TA>
SIMT_ALWAYS float simt_operand(TA v, std::false_type) { return static_cast<float>(v); }
SIMT_ALWAYS float simt_operand(float v, std::true_type) { return __float_to_tf32(v); }
template <int M, int N, int K, class TD, class TA, class LA, class TB, class LB, class TC>
inline void mma_sync(fragment<accumulator, M, N, K, TD> &d,
                     const fragment<matrix_a, M, N, K, TA, LA> &a,
                     const fragment<matrix_b, M, N, K, TB, LB> &b,
                     const fragment<accumulator, M, N, K, TC> &c, bool = false, SIMT_LINE) {
  using tf32 = std::is_same<TA, precision::tf32>;
  __syncwarp(0xffffffffu, simt_line);
  fragment<accumulator, M, N, K, TD> result;
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < N; ++j) {
      using Sum = std::conditional_t<std::is_integral_v<TC>, int, float>;
      Sum sum = static_cast<Sum>(c.x[i * N + j]);
      for (int k = 0; k < K; ++k)
        sum += Sum(simt_operand(a.x[i * K + k], tf32()) * simt_operand(b.x[k * N + j], tf32()));
      result.x[i * N + j] = TD(sum);
    }
  d = result;
}

}  // namespace wmma
}  // namespace nvcuda
