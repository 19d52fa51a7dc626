// SPDX-License-Identifier: Apache-2.0
// One row at a time, as floats: straight from memory where it is contiguous f32, else copied.
template <class T>
static inline const float *row_in(const DLTensor *x, int64_t row, float *buffer) {
  const T *p = kc::data<T>(x) + kc::row_offset(x, row);
  const int64_t n = kc::cols(x), stride = kc::col_stride(x);
  if constexpr (std::is_same_v<T, float>)
    if (stride == 1 || n == 1) return p;
  kc::load(p, stride, n, buffer);
  return buffer;
}
template <class T>
static inline float *row_out(T *p, float *buffer) {
  if constexpr (std::is_same_v<T, float>) return p;
  return buffer;
}
template <class T>
static inline void row_done(T *p, const float *buffer, int64_t n) {
  if constexpr (!std::is_same_v<T, float>) kc::store(buffer, n, p);
}

static inline float sum_of(V v) {
  float s = 0.0f;
  for (int i = 0; i < W; ++i) s += v[i];
  return s;
}

// Folds a row, four vectors at a time: independent chains, and short sums whose rounding error
// grows with n / 64. `fill` pads the last partial vector; join puts two partial results together.
template <class Step, class Join>
static inline V fold(const float *p, int64_t n, float start, float fill, Step step, Join join) {
  V a[4] = {V{} + start, V{} + start, V{} + start, V{} + start};
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int k = 0; k < 4; ++k) a[k] = step(a[k], get(p + i + k * W));
  for (; i + W <= n; i += W) a[0] = step(a[0], get(p + i));
  if (i < n) a[1] = step(a[1], get_some(p + i, n - i, fill));
  return join(join(a[0], a[1]), join(a[2], a[3]));
}

static inline float row_sum(const float *p, int64_t n) {
  const auto add = [](V s, V v) { return s + v; };
  return sum_of(fold(p, n, 0.0f, 0.0f, add, add));
}

// Sum of (x - center)^2.
static inline float row_squares(const float *p, int64_t n, float center) {
  const auto step = [center](V s, V v) {
    const V d = v - center;
    return s + d * d;
  };
  return sum_of(fold(p, n, 0.0f, center, step, [](V s, V v) { return s + v; }));
}

// Whether rows of y are better written past the caches: large, and every row aligned.
static inline bool streams(const DLTensor *y) {
  const int64_t n = kc::cols(y);
  return y->dtype.bits == 32 && kc::numel(y) >= (int64_t(4) << 20) && n % W == 0 &&
         (uintptr_t(kc::data<char>(y)) & 63) == 0;
}
