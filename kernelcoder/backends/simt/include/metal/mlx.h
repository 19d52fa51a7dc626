// SPDX-License-Identifier: Apache-2.0
// What MLX puts before a kernel's own text: names of its dtypes and a few helpers, at global scope.
// Behavior after the documentation of mx.fast.metal_kernel and MLX's kernels/utils.h.
#pragma once
#include "matrix.h"

using namespace metal;
typedef metal::half float16_t;
typedef metal::bfloat bfloat16_t;

struct complex64_t {
  float real, imag;
  constexpr complex64_t(float r, float i) : real(r), imag(i) {}
  constexpr complex64_t() : real(0), imag(0) {}
  template <metal::Scalar S>
  constexpr complex64_t(S s) : real(float(s)), imag(0) {}
};
constexpr complex64_t operator-(complex64_t a) { return {-a.real, -a.imag}; }
constexpr complex64_t operator+(complex64_t a, complex64_t b) {
  return {a.real + b.real, a.imag + b.imag};
}
constexpr complex64_t operator-(complex64_t a, complex64_t b) {
  return {a.real - b.real, a.imag - b.imag};
}
constexpr complex64_t operator*(complex64_t a, complex64_t b) {
  return {a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real};
}
constexpr bool operator==(complex64_t a, complex64_t b) {
  return a.real == b.real && a.imag == b.imag;
}

// Offset in memory of the element with a row-major index.
template <typename IdxT = int64_t>
inline IdxT elem_to_loc(IdxT elem, const int *shape, const int64_t *strides, int ndim) {
  IdxT at = 0;
  for (int d = ndim; d-- > 0 && elem > 0; elem /= shape[d])
    at += (elem % shape[d]) * IdxT(strides[d]);
  return at;
}
// x counts in the last dimension, y in the one before, z in all others.
template <typename IdxT = int64_t>
inline IdxT elem_to_loc(uint3 elem, const int *shape, const int64_t *strides, int ndim) {
  IdxT at = elem.x * IdxT(strides[ndim - 1]) + elem.y * IdxT(strides[ndim - 2]);
  for (int d = ndim - 2; d-- > 0; elem.z /= shape[d]) at += (elem.z % shape[d]) * IdxT(strides[d]);
  return at;
}
template <typename IdxT = int64_t>
inline IdxT elem_to_loc_1(uint elem, const int64_t &stride) {
  return elem * IdxT(stride);
}
template <typename IdxT = int64_t>
inline IdxT elem_to_loc_2(uint2 elem, const int64_t strides[2]) {
  return elem.x * IdxT(strides[1]) + elem.y * IdxT(strides[0]);
}
template <typename IdxT = int64_t>
inline IdxT elem_to_loc_3(uint3 elem, const int64_t strides[3]) {
  return elem.x * IdxT(strides[2]) + elem.y * IdxT(strides[1]) + elem.z * IdxT(strides[0]);
}

template <typename T, typename U>
inline T ceildiv(T n, U by) {
  return (n + by - 1) / by;
}
template <typename U>
struct WorkPerThread {
  static constexpr int n = 8 / sizeof(U);
};
// Largest and smallest value of a dtype; for reals also without the infinities.
template <typename U>
struct Limits {
 private:
  using L = metal::numeric_limits<U>;
  static constexpr U most() {
    if constexpr (metal::is_real<U>) return L::infinity();
    else return L::max();
  }
  static constexpr U least() {
    if constexpr (metal::is_real<U>) return -L::infinity();
    else return L::min();
  }

 public:
  static constexpr U max = most(), min = least();
  static constexpr U finite_max = L::max();
  static constexpr U finite_min = metal::is_real<U> ? U(-L::max()) : L::min();
};
template <>
struct Limits<bool> {
  static constexpr bool max = true, min = false;
};
template <bool CONDITION, typename T, typename U>
struct ConditionalType {
  using type = std::conditional_t<CONDITION, T, U>;
};
template <typename U, typename T>
inline U cast_to(T value) {
  return static_cast<U>(value);
}

// Accurate where x is small: W. Kahan's form, as in HP-15C Advanced Functions Handbook (1982).
inline float log1p(float x) {
  const float above = 1.0f + x;
  if (above == metal::numeric_limits<float>::infinity()) return above;
  return above == 1.0f ? x : x * (metal::log(above) / (above - 1.0f));
}
inline bfloat16_t log1p(bfloat16_t x) { return bfloat16_t(log1p(float(x))); }
inline float hypot(float x, float y) { return __builtin_hypotf(x, y); }
