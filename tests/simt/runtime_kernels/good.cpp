// SPDX-License-Identifier: Apache-2.0
// Kernels that are right, against what CUDA and Metal document. None may be called defective, in any
// order, plain or checked.
#include "mini.h"

namespace {

enum { N = 256 };
float wave(int i) { return std::sin(0.37f * static_cast<float>(i)); }
struct Wave {
  float values[64 * 256];
  Wave() {
    for (int i = 0; i < 64 * 256; ++i) values[i] = wave(i);
  }
};

// ---- block barriers
__global__ void rows(const float *x, float *y, int n) {
  __shared__ float s[N];
  const int t = static_cast<int>(threadIdx().x);
  x += blockIdx().x * n;
  float sum = 0;
  for (int i = t; i < n; i += N) sum += x[i];
  s[t] = sum;
  sync();
  for (int k = N / 2; k > 0; k >>= 1) {
    if (t < k) s[t] += s[t + k];
    sync();
  }
  if (t == 0) y[blockIdx().x] = s[0];
}

int block_sum() {
  static const Wave wave_values;
  const int n = 200, r = 9;
  float *x = device(wave_values.values, n * r), *y = device<float>(nullptr, r, "y");
  EXPECT(cuda("rows", {r, 1, 1}, {N, 1, 1}, 0, [=] { rows(x, y, n); }) == 0);
  const Result<float, r> got(y);
  for (int i = 0; i < r; ++i) {
    double sum = 0;
    for (int k = 0; k < n; ++k) sum += wave_values.values[i * n + k];
    EXPECT(std::fabs(got[i] - sum) < 1e-3);
  }
  EXPECT(simt_launches() == 1);
  EXPECT(simt_release(x) == 0 && simt_release(y) == 0 && simt_release(y) == 1);
  return 0;
}

__global__ void predicates(int *y) {
  const int t = static_cast<int>(threadIdx().x);
  const int count = sync_count(t % 3 == 0), all = sync_and(t < 100), any = sync_or(t == 77);
  const int all_now = sync_and(t < 1000), none = sync_or(t > 1000);
  y[t] = count + 1000 * all + 2000 * any + 4000 * all_now + 8000 * none;
}

int barrier_predicates() {
  int *y = device<int>(nullptr, 100, "y");
  cuda("predicates", {1, 1, 1}, {100, 1, 1}, 0, [=] { predicates(y); });
  const Result<int, 100> got(y);
  for (int i = 0; i < 100; ++i) EXPECT(got[i] == 34 + 1000 + 2000 + 4000);
  return 0;
}

__global__ void early(const int *x, int *y, int n) {
  __shared__ int s[N];
  const int t = static_cast<int>(threadIdx().x);
  if (t >= n) return;
  s[t] = x[t];
  sync();
  y[t] = s[n - 1 - t];
}

// "... all non-exited threads in the block" (since compute capability 7.0)
int barrier_after_return() {
  int values[N];
  for (int i = 0; i < N; ++i) values[i] = i * i;
  int *x = device(values, N), *y = device<int>(nullptr, N, "y");
  cuda("early", {1, 1, 1}, {N, 1, 1}, 0, [=] { early(x, y, 200); });
  const Result<int, N> got(y);
  for (int i = 0; i < 200; ++i) EXPECT(got[i] == (199 - i) * (199 - i));
  return 0;
}

__global__ void indices(int *y) {
  const u3 t = threadIdx(), b = blockIdx(), d = simt_tls.bdim, g = simt_tls.gdim;
  const unsigned block = (b.z * g.y + b.y) * g.x + b.x;
  const unsigned thread = (t.z * d.y + t.y) * d.x + t.x;
  y[block * d.x * d.y * d.z + thread] += static_cast<int>(block * 1000 + simt_tls.lin);
}

int three_dimensions() {
  int zeros[24 * 30] = {};
  int *y = device(zeros, 24 * 30, "y");
  cuda("indices", {2, 3, 4}, {5, 3, 2}, 0, [=] { indices(y); });
  const Result<int, 24 * 30> got(y);
  for (int i = 0; i < 24 * 30; ++i) EXPECT(got[i] == i / 30 * 1000 + i % 30);
  return 0;
}

// ---- warp operations
__global__ void shuffles(int *y, int width) {
  const int t = static_cast<int>(threadIdx().x);
  int *out = y + 4 * t;
  out[0] = shuffle<0>(ALL, t, 5, width);
  out[1] = shuffle<1>(ALL, t, 3, width);
  out[2] = shuffle<2>(ALL, t, 3, width);
  out[3] = shuffle<3>(ALL, t, 2, width);
}

int all_shuffles() {
  for (int width : {32, 16, 8}) {
    int *y = device<int>(nullptr, 4 * 64, "y");
    cuda("shuffles", {1, 1, 1}, {64, 1, 1}, 0, [=] { shuffles(y, width); });
    const Result<int, 4 * 64> got(y);
    for (int t = 0; t < 64; ++t) {
      const int base = t & ~(width - 1), in = t & (width - 1);
      EXPECT(got[4 * t] == base + (5 & (width - 1)));
      EXPECT(got[4 * t + 1] == (in < 3 ? t : t - 3));
      EXPECT(got[4 * t + 2] == (in + 3 >= width ? t : t + 3));
      EXPECT(got[4 * t + 3] == (t ^ 2));
    }
  }
  return 0;
}

__global__ void votes(int *y) {
  const int t = static_cast<int>(threadIdx().x), lane = t % 32;
  const unsigned half = lane < 16 ? 0xffffu : 0xffff0000u;
  y[5 * t] = static_cast<int>(ballot(ALL, lane % 2));
  y[5 * t + 1] = static_cast<int>(ballot(half, 1));
  y[5 * t + 2] = static_cast<int>(match_any(ALL, lane / 8));
  y[5 * t + 3] = warp_sum(half, lane);
  y[5 * t + 4] = lane < 10 ? static_cast<int>(active()) : 0;
}

int votes_and_masks() {
  int *y = device<int>(nullptr, 5 * 64, "y");
  cuda("votes", {1, 1, 1}, {64, 1, 1}, 0, [=] { votes(y); });
  const Result<int, 5 * 64> got(y);
  for (int t = 0; t < 64; ++t) {
    const int lane = t % 32;
    EXPECT(static_cast<unsigned>(got[5 * t]) == 0xaaaaaaaau);
    EXPECT(static_cast<unsigned>(got[5 * t + 1]) == (lane < 16 ? 0xffffu : 0xffff0000u));
    EXPECT(static_cast<unsigned>(got[5 * t + 2]) == 0xffu << lane / 8 * 8);
    EXPECT(got[5 * t + 3] == (lane < 16 ? 120 : 376));
    EXPECT(got[5 * t + 4] == (lane < 10 ? 0x3ff : 0));
  }
  return 0;
}

// Lanes of one warp in different branches, each with its own mask; some have returned.
__global__ void branches(int *y) {
  const int t = static_cast<int>(threadIdx().x);
  if (t >= 24) return;
  if (t < 8)
    y[t] = warp_sum(0xff, 1);
  else
    y[t] = warp_sum(0xffffff00u, 2);
  sync_warp(ALL);
  y[t] += down(t, 1);
}

int divergent_masks() {
  int *y = device<int>(nullptr, 24, "y");
  cuda("branches", {1, 1, 1}, {32, 1, 1}, 0, [=] { branches(y); });
  const Result<int, 24> got(y);
  for (int t = 0; t < 23; ++t) EXPECT(got[t] == (t < 8 ? 8 : 32) + t + 1);
  return 0;
}

// Values handed on through shared memory within a warp, with __syncwarp.
__global__ void rotate(int *y) {
  __shared__ int s[64];
  const int t = static_cast<int>(threadIdx().x), lane = t % 32;
  s[t] = t;
  sync_warp();
  const int next = s[t - lane + (lane + 1) % 32];
  sync_warp();
  s[t] = next;
  sync_warp();
  y[t] = s[t - lane + (lane + 1) % 32];
}

int warp_memory() {
  int *y = device<int>(nullptr, 64, "y");
  cuda("rotate", {1, 1, 1}, {64, 1, 1}, 0, [=] { rotate(y); });
  const Result<int, 64> got(y);
  for (int t = 0; t < 64; ++t) EXPECT(got[t] == t / 32 * 32 + (t + 2) % 32);
  return 0;
}

// ---- atomics and blocks among each other
__global__ void histogram(const int *x, int *bins, int n) {
  __shared__ int s[8];
  const int t = static_cast<int>(threadIdx().x);
  if (t < 8) s[t] = 0;
  sync();
  for (int i = static_cast<int>(blockIdx().x) * 64 + t; i < n; i += 64 * 4) add(&s[x[i]], 1);
  sync();
  if (t < 8) add(&bins[t], s[t]);
}

int atomic_histogram() {
  int values[1000], zeros[8] = {}, want[8] = {};
  for (int i = 0; i < 1000; ++i) ++want[values[i] = i * i % 8];
  int *x = device(values, 1000), *bins = device(zeros, 8, "bins");
  cuda("histogram", {4, 1, 1}, {64, 1, 1}, 0, [=] { histogram(x, bins, 1000); });
  const Result<int, 8> got(bins);
  for (int i = 0; i < 8; ++i) EXPECT(got[i] == want[i]);
  return 0;
}

// The last block to finish adds up what all have written (CUDA samples, threadFenceReduction).
__global__ void last_block(const int *x, int *partial, int *count, int *y) {
  __shared__ int is_last;
  const int t = static_cast<int>(threadIdx().x), b = static_cast<int>(blockIdx().x);
  const int sum = warp_sum(ALL, x[b * 32 + t]);
  if (t == 0) {
    partial[b] = sum;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    is_last = add(count, 1) == 7;
  }
  sync();
  if (!is_last) return;
  const int all = warp_sum(ALL, t < 8 ? partial[t] : 0);
  if (t == 0) *y = all;
}

int last_block_reduces() {
  int values[256], zero = 0, want = 0;
  for (int i = 0; i < 256; ++i) want += values[i] = 3 * i - 100;
  int *x = device(values, 256), *partial = device<int>(nullptr, 8, "partial");
  int *count = device(&zero, 1, "count"), *y = device<int>(nullptr, 1, "y");
  cuda("last_block", {8, 1, 1}, {32, 1, 1}, 0, [=] { last_block(x, partial, count, y); });
  EXPECT((Result<int, 1>(y)[0] == want));
  return 0;
}

// All threads write the same value, and a flag that some of them raise.
__global__ void same_value(const int *x, int *flag) {
  __shared__ int limit;
  limit = 7;
  sync();
  if (x[threadIdx().x] > limit) *flag = 1;
}

int benign_writes() {
  int values[128] = {}, zero = 0;
  values[3] = values[99] = 8;
  int *x = device(values, 128), *flag = device(&zero, 1, "flag");
  cuda("same_value", {2, 1, 1}, {64, 1, 1}, 0, [=] { same_value(x, flag); });
  EXPECT((Result<int, 1>(flag)[0] == 1));
  return 0;
}

// ---- dynamic shared memory
__global__ void reversed(const float *x, float *y, int n) {
  auto *s = static_cast<float *>(simt_tls.dyn);
  for (int i = static_cast<int>(threadIdx().x); i < n; i += 128) s[i] = x[i];
  sync();
  for (int i = static_cast<int>(threadIdx().x); i < n; i += 128) y[i] = s[n - 1 - i];
}

int dynamic_shared() {
  static const Wave wave_values;
  for (int n : {100, 16000}) {
    float *x = device(wave_values.values, n), *y = device<float>(nullptr, n, "y");
    EXPECT(simt_opt_in(nullptr, 300000) == 1 && simt_last_error() == 1);
    EXPECT(simt_opt_in(nullptr, 64000) == 0 && simt_last_error() == 0);
    EXPECT(cuda("reversed", {2, 1, 1}, {128, 1, 1}, n * 4, [=] {
             if (blockIdx().x == 0) reversed(x, y, n);
           }) == 0);
    static float got[16000];
    simt_copy(got, y, n * 4, 0);
    for (int i = 0; i < n; ++i) EXPECT(got[i] == wave_values.values[n - 1 - i]);
  }
  return 0;
}

int empty_grid() {
  EXPECT(cuda("nothing", {0, 1, 1}, {32, 1, 1}, 0, [] { std::abort(); }) == 9);
  EXPECT(simt_peek_error() == 9 && simt_last_error() == 9 && simt_last_error() == 0);
  EXPECT(metal("nothing", {0, 1, 1}, {32, 1, 1}, [] { std::abort(); }) == 0);
  EXPECT(simt_launches() == 0);
  return 0;
}

// ---- Metal
__global__ void cover(int *seen, int *sizes, unsigned width, unsigned height) {
  const simt::Tls &tls = simt_tls;
  if (tls.gpos.x < width && tls.gpos.y < height) seen[tls.gpos.y * width + tls.gpos.x] += 1;
  sync();
  const unsigned groups = tls.gdim.x;
  if (tls.lin == 0)
    sizes[tls.bid.y * groups + tls.bid.x] = static_cast<int>(tls.bdim.x * 100 + tls.bdim.y);
}

// dispatchThreads: "the grid is not necessarily a multiple of the threadgroup": smaller at the edge.
int metal_edges() {
  int zeros[70] = {};
  int *seen = device(zeros, 70, "seen"), *sizes = device<int>(nullptr, 6, "sizes");
  metal("cover", {10, 7, 1}, {4, 4, 1}, [=] { cover(seen, sizes, 10, 7); });
  const Result<int, 70> got(seen);
  for (int i = 0; i < 70; ++i) EXPECT(got[i] == 1);
  const Result<int, 6> shape(sizes);
  const int want[] = {404, 404, 204, 403, 403, 203};
  for (int i = 0; i < 6; ++i) EXPECT(shape[i] == want[i]);
  return 0;
}

// simd operations take the lanes that come to them, in loops and branches.
__global__ void simds(int *y) {
  const int t = static_cast<int>(threadIdx().x);
  int sum = 0;
  for (int i = 0; i <= t % 4; ++i) sum += warp_sum(0, 1);
  if (t % 2)
    sum += 1000 * warp_sum(0, 1);
  else
    sum += 1000 * warp_sum(0, 2);
  y[t] = sum;
}

int metal_divergence() {
  int *y = device<int>(nullptr, 40, "y");
  metal("simds", {40, 1, 1}, {40, 1, 1}, [=] { simds(y); });
  const Result<int, 40> got(y);
  for (int t = 0; t < 40; ++t) {
    const int lanes = t < 32 ? 32 : 8;
    int want = 0;
    for (int i = 0; i <= t % 4; ++i) want += lanes / 4 * (4 - i);
    want += 1000 * (t % 2 ? 1 : 2) * lanes / 2;
    EXPECT(got[t] == want);
  }
  return 0;
}

// ---- order
__global__ void tickets(int *next, int *y) {
  y[blockIdx().x * 64 + threadIdx().x] = add(next, 1);
  sync();
  y[blockIdx().x * 64 + threadIdx().x] += 1000 * add(next, 1);
}

// Prints who came when; a test compares runs.
int print_order() {
  for (int launch = 0; launch < 8; ++launch) {
    int zero = 0;
    int *next = device(&zero, 1, "next"), *y = device<int>(nullptr, 192, "y");
    cuda("tickets", {3, 1, 1}, {64, 1, 1}, 0, [=] { tickets(next, y); });
    const Result<int, 192> got(y);
    for (int i = 0; i < 192; ++i) std::printf("%d ", got[i]);
    std::printf("poison %u\n", simt_poison());
  }
  return 0;
}

const Case cases[] = {
    {"block_sum", block_sum},
    {"barrier_predicates", barrier_predicates},
    {"barrier_after_return", barrier_after_return},
    {"three_dimensions", three_dimensions},
    {"all_shuffles", all_shuffles},
    {"votes_and_masks", votes_and_masks},
    {"divergent_masks", divergent_masks},
    {"warp_memory", warp_memory},
    {"atomic_histogram", atomic_histogram},
    {"last_block_reduces", last_block_reduces},
    {"benign_writes", benign_writes},
    {"dynamic_shared", dynamic_shared},
    {"empty_grid", empty_grid},
    {"metal_edges", metal_edges},
    {"metal_divergence", metal_divergence},
    {"print_order", print_order},
};

}  // namespace

extern "C" int run() { return run_case(cases, sizeof cases / sizeof *cases); }
