// SPDX-License-Identifier: Apache-2.0
// Narrow floats, and integer arithmetic that is defined for all operands as it is on a device.
#pragma once
#include <stdint.h>

typedef _Float16 half;

template <int N> struct Unsigned;
template <> struct Unsigned<1> { typedef uint8_t type; };
template <> struct Unsigned<2> { typedef uint16_t type; };
template <> struct Unsigned<4> { typedef uint32_t type; };
template <> struct Unsigned<8> { typedef uint64_t type; };
template <class T> using unsigned_of = typename Unsigned<sizeof(T)>::type;

// The same bits as another type; a literal is cut to the size first.
template <class To, class From> static inline To from_bits(From value) {
  if constexpr (sizeof(To) == sizeof(From)) {
    return __builtin_bit_cast(To, value);
  } else {
    return __builtin_bit_cast(To, (unsigned_of<To>)value);
  }
}
static inline float float_bits(uint32_t bits) { return from_bits<float>(bits); }
static inline double double_bits(uint64_t bits) { return from_bits<double>(bits); }

// bfloat16: the upper half of a float, rounded to nearest, ties to even.
struct bf16 {
  uint16_t bits;
  bf16() = default;
  bf16(float value) {
    const uint32_t u = from_bits<uint32_t>(value);
    const uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    bits = (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? (u >> 16) | 0x40u : rounded);
  }
  operator float() const { return float_bits((uint32_t)bits << 16); }
};

// Rounds the magnitude of a float to a format of MANTISSA bits and the given bias; the value must
// be finite. Below the smallest normal number the step stays the same.
template <int MANTISSA, int BIAS> static inline uint32_t to_small(uint32_t magnitude) {
  const int drop = 23 - MANTISSA;
  const uint32_t least = (uint32_t)(128 - BIAS) << 23;  // the smallest normal number
  const uint32_t rounded = (magnitude + ((1u << (drop - 1)) - 1) + ((magnitude >> drop) & 1u));
  const uint32_t normal = (rounded >> drop) - ((uint32_t)(127 - BIAS) << MANTISSA);
  // Adding a number whose last place is the smallest step rounds as the hardware does.
  const uint32_t magic = (uint32_t)(127 + 23 - (MANTISSA + BIAS - 1)) << 23;
  const float sum = float_bits(magnitude) + float_bits(magic);
  return magnitude < least ? from_bits<uint32_t>(sum) - magic : normal;
}

// float8 e5m2: a half cut to eight bits. Larger numbers saturate, as they do on devices.
struct f8e5 {
  uint8_t bits;
  f8e5() = default;
  f8e5(float value) {
    const uint32_t u = from_bits<uint32_t>(value), magnitude = u & 0x7fffffffu;
    const uint32_t cut = to_small<2, 15>(magnitude < 0x47600000u ? magnitude : 0x47600000u);
    bits = (uint8_t)((u >> 24 & 0x80u) | (magnitude > 0x7f800000u ? 0x7fu : cut));
  }
  operator float() const { return (float)from_bits<half>((uint16_t)((uint16_t)bits << 8)); }
};

// float8 e4m3, the format without infinities: at most 448.
struct f8e4 {
  uint8_t bits;
  f8e4() = default;
  f8e4(float value) {
    const uint32_t u = from_bits<uint32_t>(value), magnitude = u & 0x7fffffffu;
    const uint32_t cut = to_small<3, 7>(magnitude < 0x43e00000u ? magnitude : 0x43e00000u);
    bits = (uint8_t)((u >> 24 & 0x80u) | (magnitude > 0x7f800000u ? 0x7fu : cut));
  }
  operator float() const {
    const uint32_t magnitude = bits & 0x7fu, sign = (uint32_t)(bits & 0x80u) << 24;
    // Exponents of a float with 120 less, put right by a product that also makes denormals normal.
    const float value = float_bits(magnitude << 20) * float_bits((uint32_t)(127 + 120) << 23);
    const uint32_t found = magnitude == 0x7fu ? 0x7fc00000u : from_bits<uint32_t>(value);
    return float_bits(found | sign);
  }
};

