// SPDX-License-Identifier: Apache-2.0
// what: y = softmax(q k^T / sqrt(dim)) v, one head
// why: the exponential of a score above 88 is infinity, and the quotient NaN
#include <kernelcoder_cuda.h>
KC_REQUIRE_CONTIGUOUS

__device__ inline float warp_sum(float v) {
  for (int by = 16; by > 0; by /= 2) v += __shfl_xor_sync(0xffffffffu, v, by);
  return v;
}

// One warp a query.
template <class T>
__global__ void attend(const T *q, const T *k, const T *v, T *y, int64_t keys, int64_t dim) {
  const int lane = threadIdx.x;
  const T *query = q + blockIdx.x * dim;
  const auto score = [&](int64_t j) {
    float dot = 0.0f;
    for (int64_t d = lane; d < dim; d += 32) dot += float(query[d]) * float(k[j * dim + d]);
    return warp_sum(dot) / sqrtf(float(dim));
  };
  float total = 0.0f;
  for (int64_t j = 0; j < keys; ++j) total += expf(score(j));
  for (int64_t d = 0; d < dim; d += 32) {
    float sum = 0.0f;
    for (int64_t j = 0; j < keys; ++j) {
      const float p = expf(score(j));
      if (d + lane < dim) sum += p * float(v[j * dim + d + lane]);
    }
    if (d + lane < dim) y[blockIdx.x * dim + d + lane] = T(sum / total);
  }
}

extern "C" void kernel(const DLTensor *q, const DLTensor *k, const DLTensor *v, DLTensor *y, cudaStream_t stream) {
  if (kc::numel(y) == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    attend<T><<<q->shape[0], 32, 0, stream>>>(kc::data<T>(q), kc::data<T>(k), kc::data<T>(v),
                                              kc::data<T>(y), k->shape[0], k->shape[1]);
  });
}
