// SPDX-License-Identifier: Apache-2.0
// Kernels in the styles that are published, each checked against plain loops.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <cuda_fp16.h>
#include <mma.h>

#include <cstdio>
#include <cstring>
#include <vector>

namespace cg = cooperative_groups;
#define CHECK(call)                                                             \
  do {                                                                          \
    cudaError_t err = (call);                                                   \
    if (err != cudaSuccess) {                                                   \
      fprintf(stderr, "line %d: %s\n", __LINE__, cudaGetErrorString(err));      \
      return 1;                                                                 \
    }                                                                           \
  } while (0)

static float number(int i) { return float((i * 7919 + 13) % 101) / 8.0f - 6.0f; }

template <class T>
static T *device(const std::vector<T> &values) {
  T *at = nullptr;
  if (cudaMalloc(&at, values.size() * sizeof(T)) != cudaSuccess) return nullptr;
  cudaMemcpy(at, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice);
  return at;
}
template <class T>
static std::vector<T> host(const T *at, size_t n) {
  std::vector<T> values(n);
  cudaMemcpy(values.data(), at, n * sizeof(T), cudaMemcpyDeviceToHost);
  return values;
}
static std::vector<float> numbers(int n) {
  std::vector<float> values(n);
  for (int i = 0; i < n; ++i) values[i] = number(i);
  return values;
}

__global__ void vector_add(const float *__restrict__ a, const float *__restrict__ b,
                           float *__restrict__ c, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
static int run_add() {
  const int n = 1000;
  auto a = numbers(n), b = numbers(n);
  float *x = device(a), *y = device(b), *z;
  CHECK(cudaMalloc((void **)&z, n * sizeof(float)));
  dim3 blockDim(256);  // a name that host code likes
  dim3 gridDim((n + blockDim.x - 1) / blockDim.x);
  vector_add<<<gridDim, blockDim>>>(x, y, z, n);
  CHECK(cudaGetLastError());
  CHECK(cudaDeviceSynchronize());
  auto c = host(z, n);
  for (int i = 0; i < n; ++i)
    if (c[i] != a[i] + b[i]) return 1;
  CHECK(cudaFree(x));
  CHECK(cudaFree(y));
  CHECK(cudaFree(z));
  return 0;
}

// Vectorized loads with a tail.
__global__ void scale4(const float4 *in, float4 *out, float by, int n4) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n4; i += gridDim.x * blockDim.x) {
    float4 v = __ldg(&in[i]);
    out[i] = make_float4(v.x * by, v.y * by, v.z * by, v.w * by);
  }
}
static int run_vector() {
  auto a = numbers(1024);
  float *x = device(a), *y;
  CHECK(cudaMalloc(&y, 4096));
  scale4<<<3, 64>>>(reinterpret_cast<const float4 *>(x), reinterpret_cast<float4 *>(y), 3.0f, 256);
  auto c = host(y, 1024);
  for (int i = 0; i < 1024; ++i)
    if (c[i] != a[i] * 3.0f) return 1;
  return 0;
}

// Dynamic shared memory declared outside of the function, tree reduction, template block size.
extern __shared__ float scratch[];
template <unsigned SIZE>
__global__ void tree_sum(const float *in, float *out, int n) {
  const unsigned t = threadIdx.x;
  float sum = 0;
  for (unsigned i = blockIdx.x * SIZE + t; i < (unsigned)n; i += SIZE * gridDim.x) sum += in[i];
  scratch[t] = sum;
  __syncthreads();
#pragma unroll
  for (unsigned half = SIZE / 2; half > 0; half >>= 1) {
    if (t < half) scratch[t] += scratch[t + half];
    __syncthreads();
  }
  if (t == 0) atomicAdd(out, scratch[0]);
}
static int run_tree() {
  const int n = 5000;
  auto a = numbers(n);
  float *x = device(a), *sum = device(std::vector<float>{0});
  tree_sum<128><<<4, 128, 128 * sizeof(float)>>>(x, sum, n);
  double want = 0;
  for (float v : a) want += v;
  return fabs(host(sum, 1)[0] - want) > 1e-3;
}

// Histogram with shared and global atomics.
__global__ void histogram(const unsigned char *bytes, int n, unsigned *bins) {
  __shared__ unsigned local[256];
  for (int i = threadIdx.x; i < 256; i += blockDim.x) local[i] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x)
    atomicAdd(&local[bytes[i]], 1u);
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += blockDim.x)
    if (local[i]) atomicAdd(&bins[i], local[i]);
}
static int run_histogram() {
  std::vector<unsigned char> bytes(3000);
  std::vector<unsigned> want(256);
  for (int i = 0; i < 3000; ++i) ++want[bytes[i] = (unsigned char)(i * i % 251)];
  unsigned *bins;
  CHECK(cudaMalloc(&bins, 1024));
  CHECK(cudaMemset(bins, 0, 1024));
  histogram<<<5, 96>>>(device(bytes), 3000, bins);
  return host(bins, 256) != want;
}

