// SPDX-License-Identifier: Apache-2.0
// A library call per element would set errno and so never be vectorized.
static inline V vsqrt(V x) {
#if defined(__AVX512F__)
  return (V)_mm512_sqrt_ps((__m512)x);
#else
  for (int i = 0; i < W; ++i) x[i] = std::sqrt(x[i]);
  return x;
#endif
}
