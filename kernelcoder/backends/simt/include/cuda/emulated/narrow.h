// SPDX-License-Identifier: Apache-2.0
// A 16-bit floating type and its pair, included once for each: SIMT_N and SIMT_N2 are their names,
// SIMT_WORD(float) and SIMT_FLOAT(word) convert. Every operation rounds: it is done in float (or
// double), whose extra digits are more than twice and two as many, so rounding twice is harmless
// (Figueroa, "When is double rounding innocuous?", 1995).
//
// Conversions are as implicit as CUDA's, so that what is ambiguous there is ambiguous here.

struct SIMT_N {
  unsigned short simt_word;
  SIMT_N() = default;  // trivial: there are shared arrays of these
  SIMT_N(float v) : simt_word(SIMT_WORD(v)) {}
  SIMT_N(double v) : simt_word(SIMT_WORD(v)) {}
  SIMT_N(short v) : SIMT_N(static_cast<float>(v)) {}
  SIMT_N(unsigned short v) : SIMT_N(static_cast<float>(v)) {}
  SIMT_N(int v) : SIMT_N(static_cast<double>(v)) {}
  SIMT_N(unsigned v) : SIMT_N(static_cast<double>(v)) {}
  SIMT_N(long v) : SIMT_N(static_cast<double>(v)) {}
  SIMT_N(unsigned long v) : SIMT_N(static_cast<double>(v)) {}
  SIMT_N(long long v) : SIMT_N(static_cast<double>(v)) {}
  SIMT_N(unsigned long long v) : SIMT_N(static_cast<double>(v)) {}
  operator float() const { return SIMT_FLOAT(simt_word); }
  operator bool() const { return (simt_word & 0x7fff) != 0; }
  operator signed char() const { return simt::to_integer<signed char>(float(*this)); }
  operator unsigned char() const { return simt::to_integer<unsigned char>(float(*this)); }
  operator short() const { return simt::to_integer<short>(float(*this)); }
  operator unsigned short() const { return simt::to_integer<unsigned short>(float(*this)); }
  operator int() const { return simt::to_integer<int>(float(*this)); }
  operator unsigned() const { return simt::to_integer<unsigned>(float(*this)); }
  operator long() const { return simt::to_integer<long>(float(*this)); }
  operator unsigned long() const { return simt::to_integer<unsigned long>(float(*this)); }
  operator long long() const { return simt::to_integer<long long>(float(*this)); }
  operator unsigned long long() const { return simt::to_integer<unsigned long long>(float(*this)); }
  SIMT_N &operator=(float v) { return *this = SIMT_N(v); }
  SIMT_N &operator=(double v) { return *this = SIMT_N(v); }
  SIMT_N &operator=(int v) { return *this = SIMT_N(v); }
};

struct __attribute__((aligned(4))) SIMT_N2 {
  SIMT_N x, y;
  SIMT_N2() = default;
  SIMT_N2(const SIMT_N &a, const SIMT_N &b) : x(a), y(b) {}
};

#define SIMT_OPERATOR(OP)                                                                    \
  SIMT_ALWAYS SIMT_N operator OP(const SIMT_N &a, const SIMT_N &b) {                         \
    return SIMT_N(float(a) OP float(b));                                                     \
  }                                                                                          \
  SIMT_ALWAYS SIMT_N &operator OP##=(SIMT_N &a, const SIMT_N &b) { return a = a OP b; }       \
  SIMT_ALWAYS SIMT_N2 operator OP(const SIMT_N2 &a, const SIMT_N2 &b) {                      \
    return {a.x OP b.x, a.y OP b.y};                                                         \
  }                                                                                          \
  SIMT_ALWAYS SIMT_N2 &operator OP##=(SIMT_N2 &a, const SIMT_N2 &b) { return a = a OP b; }
