// SPDX-License-Identifier: Apache-2.0
// Helpers for C++ candidates: element types, dtype dispatch, strided access.
// Include it first: a precompiled copy is then used and compiling takes a quarter of the time.
//
//   kc::dispatch(x->dtype, [&](auto zero) { using T = decltype(zero); ... });
//   const T *p = kc::data<T>(x);             first element (byte_offset included)
//   kc::numel(x), kc::rows(x), kc::cols(x)   elements; product of the leading dims; last dim
//   kc::contiguous(x)                        row-major without gaps
//   kc::row_offset(x, r)                     element offset of row r (strides respected)
//   kc::col_stride(x)                        element stride along the last dim
//   float v = float(p[i]); q[i] = T(v)       math in float, whatever T is
//   kc::load(p, stride, n, f) / kc::store(f, n, p)   n elements <-> float
//   KC_REQUIRE_CONTIGUOUS                    at file scope: inputs arrive contiguous and 64-byte
//                                            aligned; the copy is made inside the timed region
#ifndef KERNELCODER_H  // not #pragma once: this file is precompiled as a main file
#define KERNELCODER_H
#include <dlpack/dlpack.h>

#include <cstddef>
// From C++17 on libstdc++ puts Bessel functions and their like into <cmath>. Nobody's kernel uses
// them, and they are a quarter of its compile time.
#undef _GLIBCXX_USE_STD_SPEC_FUNCS

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>
#if defined(__x86_64__) && !defined(KERNELCODER_PLAIN)  // set for sources that use no intrinsics
#include <immintrin.h>
#endif
#include <omp.h>

#define KC_REQUIRE_CONTIGUOUS \
  extern "C" { extern const int kc_require_contiguous; const int kc_require_contiguous = 1; }

namespace kc {

using half = _Float16;

template <class A>
concept Number = std::is_arithmetic_v<A> || std::is_same_v<A, half>;

// bfloat16: the upper half of a float; conversion rounds to nearest, ties to even. It turns into a
// float by itself, so arithmetic, comparisons and std functions give floats. The way back is T(v)
// or an assignment: if it were implicit too, `x > 0 ? x : 0.0f` could go either way and would not
// compile. The literal in `T sum = 0` is let through.
struct bf16 {
  uint16_t bits = 0;
  bf16() = default;
  template <Number A>
  explicit(!std::is_same_v<A, int>) bf16(A a) {
    const float f = float(a);
    uint32_t u;
    std::memcpy(&u, &f, 4);
    const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    bits = (u & 0x7fffffffu) > 0x7f800000u ? uint16_t((u >> 16) | 0x40u) : uint16_t(rounded);
  }
  operator float() const {
    const uint32_t u = uint32_t(bits) << 16;
    float f;
    std::memcpy(&f, &u, 4);
    return f;
  }
  bf16 &operator=(float f) { return *this = bf16(f); }
  bf16 &operator+=(float f) { return *this = float(*this) + f; }
  bf16 &operator-=(float f) { return *this = float(*this) - f; }
  bf16 &operator*=(float f) { return *this = float(*this) * f; }
  bf16 &operator/=(float f) { return *this = float(*this) / f; }
};
static_assert(sizeof(bf16) == 2 && sizeof(half) == 2);

// Calls f with a zero of the element type: float, kc::half or kc::bf16.
template <class F>
inline void dispatch(DLDataType t, F &&f) {
  if (t.code == kDLFloat && t.bits == 32) f(0.0f);
  else if (t.code == kDLFloat && t.bits == 16) f(half(0));
  else if (t.code == kDLBfloat) f(bf16());
}

template <class T>
inline T *data(const DLTensor *t) {
  return reinterpret_cast<T *>(static_cast<char *>(t->data) + t->byte_offset);
}

inline int64_t numel(const DLTensor *t) {
  int64_t n = 1;
  for (int i = 0; i < t->ndim; ++i) n *= t->shape[i];
  return n;
}

inline int64_t cols(const DLTensor *t) { return t->ndim ? t->shape[t->ndim - 1] : 1; }

inline int64_t rows(const DLTensor *t) {
  int64_t n = 1;
  for (int i = 0; i + 1 < t->ndim; ++i) n *= t->shape[i];
  return n;
}

inline int64_t col_stride(const DLTensor *t) { return t->ndim ? t->strides[t->ndim - 1] : 1; }

inline bool contiguous(const DLTensor *t) {
  int64_t want = 1;
  for (int i = t->ndim - 1; i >= 0; --i) {
    if (t->shape[i] != 1 && t->strides[i] != want) return false;
    want *= t->shape[i];
  }
  return true;
}

inline int64_t row_offset(const DLTensor *t, int64_t row) {
  int64_t offset = 0;
  for (int i = t->ndim - 2; i >= 0; --i) {
    offset += (row % t->shape[i]) * t->strides[i];
    row /= t->shape[i];
  }
  return offset;
}

template <class T>
inline void load(const T *p, int64_t stride, int64_t n, float *out) {
  if (stride == 1)
    for (int64_t i = 0; i < n; ++i) out[i] = float(p[i]);
  else
    for (int64_t i = 0; i < n; ++i) out[i] = float(p[i * stride]);
}

template <class T>
inline void store(const float *in, int64_t n, T *p) {
  for (int64_t i = 0; i < n; ++i) p[i] = T(in[i]);
}

}  // namespace kc

#ifndef __STDCPP_FLOAT16_T__
// Without these std::exp of a half is ambiguous between the float and the double one.
#define KC_OF_HALF(f) \
  inline float f(kc::half x) { return f(float(x)); }
namespace std {
KC_OF_HALF(abs) KC_OF_HALF(fabs) KC_OF_HALF(floor) KC_OF_HALF(round) KC_OF_HALF(sqrt)
KC_OF_HALF(exp) KC_OF_HALF(exp2) KC_OF_HALF(expm1) KC_OF_HALF(log) KC_OF_HALF(log1p)
KC_OF_HALF(tanh) KC_OF_HALF(erf) KC_OF_HALF(sin) KC_OF_HALF(cos)
inline bool isnan(kc::half x) { return x != x; }
inline bool isinf(kc::half x) { return isinf(float(x)); }
}  // namespace std
#undef KC_OF_HALF
#endif

#endif
