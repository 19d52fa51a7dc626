// SPDX-License-Identifier: Apache-2.0
#include <kernelcoder_cuda.h>

// One thread per element, in strides of the whole grid.
template <class T>
__global__ void relu(const T *x, T *y, kc::Strided in, int64_t n) {
  const int64_t step = int64_t(gridDim.x) * blockDim.x;
  for (int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    const T v = x[in.offset(i)];
    y[i] = float(v) < 0.0f ? T(0.0f) : v;  // a NaN is not below zero and passes
  }
}

extern "C" void kernel(const DLTensor *x, DLTensor *y, cudaStream_t stream) {
  const int64_t n = kc::numel(x);
  if (n == 0) return;
  const int64_t blocks = kc::ceil_div(n, 256);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    relu<T><<<blocks < 1024 ? blocks : 1024, 256, 0, stream>>>(
        kc::data<T>(x), kc::data<T>(y), kc::strided(x), n);
  });
}
