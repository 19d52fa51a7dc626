// SPDX-License-Identifier: Apache-2.0
// y = f(inputs...) element by element, f working on vectors. Contiguous f32 goes straight
// through; other types and layouts pass through small float buffers.
template <class F, class... P>
static inline void run(F f, int64_t n, float *out, const P *...in) {
  int64_t i = 0;
  if (n >= (int64_t(4) << 20)) {  // far larger than the caches
    for (; i < n && (uintptr_t(out + i) & 63); ++i) out[i] = f(V{} + in[i]...)[0];
    for (; i + W <= n; i += W) stream(out + i, f(get(in + i)...));
    stream_end();
  }
  for (; i + W <= n; i += W) put(out + i, f(get(in + i)...));
  if (i < n) put_some(out + i, n - i, f(get_some(in + i, n - i)...));
}

template <class T, class F, size_t... K, class... In>
static void blocks(F f, bool flat, const DLTensor *y, std::index_sequence<K...>, const In *...in) {
  constexpr int64_t block = 512;
  alignas(64) float buffer[sizeof...(In) + 1][block];
  const int64_t rows = flat ? 1 : kc::rows(y), n = flat ? kc::numel(y) : kc::cols(y);
  T *out = kc::data<T>(y);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < n; c += block) {
      const int64_t m = std::min(block, n - c);
      ([&] {
        const int64_t stride = flat ? 1 : kc::col_stride(in);
        const int64_t start = flat ? 0 : kc::row_offset(in, r);
        kc::load(kc::data<T>(in) + start + c * stride, stride, m, buffer[K]);
      }(), ...);
      run(f, m, buffer[sizeof...(In)], static_cast<const float *>(buffer[K])...);
      kc::store(buffer[sizeof...(In)], m, out + r * n + c);
    }
}

template <class F, class... In>
static void pointwise(F f, const DLTensor *y, const In *...in) {
  const bool flat = (kc::contiguous(in) && ...);
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>)
      if (flat) return run(f, kc::numel(y), kc::data<float>(y), kc::data<const float>(in)...);
    blocks<T>(f, flat, y, std::index_sequence_for<In...>(), in...);
  });
}
