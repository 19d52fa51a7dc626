// SPDX-License-Identifier: Apache-2.0
// what: y = max(x, 0)^2, element by element
// why: threads past the end do nothing, and a NaN fails v < 0 and so stays
#include <kernelcoder_cuda.h>

template <class T>
__global__ void relu_squared(const T *x, T *y, kc::Strided at, int64_t n) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float v = float(x[at.offset(i)]);
  y[i] = T(v < 0.0f ? 0.0f : v * v);
}

extern "C" void kernel(const DLTensor *x, DLTensor *y, cudaStream_t stream) {
  if (kc::numel(y) == 0) return;
  const int64_t n = kc::numel(y);
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    relu_squared<T><<<kc::ceil_div(n, 256), 256, 0, stream>>>(kc::data<T>(x), kc::data<T>(y), kc::strided(x), n);
  });
}
