// SPDX-License-Identifier: Apache-2.0
// An odd polynomial near zero, where 1 - 2 / (e^2x + 1) would cancel.
static inline V vtanh(V x) {
  const V a = vabs(x), s = x * x;
  V p = s * -5.704990588e-03f + 2.063908987e-02f;
  p = p * s - 5.373971537e-02f;
  p = p * s + 1.333144158e-01f;
  p = p * s - 3.333328068e-01f;
  const V near = x + x * s * p;
  const V far = 1.0f - 2.0f / (vexp(a + a) + 1.0f);
  const V y = a < 0.625f ? near : (x < 0.0f ? -far : far);
  return x == x ? y : x;
}
