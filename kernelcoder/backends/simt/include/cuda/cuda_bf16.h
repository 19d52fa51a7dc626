// SPDX-License-Identifier: Apache-2.0
// bfloat16: __nv_bfloat16 and __nv_bfloat162 (CUDA Math API, "Bfloat16 Precision Intrinsics").
#pragma once
#include "cuda_runtime.h"

namespace simt {
// To nearest, ties to even; a NaN becomes the one NaN the device makes.
inline unsigned short bfloat_word(float v) {
  const unsigned u = bits<unsigned>(v);
  if (v != v) return 0x7fff;
  return static_cast<unsigned short>((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
// The float between is rounded to odd, so that the second rounding sees what the first dropped.
inline unsigned short bfloat_word(double v) {
  const float near = static_cast<float>(v);
  if (double(near) == v || v != v) return bfloat_word(near);
  unsigned u = bits<unsigned>(near);
  if (std::fabs(double(near)) > std::fabs(v)) --u;
  return bfloat_word(bits<float>(u | 1));
}
SIMT_ALWAYS float bfloat_float(unsigned short w) { return bits<float>(unsigned(w) << 16); }
}  // namespace simt

#define SIMT_N __nv_bfloat16
#define SIMT_N2 __nv_bfloat162
#define SIMT_WORD(v) simt::bfloat_word(v)
#define SIMT_FLOAT(w) simt::bfloat_float(w)
#include "emulated/narrow.h"
#undef SIMT_N
#undef SIMT_N2
#undef SIMT_WORD
#undef SIMT_FLOAT

typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

SIMT_ALWAYS __nv_bfloat16 __float2bfloat16(float v) { return __nv_bfloat16(v); }
SIMT_ALWAYS __nv_bfloat16 __float2bfloat16_rn(float v) { return __nv_bfloat16(v); }
SIMT_ALWAYS __nv_bfloat16 __float2bfloat16_rz(float v) {
  return v != v ? __nv_bfloat16(v)
                : simt::bits<__nv_bfloat16>(
                      static_cast<unsigned short>(simt::bits<unsigned>(v) >> 16));
}
SIMT_ALWAYS __nv_bfloat16 __double2bfloat16(double v) { return __nv_bfloat16(v); }
SIMT_ALWAYS float __bfloat162float(__nv_bfloat16 h) { return float(h); }
SIMT_ALWAYS __nv_bfloat162 __float2bfloat162_rn(float v) {
  return {__nv_bfloat16(v), __nv_bfloat16(v)};
}
SIMT_ALWAYS __nv_bfloat162 __floats2bfloat162_rn(float a, float b) {
  return {__nv_bfloat16(a), __nv_bfloat16(b)};
}
SIMT_ALWAYS __nv_bfloat162 __float22bfloat162_rn(float2 v) {
  return {__nv_bfloat16(v.x), __nv_bfloat16(v.y)};
}
SIMT_ALWAYS float2 __bfloat1622float2(__nv_bfloat162 h) { return {float(h.x), float(h.y)}; }
SIMT_ALWAYS __nv_bfloat162 __bfloat162bfloat162(__nv_bfloat16 a) { return {a, a}; }
SIMT_ALWAYS __nv_bfloat162 __halves2bfloat162(__nv_bfloat16 a, __nv_bfloat16 b) { return {a, b}; }
SIMT_ALWAYS __nv_bfloat162 make_bfloat162(__nv_bfloat16 a, __nv_bfloat16 b) { return {a, b}; }
SIMT_ALWAYS __nv_bfloat16 __low2bfloat16(__nv_bfloat162 a) { return a.x; }
SIMT_ALWAYS __nv_bfloat16 __high2bfloat16(__nv_bfloat162 a) { return a.y; }
SIMT_ALWAYS float __low2float(__nv_bfloat162 a) { return float(a.x); }
SIMT_ALWAYS float __high2float(__nv_bfloat162 a) { return float(a.y); }
SIMT_ALWAYS __nv_bfloat16 __ushort_as_bfloat16(unsigned short w) {
  return simt::bits<__nv_bfloat16>(w);
}
SIMT_ALWAYS unsigned short __bfloat16_as_ushort(__nv_bfloat16 h) { return h.simt_word; }
SIMT_ALWAYS __nv_bfloat16 __int2bfloat16_rn(int v) { return __nv_bfloat16(v); }
SIMT_ALWAYS int __bfloat162int_rn(__nv_bfloat16 h) { return __float2int_rn(float(h)); }
SIMT_ALWAYS int __bfloat162int_rz(__nv_bfloat16 h) { return __float2int_rz(float(h)); }