// A grid's sum by cooperative groups: tiles, reduce, one atomic per block.
__global__ void group_sum(const float *in, float *out, int n) {
  cg::thread_block block = cg::this_thread_block();
  cg::thread_block_tile<32> tile = cg::tiled_partition<32>(block);
  __shared__ float parts[32];
  float sum = 0;
  for (int i = cg::this_grid().thread_rank(); i < n; i += cg::this_grid().size()) sum += in[i];
  sum = cg::reduce(tile, sum, cg::plus<float>());
  if (tile.thread_rank() == 0) parts[tile.meta_group_rank()] = sum;
  block.sync();
  if (tile.meta_group_rank() == 0) {
    sum = tile.thread_rank() < tile.meta_group_size() ? parts[tile.thread_rank()] : 0.0f;
    sum = cg::reduce(tile, sum, cg::plus<float>());
    if (tile.thread_rank() == 0) atomicAdd(out, sum);
  }
}
static int run_groups() {
  const int n = 3333;
  auto a = numbers(n);
  float *sum = device(std::vector<float>{0});
  group_sum<<<3, 160>>>(device(a), sum, n);
  double want = 0;
  for (float v : a) want += v;
  return fabs(host(sum, 1)[0] - want) > 1e-3;
}

// Exclusive scan within tiles of 8; a compacting store through the lanes that came along.
__global__ void tiles(const int *in, int *scan, int *kept, int *count, int n) {
  auto tile = cg::tiled_partition<8>(cg::this_thread_block());
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  scan[i] = cg::exclusive_scan(tile, in[i], cg::plus<int>());
  if (in[i] % 3 == 0 && i < n) {
    cg::coalesced_group active = cg::coalesced_threads();
    int place = 0;
    if (active.thread_rank() == 0) place = atomicAdd(count, (int)active.size());
    place = active.shfl(place, 0) + active.thread_rank();
    kept[place] = in[i];
  }
}
static int run_tiles() {
  std::vector<int> a(128);
  for (int i = 0; i < 128; ++i) a[i] = i * 5 % 17;
  int *scan, *kept, *count = device(std::vector<int>{0});
  CHECK(cudaMalloc(&scan, 512));
  CHECK(cudaMalloc(&kept, 512));
  tiles<<<2, 64>>>(device(a), scan, kept, count, 128);
  auto s = host(scan, 128);
  int want = 0, multiples = 0, total = 0, found = 0;
  for (int i = 0; i < 128; ++i) {
    want = i % 8 ? want + a[i - 1] : 0;
    if (s[i] != want) return 1;
    if (a[i] % 3 == 0) ++multiples, total += a[i];
  }
  const int n = host(count, 1)[0];
  auto k = host(kept, n);
  for (int v : k) found += v;
  return n != multiples || found != total;
}

// Function pointers, kernels in namespaces, default and dependent template arguments, macros.
namespace ops {
struct Square { __device__ static float of(float v) { return v * v; } };
struct Negate { __device__ static float of(float v) { return -v; } };
template <class OP, int N = 2>
__global__ void apply(float *v, int n) {
  int i = threadIdx.x + blockIdx.x * blockDim.x;
  for (int k = 1; k < N; ++k)
    if (i < n) v[i] = OP::of(v[i]);
}
}  // namespace ops
#define LAUNCH(OP, v, n)                 \
  ops::apply<OP><<<((n) + 31) / 32,      \
                   32>>>(v, n)
__constant__ float table[4];
__device__ float gamma_;  // beside a function of the C library
__global__ void lookup(float *out) {
  out[threadIdx.x] = table[threadIdx.x % 4];
  if (threadIdx.x == 0) gamma_ = out[0];
}
template <class F>
static void launch_with(F *function, float *v, int n) { function<<<1, 64>>>(v, n); }
static int run_templates() {
  auto a = numbers(64);
  float *v = device(a);
  LAUNCH(ops::Square, v, 64);
  void (*pointer)(float *, int) = ops::apply<ops::Negate, 4>;
  pointer<<<2, 32>>>(v, 64);
  launch_with(ops::apply<ops::Negate>, v, 64);
  auto c = host(v, 64);
  for (int i = 0; i < 64; ++i)
    if (c[i] != a[i] * a[i]) return 1;
  const float values[4] = {1, 2, 3, 4};
  CHECK(cudaMemcpyToSymbol(table, values, sizeof values));
  lookup<<<1, 64>>>(v);
  auto d = host(v, 64);
  return d[5] != 2 || d[7] != 4;
}

