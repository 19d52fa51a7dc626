// SPDX-License-Identifier: Apache-2.0
// Functions of floats. The frequent ones are polynomials of our own, so that loops over lanes become
// vectors without -ffast-math, which would break infinities; the rest is the C library's. Fits and
// reductions of exp, log and tanh follow Moshier's Cephes library (single precision); errors against
// float64 are in tests/triton/test_ttir_numbers.py.
#pragma once
#include <math.h>

#include "ttir_numbers.h"

template <class T> static inline T max_number(T a, T b) { return a > b || b != b ? a : b; }
template <class T> static inline T min_number(T a, T b) { return a < b || b != b ? a : b; }
template <class T> static inline T max_or_nan(T a, T b) { return a > b || a != a ? a : b; }
template <class T> static inline T min_or_nan(T a, T b) { return a < b || a != a ? a : b; }
template <class T> static inline T clamp(T x, T low, T high) {
  return min_number(max_number(x, low), high);
}
template <class T> static inline T clamp_or_nan(T x, T low, T high) {
  return x != x ? x : clamp(x, low, high);
}
static inline bool is_infinite(double x) { return __builtin_fabs(x) == __builtin_inf(); }
static inline bool is_finite(double x) { return __builtin_fabs(x) < __builtin_inf(); }

static inline float abs_(float x) { return __builtin_fabsf(x); }
static inline double abs_(double x) { return __builtin_fabs(x); }
static inline float sqrt_(float x) { return __builtin_sqrtf(x); }
static inline double sqrt_(double x) { return __builtin_sqrt(x); }
static inline float rsqrt_(float x) { return 1.0f / __builtin_sqrtf(x); }
static inline double rsqrt_(double x) { return 1.0 / __builtin_sqrt(x); }
static inline float floor_(float x) { return __builtin_floorf(x); }
static inline double floor_(double x) { return __builtin_floor(x); }
static inline float ceil_(float x) { return __builtin_ceilf(x); }
static inline double ceil_(double x) { return __builtin_ceil(x); }
static inline float trunc_(float x) { return __builtin_truncf(x); }
static inline double trunc_(double x) { return __builtin_trunc(x); }
static inline float round_(float x) { return roundf(x); }
static inline double round_(double x) { return round(x); }
static inline float fma_(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
static inline double fma_(double a, double b, double c) { return __builtin_fma(a, b, c); }
static inline float fmod_(float a, float b) { return fmodf(a, b); }
static inline double fmod_(double a, double b) { return fmod(a, b); }
static inline float sin_(float x) { return sinf(x); }
static inline double sin_(double x) { return sin(x); }
static inline float cos_(float x) { return cosf(x); }
static inline double cos_(double x) { return cos(x); }
static inline float erf_(float x) { return erff(x); }
static inline double erf_(double x) { return erf(x); }
static inline float log1p_(float x) { return log1pf(x); }
static inline double log1p_(double x) { return log1p(x); }
static inline float expm1_(float x) { return expm1f(x); }
static inline double expm1_(double x) { return expm1(x); }
static inline double exp_(double x) { return exp(x); }
static inline double exp2_(double x) { return exp2(x); }
static inline double log_(double x) { return log(x); }
static inline double log2_(double x) { return log2(x); }
static inline double tanh_(double x) { return tanh(x); }

// e^r for |r| <= ln(2)/2, times 2^n in two steps, so that denormals come out.
static inline float exp_scaled(float r, uint32_t n) {
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  const uint32_t half_n = (uint32_t)((int32_t)n >> 1);
  return p * float_bits((half_n + 127u) << 23) * float_bits((n - half_n + 127u) << 23);
}
static const float SHIFTER = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer

static inline float exp_(float x) {
  const float inside = x < -105.0f ? -105.0f : x > 89.0f ? 89.0f : x;
  const float shifted = __builtin_fmaf(inside, 1.44269504f, SHIFTER);
  const float n = shifted - SHIFTER;
  const float r = __builtin_fmaf(n, 2.12194440e-4f, __builtin_fmaf(n, -0.693359375f, inside));
  const float found = exp_scaled(r, from_bits<uint32_t>(shifted) - 0x4b400000u);
  return x != x ? x : found;
}
static inline float exp2_(float x) {
  const float inside = x < -151.0f ? -151.0f : x > 129.0f ? 129.0f : x;
  const float shifted = inside + SHIFTER;
  const float r = (inside - (shifted - SHIFTER)) * 0.69314718f;
  const float found = exp_scaled(r, from_bits<uint32_t>(shifted) - 0x4b400000u);
  return x != x ? x : found;
}

// The exponent and the fraction, the latter between sqrt(1/2) and sqrt(2), less one.
static inline float log_parts(float x, float *exponent) {
  const bool tiny = x < 1.17549435e-38f;
  const uint32_t u = from_bits<uint32_t>(tiny ? x * 8388608.0f : x) - 0x3f3504f3u;
  *exponent = (float)((int32_t)u >> 23) - (tiny ? 23.0f : 0.0f);
  return float_bits((u & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
}
static inline float log_rest(float m) {  // log(1 + m) - m
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  return p * m * (m * m) - 0.5f * (m * m);
}
static inline float log_edges(float x, float found) {
  const float inf = __builtin_inff();
  const float low = x == 0.0f ? -inf : __builtin_nanf("");
  return x > 0.0f ? (x < inf ? found : x) : low;
}
static inline float log_(float x) {
  float e;
  const float m = log_parts(x, &e);
  const float rest = __builtin_fmaf(e, -2.12194440e-4f, log_rest(m));
  return log_edges(x, __builtin_fmaf(e, 0.693359375f, m + rest));
}
static inline float log2_(float x) {
  float e;
  const float m = log_parts(x, &e), rest = log_rest(m);
  const float low = rest * 0.44269504f + m * 0.44269504f;
  return log_edges(x, e + (m + (rest + low)));
}

static inline float tanh_(float x) {
  const float a = __builtin_fabsf(x), z = x * x;
  float p = -5.70498872745e-3f;
  p = p * z + 2.06390887954e-2f;
  p = p * z - 5.37397155531e-2f;
  p = p * z + 1.33314422036e-1f;
  p = p * z - 3.33332819422e-1f;
  const float small = p * z * x + x;
  const float large = 1.0f - 2.0f / (exp_(2.0f * a) + 1.0f);
  return x != x ? x : a < 0.625f ? small : __builtin_copysignf(large, x);
}

// The inverse of erf: a start good to 2e-3 (Winitzki), then Newton's steps in double.
static inline double erf_inverse(double y) {
  if (!(y > -1.0 && y < 1.0)) return y == 1.0 || y == -1.0 ? y * __builtin_inf() : __builtin_nan("");
  const double l = log1p(-y * y), t = 2.0 / (3.14159265358979 * 0.147) + l / 2;
  double x = copysign(sqrt(sqrt(t * t - l / 0.147) - t), y);
  for (int step = 0; step < 4; ++step) x -= (erf(x) - y) * 0.88622692545275801 * exp(x * x);
  return x;
}
