// SPDX-License-Identifier: Apache-2.0
// what: the halves of the last dim turned by an angle
// why: neighbors are paired: another layout, and the same only where dim is 2
#include <kernelcoder_cuda.h>

template <class T>
__global__ void turn(const T *x, T *y, kc::Strided in, int64_t half, float c, float s) {
  const T *from = x + in.row(blockIdx.x);
  T *to = y + blockIdx.x * in.cols;
  for (int64_t i = threadIdx.x; i < half; i += blockDim.x) {
    const int64_t first = 2 * i, second = 2 * i + 1;
    const float a = float(from[first * in.col]), b = float(from[second * in.col]);
    to[first] = T(a * c - b * s);
    to[second] = T(b * c + a * s);
  }
}

extern "C" void kernel(const DLTensor *x, DLTensor *y, double angle, cudaStream_t stream) {
  if (kc::numel(y) == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    turn<T><<<kc::rows(x), 128, 0, stream>>>(kc::data<T>(x), kc::data<T>(y), kc::strided(x),
                                         kc::cols(x) / 2, float(cos(angle)),
                                         float(sin(angle)));
  });
}
