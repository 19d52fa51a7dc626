// SPDX-License-Identifier: Apache-2.0
// Scalar types of the Metal Shading Language, their limits and what asks about types.
//
// No header that declares C's functions may come in here or anywhere below metal/: a global
// exp(double) would take calls that Metal's compiler refuses.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <limits>
#include <type_traits>
#include <utility>

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;

namespace metal {

// The compiler's own 16-bit type rounds after every operation (-fexcess-precision=16), converts
// and overloads like Metal's.
typedef _Float16 half;

// Metal's bfloat converts by itself to float only, and nothing but integers converts to it by
// itself (MSL 3.1, section 2.1): `y[i] = x` with a float x is an error there, so it is one here.
struct bfloat {
  uint16_t bits;

  bfloat() = default;
  template <class F>
    requires std::is_floating_point_v<F> || std::is_same_v<F, half>
  constexpr explicit bfloat(F from) : bits(round(static_cast<float>(from))) {}
  template <class I>
    requires std::is_integral_v<I>
  constexpr bfloat(I from) : bits(round(static_cast<float>(from))) {}
  constexpr operator float() const { return __builtin_bit_cast(float, uint32_t(bits) << 16); }

  constexpr bfloat operator-() const {
    bfloat out{};
    out.bits = bits ^ 0x8000;
    return out;
  }
  constexpr bfloat operator+() const { return *this; }
  constexpr bfloat &operator++() { return *this = bfloat(float(*this) + 1.0f); }
  constexpr bfloat &operator--() { return *this = bfloat(float(*this) - 1.0f); }
  constexpr bfloat operator++(int) {
    const bfloat old = *this;
    ++*this;
    return old;
  }
  constexpr bfloat operator--(int) {
    const bfloat old = *this;
    --*this;
    return old;
  }

