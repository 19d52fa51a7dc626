// SPDX-License-Identifier: Apache-2.0
// what: y = x / sqrt(sum(x^2) + eps) over the last dim
// why: shuffles by 8, 4, 2, 1 sum up half of the warp's lanes
#include <kernelcoder_cuda.h>

template <class T>
__global__ void unit_rows(const T *x, T *y, kc::Strided in, float eps) {
  const T *from = x + in.row(blockIdx.x);
  T *to = y + blockIdx.x * in.cols;
  float sum = 0.0f;
  for (int64_t i = threadIdx.x; i < in.cols; i += 32) {
    const float v = float(from[i * in.col]);
    sum += v * v;
  }
  for (int by = 8; by > 0; by /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, by);
  const float scale = 1.0f / sqrtf(sum + eps);
  for (int64_t i = threadIdx.x; i < in.cols; i += 32) to[i] = T(float(from[i * in.col]) * scale);
}

extern "C" void kernel(const DLTensor *x, DLTensor *y, double eps, cudaStream_t stream) {
  if (kc::numel(y) == 0) return;
  kc::dispatch(y->dtype, [&](auto zero) {
    using T = decltype(zero);
    unit_rows<T><<<kc::rows(x), 32, 0, stream>>>(kc::data<T>(x), kc::data<T>(y), kc::strided(x), float(eps));
  });
}
