// SPDX-License-Identifier: Apache-2.0
// metal_integer: functions of integers and of their vectors.
#pragma once
#include "math.h"

namespace metal {

#define KC_BITS(name, value)                                    \
  template <Whole T>                                            \
  constexpr T name(T from) {                                    \
    constexpr int width = 8 * sizeof(T);                        \
    const uint64_t x = std::make_unsigned_t<T>(from);           \
    return T(value);                                            \
  }                                                             \
  template <Vector A>                                           \
    requires is_whole<element_of<A>>                            \
  constexpr auto name(const A &a) {                             \
    return each([](auto x) { return name(x); }, a);             \
  }
constexpr uint64_t mirrored(uint64_t x, int width) {
  uint64_t out = 0;
  for (int i = 0; i < width; ++i) out |= (x >> i & 1) << (width - 1 - i);
  return out;
}
KC_BITS(popcount, __builtin_popcountll(x))
KC_BITS(clz, x ? __builtin_clzll(x) - (64 - width) : width)
KC_BITS(ctz, x ? __builtin_ctzll(x) : width)
KC_BITS(reverse_bits, mirrored(x, width))

template <Whole T>
constexpr T rotate(T x, T by) {
  using U = std::make_unsigned_t<T>;
  constexpr U width = 8 * sizeof(T);
  const U left = U(by) % width;
  return left ? T(U(U(x) << left) | U(U(x) >> (width - left))) : x;
}
// The upper half of the product.
template <Whole T>
constexpr T mulhi(T a, T b) {
  using Wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
  return T(Wide(a) * Wide(b) >> 8 * sizeof(T));
}
template <Whole T>
constexpr T mad24(T a, T b, T c) {
  return a * b + c;
}
template <Whole T>
constexpr T mul24(T a, T b) {
  return a * b;
}
template <Whole T>
constexpr T madhi(T a, T b, T c) {
  return T(mulhi(a, b) + c);
}
template <Whole T>
constexpr T fitted(__int128 x) {
  constexpr __int128 low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  return T(x < low ? low : x > high ? high : x);
}
template <Whole T>
constexpr T addsat(T a, T b) {
  return fitted<T>(__int128(a) + b);
}
template <Whole T>
constexpr T subsat(T a, T b) {
  return fitted<T>(__int128(a) - b);
}
template <Whole T>
constexpr T hadd(T a, T b) {
  return T((__int128(a) + b) >> 1);
}
template <Whole T>
constexpr T rhadd(T a, T b) {
  return T((__int128(a) + b + 1) >> 1);
}
template <Whole T>
constexpr std::make_unsigned_t<T> absdiff(T a, T b) {
  return std::make_unsigned_t<T>(a < b ? __int128(b) - a : __int128(a) - b);
}
template <Whole T>
constexpr T extract_bits(T x, uint offset, uint bits) {
  constexpr uint width = 8 * sizeof(T);
  if (bits == 0) return 0;
  using U = std::make_unsigned_t<T>;
  return T(T(U(x) << (width - bits - offset)) >> (width - bits));
}
template <Whole T>
constexpr T insert_bits(T base, T insert, uint offset, uint bits) {
  using U = std::make_unsigned_t<T>;
  const U mask = bits >= 8 * sizeof(T) ? U(~U(0)) : U(((uint64_t(1) << bits) - 1) << offset);
  return T((U(base) & U(~mask)) | (U(U(insert) << offset) & mask));
}

}  // namespace metal
