// SPDX-License-Identifier: Apache-2.0
// CUDA's mathematical functions beyond the C library's, and its fast intrinsics, which are computed
// accurately here: the device is looser than we are (CUDA C++ Programming Guide, "Mathematical
// Functions"). Names that glibc declares for itself are renamed by macro.
#pragma once
#include "types.h"

#define SIMT_MAXMIN(T)                                        \
  SIMT_ALWAYS T max(T a, T b) { return a < b ? b : a; }       \
  SIMT_ALWAYS T min(T a, T b) { return b < a ? b : a; }
SIMT_MAXMIN(int) SIMT_MAXMIN(unsigned) SIMT_MAXMIN(long) SIMT_MAXMIN(unsigned long)
SIMT_MAXMIN(long long) SIMT_MAXMIN(unsigned long long)
#undef SIMT_MAXMIN
#define SIMT_MIXED(T, A, B)                                   \
  SIMT_ALWAYS T max(A a, B b) { return max(static_cast<T>(a), static_cast<T>(b)); } \
  SIMT_ALWAYS T min(A a, B b) { return min(static_cast<T>(a), static_cast<T>(b)); }
SIMT_MIXED(unsigned, int, unsigned) SIMT_MIXED(unsigned, unsigned, int)
SIMT_MIXED(unsigned long, long, unsigned long) SIMT_MIXED(unsigned long, unsigned long, long)
SIMT_MIXED(unsigned long long, long long, unsigned long long)
SIMT_MIXED(unsigned long long, unsigned long long, long long)
// Of floating numbers they are fmax and fmin: a NaN loses against a number.
SIMT_ALWAYS float max(float a, float b) { return fmaxf(a, b); }
SIMT_ALWAYS float min(float a, float b) { return fminf(a, b); }
SIMT_ALWAYS double max(double a, double b) { return fmax(a, b); }
SIMT_ALWAYS double min(double a, double b) { return fmin(a, b); }
SIMT_MIXED(double, float, double) SIMT_MIXED(double, double, float)
#undef SIMT_MIXED
SIMT_ALWAYS unsigned umin(unsigned a, unsigned b) { return min(a, b); }
SIMT_ALWAYS unsigned umax(unsigned a, unsigned b) { return max(a, b); }
SIMT_ALWAYS long long llmin(long long a, long long b) { return min(a, b); }
SIMT_ALWAYS long long llmax(long long a, long long b) { return max(a, b); }

SIMT_ALWAYS double rsqrt(double x) { return 1.0 / sqrt(x); }
SIMT_ALWAYS float rsqrtf(float x) { return static_cast<float>(1.0 / sqrt(double(x))); }
SIMT_ALWAYS float rsqrt(float x) { return rsqrtf(x); }
SIMT_ALWAYS double rcbrt(double x) { return 1.0 / cbrt(x); }
SIMT_ALWAYS float rcbrtf(float x) { return static_cast<float>(1.0 / cbrt(double(x))); }
SIMT_ALWAYS float fdividef(float a, float b) { return a / b; }
SIMT_ALWAYS double normcdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752440); }
SIMT_ALWAYS float normcdff(float x) { return static_cast<float>(normcdf(double(x))); }
SIMT_ALWAYS double erfcx(double x) { return exp(x * x) * erfc(x); }
SIMT_ALWAYS float erfcxf(float x) { return static_cast<float>(erfcx(double(x))); }
// sin(pi x) is exact at whole numbers because the argument is reduced before it meets pi.
inline double sinpi(double x) {
  const double r = std::remainder(x, 2.0);
  return r == 0 || std::fabs(r) == 1 ? std::copysign(0.0, x) : sin(3.14159265358979323846 * r);
}
inline double cospi(double x) {
  const double r = std::fabs(std::remainder(x, 2.0));
  return r == 0.5 ? 0.0 : cos(3.14159265358979323846 * r);
}
SIMT_ALWAYS float sinpif(float x) { return static_cast<float>(sinpi(double(x))); }
SIMT_ALWAYS float cospif(float x) { return static_cast<float>(cospi(double(x))); }
SIMT_ALWAYS void sincospif(float x, float *s, float *c) { *s = sinpif(x), *c = cospif(x); }
SIMT_ALWAYS float norm3df(float a, float b, float c) { return sqrtf(a * a + b * b + c * c); }
SIMT_ALWAYS float rhypotf(float a, float b) { return 1.0f / hypotf(a, b); }
SIMT_ALWAYS float saturate(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }

#define __expf simt_expf
#define __exp10f simt_exp10f
#define __logf simt_logf
#define __log2f simt_log2f
#define __log10f simt_log10f
#define __powf simt_powf
#define __sinf simt_sinf
#define __cosf simt_cosf
#define __tanf simt_tanf
#define __tanhf simt_tanhf
#define __sincosf simt_sincosf
SIMT_ALWAYS float simt_expf(float x) { return expf(x); }
SIMT_ALWAYS float simt_exp10f(float x) { return static_cast<float>(std::pow(10.0, double(x))); }
SIMT_ALWAYS float simt_logf(float x) { return logf(x); }
SIMT_ALWAYS float simt_log2f(float x) { return log2f(x); }
SIMT_ALWAYS float simt_log10f(float x) { return log10f(x); }
SIMT_ALWAYS float simt_powf(float x, float y) { return powf(x, y); }
SIMT_ALWAYS float simt_sinf(float x) { return sinf(x); }
SIMT_ALWAYS float simt_cosf(float x) { return cosf(x); }
SIMT_ALWAYS float simt_tanf(float x) { return tanf(x); }
SIMT_ALWAYS float simt_tanhf(float x) { return tanhf(x); }
SIMT_ALWAYS void simt_sincosf(float x, float *s, float *c) { *s = sinf(x), *c = cosf(x); }

SIMT_ALWAYS float __fdividef(float a, float b) { return a / b; }
SIMT_ALWAYS float __saturatef(float x) { return saturate(x); }
SIMT_ALWAYS float __frcp_rn(float x) { return 1.0f / x; }
SIMT_ALWAYS float __fsqrt_rn(float x) { return sqrtf(x); }
SIMT_ALWAYS float __frsqrt_rn(float x) { return rsqrtf(x); }
SIMT_ALWAYS float __fadd_rn(float a, float b) { return a + b; }
SIMT_ALWAYS float __fsub_rn(float a, float b) { return a - b; }
SIMT_ALWAYS float __fmul_rn(float a, float b) { return a * b; }
SIMT_ALWAYS float __fdiv_rn(float a, float b) { return a / b; }
SIMT_ALWAYS float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
SIMT_ALWAYS double __dadd_rn(double a, double b) { return a + b; }
SIMT_ALWAYS double __dmul_rn(double a, double b) { return a * b; }
SIMT_ALWAYS double __fma_rn(double a, double b, double c) { return fma(a, b, c); }
