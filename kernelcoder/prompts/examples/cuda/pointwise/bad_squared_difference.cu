// SPDX-License-Identifier: Apache-2.0
// what: y = (a - b)^2, element by element
// why: 64 blocks of 256 threads leave the rest of a large tensor as it was
#include <kernelcoder_cuda.h>

template <class T>
__global__ void squares(const T *a, const T *b, T *y, kc::Strided at_a, kc::Strided at_b,
                        int64_t n) {
  const int64_t first = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  const int64_t i = first;
  if (i < n) {
    const float d = float(a[at_a.offset(i)]) - float(b[at_b.offset(i)]);
    y[i] = T(d * d);
  }
}

extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *y, cudaStream_t stream) {
  if (kc::numel(y) == 0) return;
  const int64_t n = kc::numel(y);
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    squares<T><<<64, 256, 0, stream>>>(kc::data<T>(a), kc::data<T>(b), kc::data<T>(y),
                                    kc::strided(a), kc::strided(b), n);
  });
}
