// SPDX-License-Identifier: Apache-2.0
#include <kernelcoder_cuda.h>

// c = a b in tiles of 16 x 16, each read once into shared memory; sums in float.
constexpr int TILE = 16;

template <class T>
__global__ void matmul(const T *a, const T *b, T *c, int64_t m, int64_t n, int64_t depth,
                       int64_t a_row, int64_t a_col, int64_t b_row, int64_t b_col) {
  __shared__ float left[TILE][TILE + 1];
  __shared__ float right[TILE][TILE + 1];
  const int64_t row = int64_t(blockIdx.y) * TILE + threadIdx.y;
  const int64_t col = int64_t(blockIdx.x) * TILE + threadIdx.x;
  float sum = 0.0f;
  for (int64_t first = 0; first < depth; first += TILE) {
    const int64_t across = first + threadIdx.x, down = first + threadIdx.y;
    left[threadIdx.y][threadIdx.x] =
        row < m && across < depth ? float(a[row * a_row + across * a_col]) : 0.0f;
    right[threadIdx.y][threadIdx.x] =
        down < depth && col < n ? float(b[down * b_row + col * b_col]) : 0.0f;
    __syncthreads();
    for (int k = 0; k < TILE; ++k) sum += left[threadIdx.y][k] * right[k][threadIdx.x];
    __syncthreads();
  }
  if (row < m && col < n) c[row * n + col] = T(sum);
}

extern "C" void kernel(const DLTensor *a, const DLTensor *b, DLTensor *c, cudaStream_t stream) {
  const int64_t m = a->shape[0], depth = a->shape[1], n = b->shape[1];
  if (m == 0 || n == 0) return;
  const dim3 block(TILE, TILE);
  const dim3 grid(kc::ceil_div(n, TILE), kc::ceil_div(m, TILE));
  kc::dispatch(a->dtype, [&](auto zero) {
    using T = decltype(zero);
    matmul<T><<<grid, block, 0, stream>>>(
        kc::data<T>(a), kc::data<T>(b), kc::data<T>(c), m, n, depth, a->strides[0], a->strides[1],
        b->strides[0], b->strides[1]);
  });
}
