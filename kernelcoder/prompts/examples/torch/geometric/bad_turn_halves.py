# SPDX-License-Identifier: Apache-2.0
# what: the halves of the last dim turned by an angle
# why: neighbors are paired: another layout, and the same only where dim is 2
CPP = r'''
#include <kernelcoder.h>

extern "C" void kernel(const DLTensor *x, DLTensor *y, double angle) {
  const int64_t rows = kc::rows(x), dim = kc::cols(x), half = dim / 2, step = kc::col_stride(x);
  const float c = float(std::cos(angle)), s = float(std::sin(angle));
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      T *out = kc::data<T>(y) + r * dim;
      for (int64_t i = 0; i < half; ++i) {
        const int64_t first = 2 * i, second = 2 * i + 1;
        const float a = float(in[first * step]), b = float(in[second * step]);
        out[first] = T(a * c - b * s);
        out[second] = T(b * c + a * s);
      }
    }
  });
}
'''


def kernel(x, y, angle):
    own.kernel(x, y, angle)