 private:
  // To nearest, ties to even; a NaN stays one.
  static constexpr uint16_t round(float from) {
    const uint32_t word = __builtin_bit_cast(uint32_t, from);
    if ((word & 0x7fffffff) > 0x7f800000) return uint16_t(word >> 16 | 0x40);
    return uint16_t((word + 0x7fff + (word >> 16 & 1)) >> 16);
  }
};

#define KC_BFLOAT_MATH(op)                                                              \
  constexpr bfloat operator op(bfloat a, bfloat b) { return bfloat(float(a) op float(b)); } \
  template <class I>                                                                    \
    requires std::is_integral_v<I>                                                      \
  constexpr bfloat operator op(bfloat a, I b) {                                         \
    return a op bfloat(b);                                                              \
  }                                                                                     \
  template <class I>                                                                    \
    requires std::is_integral_v<I>                                                      \
  constexpr bfloat operator op(I a, bfloat b) {                                         \
    return bfloat(a) op b;                                                              \
  }                                                                                     \
  constexpr bfloat &operator op##=(bfloat &a, bfloat b) { return a = a op b; }
KC_BFLOAT_MATH(+)
KC_BFLOAT_MATH(-)
KC_BFLOAT_MATH(*)
KC_BFLOAT_MATH(/)
#undef KC_BFLOAT_MATH

#define KC_BFLOAT_COMPARE(op)                                                      \
  constexpr bool operator op(bfloat a, bfloat b) { return float(a) op float(b); }  \
  template <class I>                                                               \
    requires std::is_integral_v<I>                                                 \
  constexpr bool operator op(bfloat a, I b) {                                      \
    return float(a) op float(b);                                                   \
  }                                                                                \
  template <class I>                                                               \
    requires std::is_integral_v<I>                                                 \
  constexpr bool operator op(I a, bfloat b) {                                      \
    return float(a) op float(b);                                                   \
  }
KC_BFLOAT_COMPARE(<)
KC_BFLOAT_COMPARE(>)
KC_BFLOAT_COMPARE(<=)
KC_BFLOAT_COMPARE(>=)
KC_BFLOAT_COMPARE(==)
KC_BFLOAT_COMPARE(!=)
#undef KC_BFLOAT_COMPARE

// ---- what asks about types (metal_type_traits, metal_utility)
template <class T>
inline constexpr bool is_real =
    std::is_same_v<T, float> || std::is_same_v<T, half> || std::is_same_v<T, bfloat>;
template <class T>
inline constexpr bool is_whole = std::is_integral_v<T>;
template <class T>
concept Real = is_real<T>;
template <class T>
concept Whole = is_whole<T> && !std::is_same_v<T, bool>;
template <class T>
concept Scalar = is_real<T> || is_whole<T>;

using std::conditional;
using std::conditional_t;
using std::decay_t;
using std::declval;
using std::enable_if;
using std::enable_if_t;
using std::false_type;
using std::integral_constant;
using std::is_const_v;
using std::is_convertible_v;
using std::is_integral;
using std::is_integral_v;
using std::is_pointer_v;
using std::is_same;
using std::is_same_v;
using std::is_signed;
using std::is_signed_v;
using std::is_unsigned;
using std::is_unsigned_v;
using std::make_signed_t;
using std::make_unsigned_t;
using std::remove_const_t;
using std::remove_cv_t;
using std::remove_reference_t;
using std::true_type;
template <class T>
struct is_floating_point : std::bool_constant<is_real<std::remove_cv_t<T>>> {};
template <class T>
inline constexpr bool is_floating_point_v = is_floating_point<T>::value;
template <class T>
inline constexpr bool is_arithmetic_v = Scalar<std::remove_cv_t<T>>;
template <class T>
struct is_arithmetic : std::bool_constant<is_arithmetic_v<T>> {};

// ---- limits (metal_limits)
template <class T>
struct numeric_limits : std::numeric_limits<T> {};

template <class T, uint16_t MAX, uint16_t MIN, uint16_t EPSILON, uint16_t INF, uint16_t QUIET>
struct SmallLimits {
  static constexpr T from(uint16_t bits) { return __builtin_bit_cast(T, bits); }
  static constexpr bool is_specialized = true, is_signed = true, is_integer = false;
  static constexpr bool has_infinity = true, has_quiet_NaN = true;
  static constexpr T max() { return from(MAX); }
  static constexpr T lowest() { return from(MAX | 0x8000); }
  static constexpr T min() { return from(MIN); }
  static constexpr T denorm_min() { return from(1); }
  static constexpr T epsilon() { return from(EPSILON); }
  static constexpr T infinity() { return from(INF); }
  static constexpr T quiet_NaN() { return from(QUIET); }
};
template <>
struct numeric_limits<half> : SmallLimits<half, 0x7bff, 0x0400, 0x1400, 0x7c00, 0x7e00> {
  static constexpr int digits = 11;
};
template <>
struct numeric_limits<bfloat> : SmallLimits<bfloat, 0x7f7f, 0x0080, 0x3c00, 0x7f80, 0x7fc0> {
  static constexpr int digits = 8;
};

// What a 32-bit computation of a function of T is done in, and given back as.
template <Real T>
constexpr float wide(T x) {
  return static_cast<float>(x);
}

}  // namespace metal

// In Metal a cast in the language, at global scope.
template <class To, class From>
constexpr To as_type(const From &from) {
  static_assert(sizeof(To) == sizeof(From), "as_type between types of different sizes");
  if constexpr (std::is_trivially_copyable_v<To> && std::is_trivially_copyable_v<From>) {
    return __builtin_bit_cast(To, from);
  } else {
    To to;
    __builtin_memcpy((void *)&to, &from, sizeof to);
    return to;
  }
}

constexpr metal::half operator""h(long double value) { return metal::half(value); }
constexpr metal::half operator""h(unsigned long long value) { return metal::half(value); }
constexpr metal::half operator""H(long double value) { return metal::half(value); }
constexpr metal::bfloat operator""bf(long double value) { return metal::bfloat(float(value)); }
constexpr metal::bfloat operator""BF(long double value) { return metal::bfloat(float(value)); }
