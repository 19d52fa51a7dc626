// SPDX-License-Identifier: Apache-2.0
// metal_math, metal_common, metal_relational, metal_geometric: functions of reals and vectors.
//
// Which call is taken and which is "ambiguous" follows from the overloads that Metal has, half and
// float, and those that MLX adds for bfloat. All is computed accurately in float and rounded once:
// fast:: and precise:: are the same here.
#pragma once
#include "vec.h"

namespace metal {

// The type a function of reals computes in, or void where Metal finds no call or several: equal
// types; integers become the real beside them; a bfloat beside a float becomes a float.
template <class A, class B>
constexpr auto joined() {
  if constexpr (std::is_same_v<A, B> && is_real<A>)
    return A();
  else if constexpr (is_real<A> && is_whole<B>)
    return A();
  else if constexpr (is_whole<A> && is_real<B>)
    return B();
  else if constexpr ((std::is_same_v<A, bfloat> && is_real<B>) ||
                     (is_real<A> && std::is_same_v<B, bfloat>))
    return float();
}
template <class A, class B>
using Joined = decltype(joined<A, B>());
template <class... A>
struct JoinedAll;
template <class A, class B>
struct JoinedAll<A, B> {
  using type = Joined<A, B>;
};
template <class A, class B, class C>
struct JoinedAll<A, B, C> {
  using type = Joined<Joined<A, B>, C>;
};
template <class... A>
concept Joins = (Scalar<A> && ...) && !std::is_void_v<typename JoinedAll<A...>::type>;

// For min, max, clamp: the integers have overloads of their own, so a mixture is ambiguous.
template <class A, class B>
concept Alike = (std::is_same_v<A, B> && Scalar<A> && !std::is_same_v<A, bool>) ||
                (is_real<A> && is_real<B> && !std::is_same_v<A, B> &&
                 (std::is_same_v<A, bfloat> || std::is_same_v<B, bfloat>));
template <class A, class B>
using Likeness = std::conditional_t<std::is_same_v<A, B>, A, float>;

// f(float) as a function of every real and real vector.
#define KC_ONE(name, value)                                         \
  template <Real T>                                                 \
  inline T name(T from) {                                           \
    const float x = wide(from);                                     \
    return T(value);                                                \
  }                                                                 \
  template <Vector A>                                               \
    requires is_real<element_of<A>>                                 \
  inline auto name(const A &a) {                                    \
    return each([](auto x) { return (name)(x); }, a);               \
  }
#define KC_TWO(name, value)                                                     \
  template <class A, class B>                                                   \
    requires Joins<A, B>                                                        \
  inline Joined<A, B> name(A first, B second) {                                 \
    using T = Joined<A, B>;                                                     \
    const float x = wide(T(first)), y = wide(T(second));                        \
    return T(value);                                                            \
  }                                                                             \
  template <class A, class B>                                                   \
    requires Mates<A, B> && is_real<element_of<Mate<A, B>>>                     \
  inline auto name(const A &a, const B &b) {                                    \
    return zip([](auto x, auto y) { return (name)(x, y); }, a, b);              \
  }

// x - floor(x) rounds to 1 for tiny negative x; the result has to be below.
inline float fraction(float x) {
  const float part = x - __builtin_floorf(x);
  return x - x != 0 ? (x != x ? x : 0.0f) : part < 1.0f ? part : 0x1.fffffep-1f;
}
// Exact multiples of a half turn first, so that sinpi(1) is 0.
inline float sine_of_turns(float x) {
  const double r = __builtin_fmod(x, 2.0);
  return r == 0 || r == 1 || r == -1 ? 0.0f : float(__builtin_sin(3.14159265358979323846 * r));
}
inline float cosine_of_turns(float x) {
  const double r = __builtin_fmod(x, 2.0);
  return r == 0.5 || r == -0.5 || r == 1.5 || r == -1.5
             ? 0.0f
             : float(__builtin_cos(3.14159265358979323846 * r));
}

#define KC_MATH                                                                           \
  KC_ONE(acos, __builtin_acosf(x))                                                        \
  KC_ONE(acosh, __builtin_acoshf(x))                                                      \
  KC_ONE(asin, __builtin_asinf(x))                                                        \
  KC_ONE(asinh, __builtin_asinhf(x))                                                      \
  KC_ONE(atan, __builtin_atanf(x))                                                        \
  KC_ONE(atanh, __builtin_atanhf(x))                                                      \
  KC_ONE(ceil, __builtin_ceilf(x))                                                        \
  KC_ONE(cos, __builtin_cosf(x))                                                          \
  KC_ONE(cosh, __builtin_coshf(x))                                                        \
  KC_ONE(cospi, cosine_of_turns(x))                                                       \
  KC_ONE(exp, __builtin_expf(x))                                                          \
  KC_ONE(exp2, __builtin_exp2f(x))                                                        \
  KC_ONE(exp10, float(__builtin_exp(2.302585092994045684 * x)))                           \
  KC_ONE(fabs, __builtin_fabsf(x))                                                        \
  KC_ONE(floor, __builtin_floorf(x))                                                      \
  KC_ONE(fract, fraction(x))                                                              \
  KC_ONE(log, __builtin_logf(x))                                                          \
  KC_ONE(log2, __builtin_log2f(x))                                                        \
  KC_ONE(log10, __builtin_log10f(x))                                                      \
  KC_ONE(rint, __builtin_rintf(x))                                                        \
  KC_ONE(round, __builtin_roundf(x))                                                      \
  KC_ONE(rsqrt, float(1.0 / __builtin_sqrt(double(x))))                                   \
  KC_ONE(sin, __builtin_sinf(x))                                                          \
  KC_ONE(sinh, __builtin_sinhf(x))                                                        \
  KC_ONE(sinpi, sine_of_turns(x))                                                         \
  KC_ONE(sqrt, __builtin_sqrtf(x))                                                        \
  KC_ONE(tan, __builtin_tanf(x))                                                          \
  KC_ONE(tanh, __builtin_tanhf(x))                                                        \
  KC_ONE(tanpi, sine_of_turns(x) / cosine_of_turns(x))                                    \
  KC_ONE(trunc, __builtin_truncf(x))                                                      \
  KC_TWO(atan2, __builtin_atan2f(x, y))                                                   \
  KC_TWO(copysign, __builtin_copysignf(x, y))                                             \
  KC_TWO(divide, x / y)                                                                   \
  KC_TWO(fdim, __builtin_fdimf(x, y))                                                     \
  KC_TWO(fmax, __builtin_fmaxf(x, y))                                                     \
  KC_TWO(fmin, __builtin_fminf(x, y))                                                     \
  KC_TWO(fmod, __builtin_fmodf(x, y))                                                     \
  KC_TWO(pow, __builtin_powf(x, y))                                                       \
  KC_TWO(powr, x < 0 ? __builtin_nanf("") : __builtin_powf(x, y))
KC_MATH
namespace precise {
KC_MATH
}
namespace fast {
KC_MATH
}

// ---- of three
#define KC_THREE(name, value)                                                   \
  template <class A, class B, class C>                                          \
    requires Joins<A, B, C>                                                     \
  inline auto name(A first, B second, C third) {                                \
    using T = typename JoinedAll<A, B, C>::type;                                \
    const float x = wide(T(first)), y = wide(T(second)), z = wide(T(third));    \
    return T(value);                                                            \
  }                                                                             \
  template <Vector A, class B, class C>                                         \
    requires Mates<A, B> && Mates<A, C> && is_real<element_of<A>>               \
  inline auto name(const A &a, const B &b, const C &c) {                        \
    vec<element_of<A>, count_of<A>> out;                                        \
    using T = element_of<A>;                                                    \
    for (int k = 0; k < count_of<A>; ++k)                                       \
      out.all[k] = name(T(part(a, k)), T(part(b, k)), T(part(c, k)));           \
    return out;                                                                 \
  }
inline float smooth(float low, float high, float x) {
  const float t = (x - low) / (high - low);
  const float s = t < 0 ? 0.0f : t > 1 ? 1.0f : t;
  return s * s * (3 - 2 * s);
}
KC_THREE(fma, __builtin_fmaf(x, y, z))
KC_THREE(mix, x + (y - x) * z)
KC_THREE(smoothstep, smooth(x, y, z))
KC_THREE(fmax3, __builtin_fmaxf(__builtin_fmaxf(x, y), z))
KC_THREE(fmin3, __builtin_fminf(__builtin_fminf(x, y), z))
KC_ONE(sign, x > 0 ? 1.0f : x < 0 ? -1.0f : x == 0 ? x : 0.0f)
KC_ONE(saturate, __builtin_fminf(__builtin_fmaxf(x, 0.0f), 1.0f))
KC_TWO(step, y < x ? 0.0f : 1.0f)
KC_TWO(nextafter, __builtin_nextafterf(x, y))

// ---- of reals and integers
template <class A, class B>
  requires Alike<A, B>
inline auto max(A a, B b) {
  using T = Likeness<A, B>;
  if constexpr (is_real<T>)
    return T(__builtin_fmaxf(wide(T(a)), wide(T(b))));
  else
    return a < b ? b : a;
}
template <class A, class B>
  requires Alike<A, B>
inline auto min(A a, B b) {
  using T = Likeness<A, B>;
  if constexpr (is_real<T>)
    return T(__builtin_fminf(wide(T(a)), wide(T(b))));
  else
    return b < a ? b : a;
}
template <class A, class B>
  requires Mates<A, B>
inline auto max(const A &a, const B &b) {
  return zip([](auto x, auto y) { return metal::max(x, y); }, a, b);
}
template <class A, class B>
  requires Mates<A, B>
inline auto min(const A &a, const B &b) {
  return zip([](auto x, auto y) { return metal::min(x, y); }, a, b);
}
template <class A, class B, class C>
  requires requires(A a, B b, C c) { metal::min(metal::max(a, b), c); }
inline auto clamp(A a, B low, C high) {
  return metal::min(metal::max(a, low), high);
}
template <class A>
inline auto max3(A a, A b, A c) {
  return metal::max(metal::max(a, b), c);
}
template <class A>
inline auto min3(A a, A b, A c) {
  return metal::min(metal::min(a, b), c);
}
template <class A>
inline auto median3(A a, A b, A c) {
  return metal::max(metal::min(a, b), metal::min(metal::max(a, b), c));
}
template <Scalar A>
inline A abs(A a) {
  if constexpr (is_real<A>)
    return A(__builtin_fabsf(wide(a)));
  else if constexpr (std::is_signed_v<A>)
    return A(a < 0 ? -a : a);
  else
    return a;
}
template <Vector A>
inline auto abs(const A &a) {
  return each([](auto x) { return metal::abs(x); }, a);
}
namespace precise {
using metal::abs;
using metal::clamp;
using metal::fma;
using metal::max;
using metal::min;
using metal::saturate;
}  // namespace precise
namespace fast {
using metal::abs;
using metal::clamp;
using metal::fma;
using metal::max;
using metal::min;
using metal::saturate;
}  // namespace fast

// ---- with a second result
template <Real T>
inline T sincos(T x, T &cosine) {
  cosine = cos(x);
  return sin(x);
}
template <Real T>
inline T frexp(T x, int &exponent) {
  return T(__builtin_frexpf(wide(x), &exponent));
}
template <Real T>
inline T ldexp(T x, int k) {
  return T(__builtin_ldexpf(wide(x), k));
}
template <Real T>
inline T modf(T x, T &whole_part) {
  whole_part = trunc(x);
  return T(wide(x) - wide(whole_part));
}
template <Real T>
inline int ilogb(T x) {
  return __builtin_ilogbf(wide(x));
}

// ---- metal_relational
#define KC_ASK(name, value)                              \
  template <Real T>                                      \
  inline bool name(T from) {                             \
    const float x = wide(from);                          \
    return value;                                        \
  }                                                      \
  template <Vector A>                                    \
    requires is_real<element_of<A>>                      \
  inline auto name(const A &a) {                         \
    return each([](auto x) { return name(x); }, a);      \
  }
KC_ASK(isnan, x != x)
KC_ASK(isinf, __builtin_fabsf(x) == __builtin_inff())
KC_ASK(isfinite, x - x == 0)
KC_ASK(isnormal, __builtin_isnormal(x))
KC_ASK(signbit, __builtin_signbit(x) != 0)
template <class T, class U>
  requires(Scalar<T> && (std::is_same_v<T, U> || Joins<T, U>))
inline auto select(T a, U b, bool second) {
  using R = std::conditional_t<std::is_same_v<T, U>, T, decltype(second ? b : a)>;
  return second ? R(b) : R(a);
}
template <Vector A, Vector B, Vector C>
  requires(count_of<A> == count_of<B> && count_of<A> == count_of<C>)
inline auto select(const A &a, const B &b, const C &second) {
  vec<element_of<A>, count_of<A>> out;
  for (int k = 0; k < count_of<A>; ++k) out.all[k] = part(second, k) ? part(b, k) : part(a, k);
  return out;
}

// ---- metal_geometric
template <class A, class B>
  requires(Vector<A> && Vector<B> && Mates<A, B>)
inline auto dot(const A &a, const B &b) {
  auto sum = element_of<A>(part(a, 0) * part(b, 0));
  for (int k = 1; k < count_of<A>; ++k) sum = element_of<A>(sum + part(a, k) * part(b, k));
  return sum;
}
template <Vector A>
inline auto length_squared(const A &a) {
  return dot(a, a);
}
template <Vector A>
inline auto length(const A &a) {
  return sqrt(dot(a, a));
}
template <class A, class B>
  requires Mates<A, B>
inline auto distance(const A &a, const B &b) {
  return length(a - b);
}
template <class A, class B>
  requires Mates<A, B>
inline auto distance_squared(const A &a, const B &b) {
  return length_squared(a - b);
}
template <Vector A>
inline auto normalize(const A &a) {
  return a * rsqrt(dot(a, a));
}
template <class A, class B>
  requires(Mates<A, B> && count_of<A> == 3 && count_of<B> == 3)
inline auto cross(const A &first, const B &second) {
  const auto a = whole(first), b = whole(second);
  return decltype(whole(first))(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z,
                                a.x * b.y - a.y * b.x);
}

}  // namespace metal
