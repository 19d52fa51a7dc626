// SPDX-License-Identifier: Apache-2.0
// Half precision: __half and __half2 (CUDA Math API, "Half Precision Intrinsics").
#pragma once
#include "cuda_runtime.h"

namespace simt {
// The compiler's _Float16 only converts here: in its arithmetic results keep more digits.
template <class F>
SIMT_ALWAYS unsigned short half_word(F v) { return bits<unsigned short>(static_cast<_Float16>(v)); }
SIMT_ALWAYS float half_float(unsigned short w) { return static_cast<float>(bits<_Float16>(w)); }
}  // namespace simt

#define SIMT_N __half
#define SIMT_N2 __half2
#define SIMT_WORD(v) simt::half_word(v)
#define SIMT_FLOAT(w) simt::half_float(w)
#include "emulated/narrow.h"
#undef SIMT_N
#undef SIMT_N2
#undef SIMT_WORD
#undef SIMT_FLOAT

typedef __half half;
typedef __half2 half2;

SIMT_ALWAYS __half __float2half(float v) { return __half(v); }
SIMT_ALWAYS __half __float2half_rn(float v) { return __half(v); }
SIMT_ALWAYS __half __float2half_rz(float v) {
  __half h(v);
  if (std::fabs(float(h)) > std::fabs(v)) --h.simt_word;
  return h;
}
SIMT_ALWAYS __half __double2half(double v) { return __half(v); }
SIMT_ALWAYS float __half2float(__half h) { return float(h); }
SIMT_ALWAYS __half2 __float2half2_rn(float v) { return {__half(v), __half(v)}; }
SIMT_ALWAYS __half2 __floats2half2_rn(float a, float b) { return {__half(a), __half(b)}; }
SIMT_ALWAYS __half2 __float22half2_rn(float2 v) { return {__half(v.x), __half(v.y)}; }
SIMT_ALWAYS float2 __half22float2(__half2 h) { return {float(h.x), float(h.y)}; }
SIMT_ALWAYS __half2 __half2half2(__half a) { return {a, a}; }
SIMT_ALWAYS __half2 __halves2half2(__half a, __half b) { return {a, b}; }
SIMT_ALWAYS __half2 make_half2(__half a, __half b) { return {a, b}; }
SIMT_ALWAYS __half __low2half(__half2 a) { return a.x; }
SIMT_ALWAYS __half __high2half(__half2 a) { return a.y; }
SIMT_ALWAYS float __low2float(__half2 a) { return float(a.x); }
SIMT_ALWAYS float __high2float(__half2 a) { return float(a.y); }
SIMT_ALWAYS __half2 __low2half2(__half2 a) { return {a.x, a.x}; }
SIMT_ALWAYS __half2 __high2half2(__half2 a) { return {a.y, a.y}; }
SIMT_ALWAYS __half2 __lowhigh2highlow(__half2 a) { return {a.y, a.x}; }
SIMT_ALWAYS __half __ushort_as_half(unsigned short w) { return simt::bits<__half>(w); }
SIMT_ALWAYS unsigned short __half_as_ushort(__half h) { return h.simt_word; }
SIMT_ALWAYS __half __short_as_half(short w) { return simt::bits<__half>(w); }
SIMT_ALWAYS short __half_as_short(__half h) { return static_cast<short>(h.simt_word); }
SIMT_ALWAYS __half __int2half_rn(int v) { return __half(v); }
SIMT_ALWAYS __half __uint2half_rn(unsigned v) { return __half(v); }
SIMT_ALWAYS int __half2int_rn(__half h) { return __float2int_rn(float(h)); }
SIMT_ALWAYS int __half2int_rz(__half h) { return __float2int_rz(float(h)); }
#define CUDART_INF_FP16 __ushort_as_half(static_cast<unsigned short>(0x7c00))
#define CUDART_NAN_FP16 __ushort_as_half(static_cast<unsigned short>(0x7fff))
#define CUDART_ZERO_FP16 __ushort_as_half(static_cast<unsigned short>(0))
#define CUDART_ONE_FP16 __ushort_as_half(static_cast<unsigned short>(0x3c00))
