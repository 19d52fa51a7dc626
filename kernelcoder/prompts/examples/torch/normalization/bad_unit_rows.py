# SPDX-License-Identifier: Apache-2.0
# what: y = x / sqrt(sum(x^2) + eps) over the last dim
# why: eps stands outside of the root, which shows where rows are small
CPP = r'''
#include <kernelcoder.h>

extern "C" void kernel(const DLTensor *x, DLTensor *y, double eps) {
  const int64_t rows = kc::rows(x), n = kc::cols(x), step = kc::col_stride(x);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      float sum = 0.0f;
      for (int64_t i = 0; i < n; ++i) {
        const float v = float(in[i * step]);
        sum += v * v;
      }
      const float scale = 1.0f / (std::sqrt(sum) + float(eps));
      T *out = kc::data<T>(y) + r * n;
      for (int64_t i = 0; i < n; ++i) out[i] = T(float(in[i * step]) * scale);
    }
  });
}
'''


def kernel(x, y, eps):
    own.kernel(x, y, eps)