// What tensor cores keep of a float32: ten bits of the fraction.
static inline float to_tf32(float value) {
  const uint32_t u = from_bits<uint32_t>(value);
  const uint32_t rounded = (u + 0xfffu + ((u >> 13) & 1u)) & ~0x1fffu;
  return (u & 0x7f800000u) == 0x7f800000u ? value : float_bits(rounded);
}

// Division by zero gives what devices give, all ones, and no signal.
template <class T> static inline T div_signed(T a, T b) {
  typedef unsigned_of<T> U;
  return b == 0 ? T(-1) : b == T(-1) ? T(U(0) - U(a)) : T(a / b);
}
template <class T> static inline T rem_signed(T a, T b) {
  return b == 0 ? a : b == T(-1) ? T(0) : T(a % b);
}
template <class T> static inline T div_unsigned(T a, T b) {
  typedef unsigned_of<T> U;
  return b == 0 ? T(-1) : T(U(a) / U(b));
}
template <class T> static inline T rem_unsigned(T a, T b) {
  typedef unsigned_of<T> U;
  return b == 0 ? a : T(U(a) % U(b));
}
template <class T> static inline T floor_div(T a, T b) {
  const T q = div_signed<T>(a, b), r = rem_signed<T>(a, b);
  return b != 0 && r != 0 && ((r < 0) != (b < 0)) ? T(q - 1) : q;
}
template <class T> static inline T ceil_div(T a, T b) {
  const T q = div_signed<T>(a, b), r = rem_signed<T>(a, b);
  return b != 0 && r != 0 && ((r < 0) == (b < 0)) ? T(q + 1) : q;
}
template <class T> static inline T shift_left(T a, T b) {
  typedef unsigned_of<T> U;
  return U(b) >= 8 * sizeof(T) ? T(0) : T(U(a) << U(b));
}
template <class T> static inline T shift_right(T a, T b) {
  typedef unsigned_of<T> U;
  return T(a >> (U(b) >= 8 * sizeof(T) ? U(8 * sizeof(T) - 1) : U(b)));
}
template <class T> static inline T shift_right_unsigned(T a, T b) {
  typedef unsigned_of<T> U;
  return U(b) >= 8 * sizeof(T) ? T(0) : T(U(a) >> U(b));
}
template <class T> static inline T largest(T a, T b) { return a > b ? a : b; }
template <class T> static inline T smallest(T a, T b) { return a < b ? a : b; }
template <class T> static inline T largest_unsigned(T a, T b) {
  return unsigned_of<T>(a) > unsigned_of<T>(b) ? a : b;
}
template <class T> static inline T smallest_unsigned(T a, T b) {
  return unsigned_of<T>(a) < unsigned_of<T>(b) ? a : b;
}
template <class T> static inline T absolute(T a) {
  typedef unsigned_of<T> U;
  return a < 0 ? T(U(0) - U(a)) : a;
}
template <class T> static inline T mul_high(T a, T b) {
  typedef unsigned_of<T> U;
  if constexpr (sizeof(T) == 8) {
    return T((unsigned __int128)U(a) * U(b) >> 64);
  } else {
    return T((uint64_t)U(a) * U(b) >> 8 * sizeof(T));
  }
}
static inline int32_t count_leading(int32_t a) { return a ? __builtin_clz((uint32_t)a) : 32; }
static inline int32_t reverse_bits(int32_t a) {
  uint32_t found = 0;
  for (int bit = 0; bit < 32; ++bit) found |= ((uint32_t)a >> bit & 1u) << (31 - bit);
  return (int32_t)found;
}

// Towards zero; what does not fit becomes the nearest that does, NaN becomes 0.
template <class T, class F> static inline T to_integer(F value) {
  const bool sign = T(-1) < T(0);
  const int bits = 8 * (int)sizeof(T) - (sign ? 1 : 0);
  const T most = (T)((unsigned_of<T>)~(unsigned_of<T>)0 >> (sign ? 1 : 0));
  const T least = sign ? (T)(-most - 1) : T(0);
  const F over = (F)(1ULL << (bits - 1)) * 2;
  if (!(value == value)) return T(0);
  return value >= over ? most : value <= (sign ? -over : F(0)) ? least : (T)value;
}