SIMT_OPERATOR(+) SIMT_OPERATOR(-) SIMT_OPERATOR(*) SIMT_OPERATOR(/)
#undef SIMT_OPERATOR
SIMT_ALWAYS SIMT_N operator-(const SIMT_N &a) {
  SIMT_N r = a;
  r.simt_word ^= 0x8000;
  return r;
}
SIMT_ALWAYS SIMT_N operator+(const SIMT_N &a) { return a; }
SIMT_ALWAYS SIMT_N2 operator-(const SIMT_N2 &a) { return {-a.x, -a.y}; }
SIMT_ALWAYS SIMT_N &operator++(SIMT_N &a) { return a += SIMT_N(1.0f); }
SIMT_ALWAYS SIMT_N &operator--(SIMT_N &a) { return a -= SIMT_N(1.0f); }
#define SIMT_COMPARE(OP, NAME)                                                               \
  SIMT_ALWAYS bool operator OP(const SIMT_N &a, const SIMT_N &b) { return float(a) OP float(b); } \
  SIMT_ALWAYS bool __h##NAME(SIMT_N a, SIMT_N b) { return float(a) OP float(b); }            \
  SIMT_ALWAYS bool __hb##NAME##2(SIMT_N2 a, SIMT_N2 b) { return a.x OP b.x && a.y OP b.y; }  \
  SIMT_ALWAYS SIMT_N2 __h##NAME##2(SIMT_N2 a, SIMT_N2 b) {                                   \
    return {SIMT_N(a.x OP b.x ? 1.0f : 0.0f), SIMT_N(a.y OP b.y ? 1.0f : 0.0f)};             \
  }
SIMT_COMPARE(==, eq) SIMT_COMPARE(!=, ne) SIMT_COMPARE(<, lt) SIMT_COMPARE(<=, le)
SIMT_COMPARE(>, gt) SIMT_COMPARE(>=, ge)
#undef SIMT_COMPARE

SIMT_ALWAYS SIMT_N __habs(SIMT_N a) {
  a.simt_word &= 0x7fff;
  return a;
}
SIMT_ALWAYS SIMT_N2 __habs2(SIMT_N2 a) { return {__habs(a.x), __habs(a.y)}; }
SIMT_ALWAYS SIMT_N __hneg(SIMT_N a) { return -a; }
SIMT_ALWAYS SIMT_N2 __hneg2(SIMT_N2 a) { return -a; }
SIMT_ALWAYS bool __hisnan(SIMT_N a) { return float(a) != float(a); }
SIMT_ALWAYS int __hisinf(SIMT_N a) {
  const float v = float(a);
  return v == __builtin_inff() ? 1 : v == -__builtin_inff() ? -1 : 0;
}
#define SIMT_NAMED(NAME, OP)                                                                 \
  SIMT_ALWAYS SIMT_N __h##NAME(SIMT_N a, SIMT_N b) { return a OP b; }                        \
  SIMT_ALWAYS SIMT_N __h##NAME##_rn(SIMT_N a, SIMT_N b) { return a OP b; }                   \
  SIMT_ALWAYS SIMT_N2 __h##NAME##2(SIMT_N2 a, SIMT_N2 b) { return a OP b; }                  \
  SIMT_ALWAYS SIMT_N2 __h##NAME##2_rn(SIMT_N2 a, SIMT_N2 b) { return a OP b; }
SIMT_NAMED(add, +) SIMT_NAMED(sub, -) SIMT_NAMED(mul, *)
#undef SIMT_NAMED
SIMT_ALWAYS SIMT_N __hdiv(SIMT_N a, SIMT_N b) { return a / b; }
SIMT_ALWAYS SIMT_N2 __h2div(SIMT_N2 a, SIMT_N2 b) { return a / b; }
SIMT_ALWAYS SIMT_N simt_unit(SIMT_N a) {  // [0, 1], NaN to 0
  const float v = float(a);
  return SIMT_N(v > 0 ? (v < 1 ? v : 1.0f) : 0.0f);
}
SIMT_ALWAYS SIMT_N __hadd_sat(SIMT_N a, SIMT_N b) { return simt_unit(a + b); }
SIMT_ALWAYS SIMT_N __hmul_sat(SIMT_N a, SIMT_N b) { return simt_unit(a * b); }
// The product is exact in double, the sum rounds once there and once more to 16 bits.
SIMT_ALWAYS SIMT_N __hfma(SIMT_N a, SIMT_N b, SIMT_N c) {
  return SIMT_N(static_cast<double>(float(a)) * float(b) + float(c));
}
SIMT_ALWAYS SIMT_N __hfma_sat(SIMT_N a, SIMT_N b, SIMT_N c) { return simt_unit(__hfma(a, b, c)); }
SIMT_ALWAYS SIMT_N __hfma_relu(SIMT_N a, SIMT_N b, SIMT_N c) {
  const SIMT_N v = __hfma(a, b, c);
  return float(v) > 0 || __hisnan(v) ? v : SIMT_N(0.0f);
}
SIMT_ALWAYS SIMT_N2 __hfma2(SIMT_N2 a, SIMT_N2 b, SIMT_N2 c) {
  return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}