// Two-dimensional tiles in shared memory of over 48 KiB, asked for.
__global__ void transpose(const float *in, float *out, int n) {
  extern __shared__ __align__(16) unsigned char raw[];
  float *tile = reinterpret_cast<float *>(raw);
  const int x = threadIdx.x, y0 = threadIdx.y;
  for (int y = y0; y < n; y += blockDim.y)
    if (x < n) tile[y * (n + 1) + x] = in[y * n + x];
  __syncthreads();
  for (int y = y0; y < n; y += blockDim.y)
    if (x < n) out[y * n + x] = tile[x * (n + 1) + y];
}
static int run_large() {
  const int n = 120, bytes = n * (n + 1) * 4;  // 58080
  auto a = numbers(n * n);
  float *x = device(a), *y;
  CHECK(cudaMalloc(&y, n * n * 4));
  CHECK(cudaFuncSetAttribute(transpose, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  transpose<<<1, dim3(128, 8), bytes>>>(x, y, n);
  auto c = host(y, n * n);
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j)
      if (c[i * n + j] != a[j * n + i]) return 1;
  return 0;
}

// Tensor cores: one 16 x 16 x 16 product.
__global__ void product(const half *a, const half *b, float *c) {
  using namespace nvcuda;
  wmma::fragment<wmma::matrix_a, 16, 16, 16, half, wmma::row_major> fa;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, half, wmma::col_major> fb;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> fc;
  wmma::fill_fragment(fc, 0.0f);
  wmma::load_matrix_sync(fa, a, 16);
  wmma::load_matrix_sync(fb, b, 16);
  wmma::mma_sync(fc, fa, fb, fc);
  wmma::store_matrix_sync(c, fc, 16, wmma::mem_row_major);
}
static int run_mma() {
  std::vector<half> a(256), b(256);
  for (int i = 0; i < 256; ++i) a[i] = __float2half(number(i)), b[i] = __float2half(number(3 * i));
  float *c;
  CHECK(cudaMalloc(&c, 1024));
  product<<<1, 32>>>(device(a), device(b), c);
  auto got = host(c, 256);
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) {
      float want = 0;
      for (int k = 0; k < 16; ++k)
        want += __half2float(a[i * 16 + k]) * __half2float(b[j * 16 + k]);
      if (fabsf(got[i * 16 + j] - want) > 1e-2f) return 1;
    }
  return 0;
}

// Votes, matches, reductions, every shuffle.
__global__ void lanes(unsigned *out) {
  const unsigned lane = threadIdx.x & 31, all = 0xffffffffu;
  unsigned bad = 0;
  bad |= __ballot_sync(all, lane % 2) != 0xaaaaaaaau;
  bad |= (__any_sync(all, lane == 31) == 0) | (__all_sync(all, lane < 32) == 0) |
         (__all_sync(all, lane < 31) != 0);
  bad |= __match_any_sync(all, lane / 8) != 0xffu << lane / 8 * 8;
  int same = 0;
  bad |= __match_all_sync(all, 5, &same) != all || !same;
  bad |= __reduce_add_sync(all, lane) != 496 || __reduce_max_sync(all, (int)lane - 40) != -9;
  bad |= __shfl_sync(all, lane, 3) != 3 || __shfl_sync(all, lane, 9, 8) != lane / 8 * 8 + 1;
  bad |= __shfl_up_sync(all, lane, 2) != (lane < 2 ? lane : lane - 2);
  bad |= __shfl_down_sync(all, lane, 30, 16) != lane;
  bad |= __shfl_xor_sync(all, lane, 5) != (lane ^ 5);
  bad |= __syncthreads_count(lane < 5) != 5 * (blockDim.x / 32);
  bad |= __syncthreads_or(threadIdx.x == 40) == 0 || __syncthreads_and(lane < 31) != 0;
  if (lane < 8) bad |= __reduce_add_sync(0xffu, 1u) != 8;
  out[threadIdx.x] = bad;
}
static int run_lanes() {
  unsigned *out;
  CHECK(cudaMalloc(&out, 64 * 4));
  lanes<<<1, 64>>>(out);
  for (unsigned v : host(out, 64))
    if (v) return 1;
  return 0;
}

extern "C" int run() {
  const char *name = getenv("CASE");
  const struct { const char *name; int (*function)(); } all[] = {
      {"add", run_add}, {"vector", run_vector}, {"tree", run_tree}, {"histogram", run_histogram},
      {"groups", run_groups}, {"tiles", run_tiles}, {"templates", run_templates},
      {"large", run_large}, {"mma", run_mma}, {"lanes", run_lanes}};
  for (const auto &one : all)
    if (!strcmp(one.name, name)) return one.function();
  return 2;
}
