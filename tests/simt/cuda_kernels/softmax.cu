// SPDX-License-Identifier: Apache-2.0
#include <kernelcoder_cuda.h>

// One block per row: maximum, sum of exponentials, scaling. Each thread strides over the row.
__device__ float warp_max(float v) {
  for (int by = 16; by > 0; by /= 2) {
    const float other = __shfl_xor_sync(0xffffffffu, v, by);
    v = v != v || v > other ? v : other;
  }
  return v;
}
__device__ float warp_sum(float v) {
  for (int by = 16; by > 0; by /= 2) v += __shfl_xor_sync(0xffffffffu, v, by);
  return v;
}

template <class T, int THREADS>
__global__ void __launch_bounds__(THREADS) softmax(const T *x, T *y, kc::Strided in) {
  __shared__ float part[THREADS / 32];
  const int64_t r = blockIdx.x, n = in.cols;
  const T *from = x + in.row(r);
  T *to = y + r * n;
  float top = -INFINITY;
  for (int64_t i = threadIdx.x; i < n; i += THREADS) top = fmaxf(top, float(from[i * in.col]));
  top = warp_max(top);
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = top;
  __syncthreads();
  top = part[0];
  for (int w = 1; w < THREADS / 32; ++w) top = fmaxf(top, part[w]);
  float sum = 0;
  for (int64_t i = threadIdx.x; i < n; i += THREADS) sum += expf(float(from[i * in.col]) - top);
  sum = warp_sum(sum);
  __syncthreads();
  if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0;
  for (int w = 0; w < THREADS / 32; ++w) sum += part[w];
  for (int64_t i = threadIdx.x; i < n; i += THREADS)
    to[i] = T(expf(float(from[i * in.col]) - top) / sum);
}

extern "C" void kernel(const DLTensor *x, DLTensor *y, cudaStream_t stream) {
  const kc::Strided in = kc::strided(x);
  if (in.rows == 0 || in.cols == 0) return;
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    softmax<T, 256><<<in.rows, 256, 0, stream>>>(kc::data<T>(x), kc::data<T>(y), in);
  });
}
