# SPDX-License-Identifier: Apache-2.0
# what: y = (a - b)^2, element by element
# why: b is read as if it were contiguous
CPP = r'''
#include <kernelcoder.h>

extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y) {
  const int64_t rows = kc::rows(y), n = kc::cols(y);
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < rows; ++r) {
      const T *pa = kc::data<T>(a) + kc::row_offset(a, r);
      const T *pb = kc::data<T>(b) + r * n;
      const int64_t sa = kc::col_stride(a), sb = 1;
      T *out = kc::data<T>(y) + r * n;
      for (int64_t i = 0; i < n; ++i) {
        const float d = float(pa[i * sa]) - float(pb[i * sb]);
        out[i] = T(d * d);
      }
    }
  });
}
'''


def kernel(a, b, y):
    own.kernel(a, b, y)
