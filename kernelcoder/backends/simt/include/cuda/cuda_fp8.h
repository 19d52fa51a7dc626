// SPDX-License-Identifier: Apache-2.0
// 8-bit floating types: conversions only, as CUDA has no arithmetic of them either.
// E4M3 has no infinity and ends at 448; E5M2 is a half cut short (Micikevicius et al., "FP8 formats
// for deep learning", 2022). Conversion saturates to the largest finite number, as CUDA's types do.
#pragma once
#include "cuda_fp16.h"
#include "cuda_bf16.h"

namespace simt {

// EXPONENT and MANTISSA bits; LARGEST the encoding of the largest finite number, NAN_ of a NaN.
template <int EXPONENT, int MANTISSA, unsigned LARGEST, unsigned NAN_>
struct Byte {
  static constexpr int BIAS = (1 << (EXPONENT - 1)) - 1;

  static float decode(unsigned char byte) {
    const unsigned exponent = byte >> MANTISSA & ((1u << EXPONENT) - 1);
    const unsigned mantissa = byte & ((1u << MANTISSA) - 1), magnitude = byte & 0x7f;
    const float sign = byte & 0x80 ? -1.0f : 1.0f;
    if (magnitude > LARGEST)
      return EXPONENT == 5 && magnitude == LARGEST + 1 ? sign * __builtin_inff() : __builtin_nanf("");
    if (!exponent) return sign * std::ldexp(float(mantissa), 1 - BIAS - MANTISSA);
    return sign * std::ldexp(float(mantissa + (1u << MANTISSA)), int(exponent) - BIAS - MANTISSA);
  }
  static unsigned char encode(double v) {
    const unsigned sign = std::signbit(v) ? 0x80u : 0u;
    if (v != v) return static_cast<unsigned char>(NAN_);
    const double a = std::fabs(v);
    int exponent = 0;
    std::frexp(a, &exponent);
    const int step = (exponent - 1 < 1 - BIAS ? 1 - BIAS : exponent - 1) - MANTISSA;
    if (a == 0 || std::isinf(a)) return static_cast<unsigned char>(sign | (a == 0 ? 0 : LARGEST));
    const double units = std::nearbyint(std::ldexp(a, -step));  // ties to even
    const unsigned low = static_cast<unsigned>(units);
    const unsigned code = low + (static_cast<unsigned>(step + MANTISSA + BIAS - 1) << MANTISSA);
    return static_cast<unsigned char>(sign | (code > LARGEST ? LARGEST : code));
  }
};
using E4M3 = Byte<4, 3, 0x7e, 0x7f>;
using E5M2 = Byte<5, 2, 0x7b, 0x7f>;

}  // namespace simt

typedef unsigned char __nv_fp8_storage_t;
#define SIMT_FP8(NAME, FORMAT)                                                  \
  struct NAME {                                                                 \
    __nv_fp8_storage_t __x;                                                     \
    NAME() = default;                                                           \
    explicit NAME(float v) : __x(simt::FORMAT::encode(v)) {}                    \
    explicit NAME(double v) : __x(simt::FORMAT::encode(v)) {}                   \
    explicit NAME(__half v) : __x(simt::FORMAT::encode(float(v))) {}            \
    explicit NAME(__nv_bfloat16 v) : __x(simt::FORMAT::encode(float(v))) {}     \
    explicit operator float() const { return simt::FORMAT::decode(__x); }       \
    explicit operator double() const { return simt::FORMAT::decode(__x); }      \
    explicit operator __half() const { return __half(simt::FORMAT::decode(__x)); } \
    explicit operator __nv_bfloat16() const {                                   \
      return __nv_bfloat16(simt::FORMAT::decode(__x));                          \
    }                                                                           \
  };
SIMT_FP8(__nv_fp8_e4m3, E4M3)
SIMT_FP8(__nv_fp8_e5m2, E5M2)
#undef SIMT_FP8
