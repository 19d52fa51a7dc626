# SPDX-License-Identifier: Apache-2.0
# what: y = softmax(q k^T / sqrt(dim)) v, one head
# why: the largest score is subtracted before the exponential
CPP = r'''
#include <kernelcoder.h>
KC_REQUIRE_CONTIGUOUS

extern "C" void kernel(const DLTensor *q, const DLTensor *k, const DLTensor *v, DLTensor *y) {
  const int64_t queries = q->shape[0], keys = k->shape[0], dim = q->shape[1];
  const float scale = 1.0f / std::sqrt(float(dim));
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    const T *pq = kc::data<T>(q), *pk = kc::data<T>(k), *pv = kc::data<T>(v);
    std::vector<float> p(keys), sum(dim);
    for (int64_t i = 0; i < queries; ++i) {
      float top = -INFINITY, total = 0.0f;
      for (int64_t j = 0; j < keys; ++j) {
        float dot = 0.0f;
        for (int64_t d = 0; d < dim; ++d) dot += float(pq[i * dim + d]) * float(pk[j * dim + d]);
        p[j] = dot * scale;
        top = std::max(top, p[j]);
      }
      for (int64_t j = 0; j < keys; ++j) total += p[j] = std::exp(p[j] - top);
      std::fill(sum.begin(), sum.end(), 0.0f);
      for (int64_t j = 0; j < keys; ++j)
        for (int64_t d = 0; d < dim; ++d) sum[d] += p[j] * float(pv[j * dim + d]);
      for (int64_t d = 0; d < dim; ++d) kc::data<T>(y)[i * dim + d] = T(sum[d] / total);
    }
  });
}
'''


def kernel(q, k, v, y):
    own.kernel(q, k, v, y)
