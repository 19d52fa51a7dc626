// SPDX-License-Identifier: Apache-2.0
// 1 + erf z from erfc |z| = e^-Q(|z|), which keeps the digits that 1 + erf z loses for negative z.
// Q is a fit of -ln erfc on [0, 4], weighted by erfc: absolute error below 2^-25.
static inline V one_plus_erf(V z) {
  const V a = vmin(V{} + 4.0f, vabs(z));
  V q = a * 3.074303459e-05f - 3.028664796e-04f;
  q = q * a + 1.012258697e-03f;
  q = q * a + 5.719622714e-04f;
  q = q * a - 1.961737499e-02f;
  q = q * a + 1.029369608e-01f;
  q = q * a + 6.365931630e-01f;
  q = q * a + 1.128380775e+00f;
  const V tail = vexp_finite(-(q * a));
  return z < 0.0f ? tail : 2.0f - tail;
}