#define SIMT_LARGER(NAME, OP)                                                                \
  SIMT_ALWAYS SIMT_N __h##NAME(SIMT_N a, SIMT_N b) {                                         \
    return __hisnan(a) ? b : __hisnan(b) ? a : float(b) OP float(a) ? b : a;                 \
  }                                                                                          \
  SIMT_ALWAYS SIMT_N __h##NAME##_nan(SIMT_N a, SIMT_N b) {                                   \
    return __hisnan(a) ? a : __hisnan(b) ? b : float(b) OP float(a) ? b : a;                 \
  }                                                                                          \
  SIMT_ALWAYS SIMT_N2 __h##NAME##2(SIMT_N2 a, SIMT_N2 b) {                                   \
    return {__h##NAME(a.x, b.x), __h##NAME(a.y, b.y)};                                       \
  }                                                                                          \
  SIMT_ALWAYS SIMT_N2 __h##NAME##2_nan(SIMT_N2 a, SIMT_N2 b) {                               \
    return {__h##NAME##_nan(a.x, b.x), __h##NAME##_nan(a.y, b.y)};                           \
  }
SIMT_LARGER(max, >) SIMT_LARGER(min, <)
#undef SIMT_LARGER
// Functions: computed in float, rounded once.
#define SIMT_FUNCTION(NAME, VALUE)                                                           \
  SIMT_ALWAYS SIMT_N h##NAME(SIMT_N a) {                                                     \
    const float v = float(a);                                                                \
    return SIMT_N(VALUE);                                                                    \
  }                                                                                          \
  SIMT_ALWAYS SIMT_N2 h2##NAME(SIMT_N2 a) { return {h##NAME(a.x), h##NAME(a.y)}; }
SIMT_FUNCTION(exp, expf(v)) SIMT_FUNCTION(exp2, exp2f(v)) SIMT_FUNCTION(exp10, simt_exp10f(v))
SIMT_FUNCTION(log, logf(v)) SIMT_FUNCTION(log2, log2f(v)) SIMT_FUNCTION(log10, log10f(v))
SIMT_FUNCTION(sqrt, sqrtf(v)) SIMT_FUNCTION(rsqrt, rsqrtf(v)) SIMT_FUNCTION(rcp, 1.0f / v)
SIMT_FUNCTION(sin, sinf(v)) SIMT_FUNCTION(cos, cosf(v)) SIMT_FUNCTION(tanh, tanhf(v))
SIMT_FUNCTION(floor, floorf(v)) SIMT_FUNCTION(ceil, ceilf(v)) SIMT_FUNCTION(trunc, truncf(v))
SIMT_FUNCTION(rint, nearbyintf(v))
#undef SIMT_FUNCTION
SIMT_ALWAYS SIMT_N __ldg(const SIMT_N *p) { return *p; }
SIMT_ALWAYS SIMT_N2 __ldg(const SIMT_N2 *p) { return *p; }
// Both halves of a pair at once on the device; here one after the other, as it allows.
SIMT_ALWAYS SIMT_N2 atomicAdd(SIMT_N2 *at, SIMT_N2 v) {
  return SIMT_N2(atomicAdd(&at->x, v.x), atomicAdd(&at->y, v.y));
}
