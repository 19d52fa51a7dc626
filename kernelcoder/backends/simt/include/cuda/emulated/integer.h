// SPDX-License-Identifier: Apache-2.0
// Integer and conversion intrinsics. Conversions of floats to integers saturate and make NaN zero,
// as the device's do; in C++ they are undefined.
#pragma once
#include "types.h"

SIMT_ALWAYS int __popc(unsigned x) { return __builtin_popcount(x); }
SIMT_ALWAYS int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
SIMT_ALWAYS int __ffs(int x) { return __builtin_ffs(x); }
SIMT_ALWAYS int __ffsll(long long x) { return __builtin_ffsll(x); }
SIMT_ALWAYS int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
SIMT_ALWAYS int __clzll(long long x) {
  return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64;
}
inline unsigned __brev(unsigned x) {
  unsigned result = 0;
  for (int i = 0; i < 32; ++i) result |= (x >> i & 1u) << (31 - i);
  return result;
}
inline unsigned long long __brevll(unsigned long long x) {
  return static_cast<unsigned long long>(__brev(static_cast<unsigned>(x))) << 32 |
         __brev(static_cast<unsigned>(x >> 32));
}
SIMT_ALWAYS unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32);
}
SIMT_ALWAYS int __mulhi(int a, int b) { return static_cast<int>(static_cast<long long>(a) * b >> 32); }
SIMT_ALWAYS unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
SIMT_ALWAYS int __mul24(int a, int b) { return ((a << 8) >> 8) * ((b << 8) >> 8); }
SIMT_ALWAYS unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffff) * (b & 0xffffff); }
SIMT_ALWAYS unsigned __sad(int a, int b, unsigned c) {
  return c + static_cast<unsigned>(a < b ? b - a : a - b);
}
SIMT_ALWAYS int __hadd(int a, int b) { return static_cast<int>((static_cast<long long>(a) + b) >> 1); }
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const unsigned long long both = static_cast<unsigned long long>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i)
    result |= static_cast<unsigned>(both >> (selector >> 4 * i & 7) * 8 & 0xff) << 8 * i;
  return result;
}
SIMT_ALWAYS unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by) {
  const unsigned long long both = static_cast<unsigned long long>(high) << 32 | low;
  return static_cast<unsigned>(both << (by & 31) >> 32);
}
SIMT_ALWAYS unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by) {
  return static_cast<unsigned>((static_cast<unsigned long long>(high) << 32 | low) >> (by & 31));
}
inline int __dp4a(int a, int b, int c) {
  for (int i = 0; i < 4; ++i)
    c += static_cast<signed char>(a >> 8 * i) * static_cast<signed char>(b >> 8 * i);
  return c;
}

SIMT_ALWAYS int __float_as_int(float x) { return simt::bits<int>(x); }
SIMT_ALWAYS float __int_as_float(int x) { return simt::bits<float>(x); }
SIMT_ALWAYS unsigned __float_as_uint(float x) { return simt::bits<unsigned>(x); }
SIMT_ALWAYS float __uint_as_float(unsigned x) { return simt::bits<float>(x); }
SIMT_ALWAYS long long __double_as_longlong(double x) { return simt::bits<long long>(x); }
SIMT_ALWAYS double __longlong_as_double(long long x) { return simt::bits<double>(x); }
SIMT_ALWAYS int __double2hiint(double x) { return static_cast<int>(simt::bits<long long>(x) >> 32); }
SIMT_ALWAYS int __double2loint(double x) { return static_cast<int>(simt::bits<long long>(x)); }

namespace simt {
template <class I, class F>
inline I to_integer(F x) {
  if (x != x) return 0;
  // The limit rounds up to a power of two where F cannot hold it: equal already is too large.
  if (x <= static_cast<F>(std::numeric_limits<I>::min())) return std::numeric_limits<I>::min();
  if (x >= static_cast<F>(std::numeric_limits<I>::max())) return std::numeric_limits<I>::max();
  return static_cast<I>(x);
}
}  // namespace simt
#define SIMT_CONVERT(FROM, NAME, TO, INTO)                                                     \
  SIMT_ALWAYS INTO __##NAME##2##TO##_rn(FROM x) { return simt::to_integer<INTO>(std::nearbyint(x)); } \
  SIMT_ALWAYS INTO __##NAME##2##TO##_rz(FROM x) { return simt::to_integer<INTO>(std::trunc(x)); } \
  SIMT_ALWAYS INTO __##NAME##2##TO##_rd(FROM x) { return simt::to_integer<INTO>(std::floor(x)); } \
  SIMT_ALWAYS INTO __##NAME##2##TO##_ru(FROM x) { return simt::to_integer<INTO>(std::ceil(x)); }
SIMT_CONVERT(float, float, int, int) SIMT_CONVERT(float, float, uint, unsigned)
SIMT_CONVERT(float, float, ll, long long) SIMT_CONVERT(float, float, ull, unsigned long long)
SIMT_CONVERT(double, double, int, int) SIMT_CONVERT(double, double, uint, unsigned)
SIMT_CONVERT(double, double, ll, long long)
#undef SIMT_CONVERT
SIMT_ALWAYS float __int2float_rn(int x) { return static_cast<float>(x); }
SIMT_ALWAYS float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
SIMT_ALWAYS float __ll2float_rn(long long x) { return static_cast<float>(x); }
SIMT_ALWAYS double __int2double_rn(int x) { return x; }
SIMT_ALWAYS float __double2float_rn(double x) { return static_cast<float>(x); }
