// SPDX-License-Identifier: Apache-2.0
// Sine and cosine of angle[i] = position * frequency[i]. The angle is reduced in double, because
// its rounding error in float grows with the position; the polynomials run in float.
static inline void sincos_row(const double *frequency, double position, int64_t n, float *cosine,
                              float *sine) {
  float r[W];
  int32_t quarter[W];
  for (int64_t i = 0; i < n; i += W) {
    const int64_t some = std::min(W, n - i);
    for (int64_t k = 0; k < W; ++k) {
      const double angle = position * frequency[i + (k < some ? k : 0)];
      const double turns = (angle * 0.63661977236758134 + 6755399441055744.0) - 6755399441055744.0;
      r[k] = float(angle - turns * 1.5707963267948966);
      quarter[k] = int32_t(turns);
    }
    I q;
    std::memcpy(&q, quarter, sizeof q);
    const V a = get(r), s = a * a;
    const V sn = a + a * s * ((s * -1.951528393e-04f + 8.332161233e-03f) * s - 1.666665524e-01f);
    const V cs = s * s * ((s * 2.443845005e-05f - 1.388736768e-03f) * s + 4.166664556e-02f) -
                 0.5f * s + 1.0f;
    const I swap = (q & 1) != 0;
    const V c0 = swap ? sn : cs, s0 = swap ? cs : sn;
    const V c = ((q + 1) & 2) != 0 ? -c0 : c0, t = (q & 2) != 0 ? -s0 : s0;
    put_some(cosine + i, some, c);
    put_some(sine + i, some, t);
  }
}
