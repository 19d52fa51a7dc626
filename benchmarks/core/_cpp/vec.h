// SPDX-License-Identifier: Apache-2.0
// Vectors of 16 floats (GCC vector extension: the compiler picks the instructions).
typedef float V __attribute__((vector_size(64)));
typedef int32_t I __attribute__((vector_size(64)));
constexpr int64_t W = 16;

static inline V get(const float *p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
static inline void put(float *p, V v) { std::memcpy(p, &v, sizeof v); }

// The first n < 16 elements; the rest is `fill`.
static inline V get_some(const float *p, int64_t n, float fill = 0.0f) {
  V v = V{} + fill;
  for (int64_t i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
static inline void put_some(float *p, int64_t n, V v) {
  for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}

// The larger, the smaller of two; if one is NaN, the second.
static inline V vmax(V a, V b) {
#if defined(__AVX512F__)
  return (V)_mm512_max_ps((__m512)a, (__m512)b);
#else
  return a > b ? a : b;
#endif
}
static inline V vmin(V a, V b) {
#if defined(__AVX512F__)
  return (V)_mm512_min_ps((__m512)a, (__m512)b);
#else
  return a < b ? a : b;
#endif
}

// p 2^n for whole numbers n, with overflow to inf and gradual underflow.
static inline V times_power_of_two(V p, V n) {
#if defined(__AVX512F__)
  return (V)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  const I k = __builtin_convertvector(n == n ? n : V{}, I);
  const I half = k >> 1;  // in two steps: n reaches beyond the exponents of a float
  return p * (V)((half + 127) << 23) * (V)((k - half + 127) << 23);
#endif
}

// Writes past the caches: saves reading lines that are about to be overwritten.
static inline void stream(float *p, V v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, (__m512)v);
#else
  put(p, v);
#endif
}

// Ends a run of such writes: they reach other cores before anything that follows.
static inline void stream_end() {
#if defined(__AVX512F__)
  _mm_sfence();
#endif
}

static inline V vabs(V x) { return (V)((I)x & 0x7fffffff); }
