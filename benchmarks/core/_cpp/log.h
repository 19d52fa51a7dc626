// SPDX-License-Identifier: Apache-2.0
// ln x = e ln2 + ln(1 + f) with 1 + f in [sqrt(1/2), sqrt 2).
static inline V vlog(V x) {
  const I subnormal = x < 1.17549435e-38f;
  const V scaled = subnormal ? x * 8388608.0f : x;
  const I bits = (I)scaled;
  I e = ((bits - 0x3f3504f3) >> 23);  // exponent relative to sqrt(1/2)
  const V m = (V)(bits - (e << 23));
  const V f = m - 1.0f;
  V p = f * 6.746601313e-02f - 1.167564094e-01f;
  p = p * f + 1.188817471e-01f;
  p = p * f - 1.240559146e-01f;
  p = p * f + 1.421955079e-01f;
  p = p * f - 1.666799635e-01f;
  p = p * f + 2.000211924e-01f;
  p = p * f - 2.500000894e-01f;
  p = p * f + 3.333331347e-01f;
  e = subnormal ? e - 23 : e;
  const V n = __builtin_convertvector(e, V);
  V y = f * f * f * p + n * -2.12194440e-4f;
  y = y - f * f * 0.5f + f + n * 0.693359375f;
  const V inf = V{} + std::numeric_limits<float>::infinity();
  y = x == inf ? inf : y;
  y = x == 0.0f ? -inf : y;
  y = x < 0.0f ? V{} + std::numeric_limits<float>::quiet_NaN() : y;
  return x == x ? y : x;
}
