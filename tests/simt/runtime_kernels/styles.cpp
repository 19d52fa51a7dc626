// SPDX-License-Identifier: Apache-2.0
// Right kernels in the styles people write: each synchronizes in another way, none may be called racy.
#include "mini.h"

#include <algorithm>

typedef float *P;
typedef const float *C;
enum { N = 1024 };
struct Numbers {
  float x[N];
  Numbers() {
    unsigned state = 1;
    for (float &v : x) state = state * 1664525 + 1013904223, v = static_cast<float>(state >> 22) - 500;
  }
};
static const Numbers numbers;
static unsigned tid() { return threadIdx().x; }

template <size_t M, class F>
Result<float, M> launched(u3 grid, u3 block, size_t dyn, F body) {
  float *x = device(numbers.x, N), *y = device<float>(nullptr, M, "y");
  cuda("styled", grid, block, dyn, [=] { body(x, y); });
  return Result<float, M>(y);
}

// ---- sorting network in shared memory
__global__ void bitonic(C x, P y) {
  __shared__ float s[512];
  const unsigned t = tid();
  s[t] = x[t], s[t + 256] = x[t + 256];
  for (unsigned size = 2; size <= 512; size *= 2)
    for (unsigned stride = size / 2; stride; stride /= 2) {
      sync();
      const unsigned at = 2 * t - (t & (stride - 1));
      const bool up = (at & size) == 0;
      if ((s[at] > s[at + stride]) == up) std::swap(s[at], s[at + stride]);
    }
  sync();
  y[t] = s[t], y[t + 256] = s[t + 256];
}
int sorting() {
  const auto got = launched<512>({1, 1, 1}, {256, 1, 1}, 0, bitonic);
  float want[512];
  std::copy(numbers.x, numbers.x + 512, want);
  std::sort(want, want + 512);
  for (int i = 0; i < 512; ++i) EXPECT(got[i] == want[i]);
  return 0;
}

// ---- work-efficient scan (Blelloch 1990), with dynamic shared memory
__global__ void scan(C x, P y) {
  auto *s = static_cast<float *>(simt_tls.dyn);
  const unsigned t = tid();
  s[2 * t] = x[2 * t], s[2 * t + 1] = x[2 * t + 1];
  unsigned offset = 1;
  for (unsigned d = 128; d; d /= 2, offset *= 2) {
    sync();
    if (t < d) s[offset * (2 * t + 2) - 1] += s[offset * (2 * t + 1) - 1];
  }
  if (t == 0) s[255] = 0;
  for (unsigned d = 1; d < 256; d *= 2) {
    offset /= 2;
    sync();
    if (t >= d) continue;
    const unsigned a = offset * (2 * t + 1) - 1, b = offset * (2 * t + 2) - 1;
    const float left = s[a];
    s[a] = s[b];
    s[b] += left;
  }
  sync();
  y[2 * t] = s[2 * t], y[2 * t + 1] = s[2 * t + 1];
}
int scanning() {
  const auto got = launched<256>({1, 1, 1}, {128, 1, 1}, 1024, scan);
  float sum = 0;
  for (int i = 0; i < 256; sum += numbers.x[i++]) EXPECT(got[i] == sum);
  return 0;
}

// ---- transpose through a padded tile; the matrix is no multiple of it
__global__ void transpose(C x, P y) {
  __shared__ float tile[8][9];
  const unsigned i = threadIdx().x, j = threadIdx().y, bx = blockIdx().x * 8, by = blockIdx().y * 8;
  if (bx + i < 30 && by + j < 20) tile[j][i] = x[(by + j) * 30 + bx + i];
  sync();
  if (by + i < 20 && bx + j < 30) y[(bx + j) * 20 + by + i] = tile[i][j];
}
int transposing() {
  const auto got = launched<600>({4, 3, 1}, {8, 8, 1}, 0, transpose);
  for (int i = 0; i < 600; ++i) EXPECT(got[i] == numbers.x[i % 20 * 30 + i / 20]);
  return 0;
}

// ---- two buffers in turn: one barrier per step
__global__ void stencil(C x, P y) {
  __shared__ float s[2][66];
  const unsigned t = tid() + 1;
  s[0][t] = x[t - 1];
  if (t == 1) s[0][0] = s[1][0] = 0, s[0][65] = s[1][65] = 0;
  int now = 0;
  for (int step = 0; step < 4; ++step, now ^= 1) {
    sync();
    s[now ^ 1][t] = s[now][t - 1] + s[now][t] + s[now][t + 1];
  }
  y[t - 1] = s[now][t];
}
int two_buffers() {
  const auto got = launched<64>({1, 1, 1}, {64, 1, 1}, 0, stencil);
  float a[66] = {}, b[66] = {};
  std::copy(numbers.x, numbers.x + 64, a + 1);
  for (int step = 0; step < 4; ++step) {
    for (int i = 1; i <= 64; ++i) b[i] = a[i - 1] + a[i] + a[i + 1];
    std::copy(b, b + 66, a);
  }
  for (int i = 0; i < 64; ++i) EXPECT(got[i] == a[i + 1]);
  return 0;
}

// ---- reduction of a block with fewer warps than lanes, value handed back through shared memory
inline float block_max(float v) {
  __shared__ float s[32];
  __shared__ float all;
  for (int o = 16; o; o >>= 1) v = std::max(v, shuffle<3>(ALL, v, o));
  if (tid() % 32 == 0) s[tid() / 32] = v;
  sync();
  if (tid() < 32) {
    v = tid() < simt_tls.nthreads / 32 ? s[tid()] : -INFINITY;
    for (int o = 16; o; o >>= 1) v = std::max(v, shuffle<3>(ALL, v, o));
    if (tid() == 0) all = v;
  }
  sync();
  return all;
}
__global__ void twice_reduced(C x, P y) {
  const float most = block_max(x[tid()]);
  const float least = -block_max(-x[tid()]);
  y[tid()] = most - least;
}
int reducing() {
  const auto got = launched<96>({1, 1, 1}, {96, 1, 1}, 0, twice_reduced);
  const auto [low, high] = std::minmax_element(numbers.x, numbers.x + 96);
  for (int i = 0; i < 96; ++i) EXPECT(got[i] == *high - *low);
  return 0;
}

// ---- warps work on their own parts of shared memory, ordered among their lanes alone
__global__ void warp_scan(C x, P y) {
  __shared__ float s[128];
  const unsigned t = tid(), lane = t % 32;
  s[t] = x[t];
  sync_warp();
  for (unsigned d = 1; d < 32; d *= 2) {
    const float left = lane >= d ? s[t - d] : 0;
    sync_warp();
    s[t] += left;
    sync_warp();
  }
  y[t] = s[t];
}
int warps_apart() {
  const auto got = launched<128>({1, 1, 1}, {128, 1, 1}, 0, warp_scan);
  for (int w = 0; w < 4; ++w) {
    float sum = 0;
    for (int i = 32 * w; i < 32 * w + 32; ++i) EXPECT(got[i] == (sum += numbers.x[i]));
  }
  return 0;
}

// ---- maximum of floats by compare and swap, which begins with a plain read
__global__ void cas_max(C x, P y) {
  auto *at = reinterpret_cast<unsigned *>(y);
  const float value = x[blockIdx().x * 128 + tid()];
  unsigned old = *at;
  for (;;) {
    float now;
    std::memcpy(&now, &old, 4);
    if (now >= value) return;
    unsigned wanted;
    std::memcpy(&wanted, &value, 4);
    if (__atomic_compare_exchange_n(at, &old, wanted, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
      return;
  }
}
int compare_and_swap() {
  const float least = -INFINITY;
  float *x = device(numbers.x, N), *y = device(&least, 1, "y");
  cuda("cas_max", {8, 1, 1}, {128, 1, 1}, 0, [=] { cas_max(x, y); });
  EXPECT((Result<float, 1>(y)[0]) == *std::max_element(numbers.x, numbers.x + N));
  return 0;
}

// ---- one atomic operation for all active lanes; places found out by rank
__global__ void compact(C x, P y, int *count) {
  const unsigned i = blockIdx().x * 64 + tid();
  if (!(x[i] > 0)) return;
  const unsigned lanes = active(), below = lanes & ((1u << tid() % 32) - 1);
  const int leader = __builtin_ctz(lanes);
  int base = 0;
  if (static_cast<int>(tid() % 32) == leader) base = add(count, __builtin_popcount(lanes));
  base = shuffle<0>(lanes, base, leader);
  y[base + __builtin_popcount(below)] = x[i];
}
int aggregated_atomics() {
  const int zero = 0;
  float *x = device(numbers.x, N), *y = device<float>(nullptr, N, "y");
  int *count = device(&zero, 1, "count");
  cuda("compact", {N / 64, 1, 1}, {64, 1, 1}, 0, [=] { compact(x, y, count); });
  float want[N];
  const auto n = std::copy_if(numbers.x, numbers.x + N, want, [](float v) { return v > 0; }) - want;
  EXPECT((Result<int, 1>(count)[0]) == n);
  Result<float, N> got(y);
  std::sort(want, want + n);
  std::sort(got.values, got.values + n);
  for (int i = 0; i < n; ++i) EXPECT(got[i] == want[i]);
  return 0;
}

// ---- elements of two bytes side by side, vectors of sixteen over them
struct alignas(16) Eight {
  uint16_t v[8];
};
__global__ void halves(const uint16_t *x, uint16_t *y) {
  __shared__ uint16_t s[256];
  s[tid()] = x[tid()];
  sync();
  if (tid() < 32) reinterpret_cast<Eight *>(y)[tid()] = reinterpret_cast<const Eight *>(s)[31 - tid()];
}
int narrow_elements() {
  uint16_t values[256];
  for (int i = 0; i < 256; ++i) values[i] = static_cast<uint16_t>(i * 257);
  uint16_t *x = device(values, 256), *y = device<uint16_t>(nullptr, 256, "y");
  cuda("halves", {1, 1, 1}, {256, 1, 1}, 0, [=] { halves(x, y); });
  const Result<uint16_t, 256> got(y);
  for (int i = 0; i < 256; ++i) EXPECT(got[i] == values[(31 - i / 8) * 8 + i % 8]);
  return 0;
}

// ---- launches in a row over the same memory, in place; a global variable between them
static int total;
__global__ void halve(P y, int n) {
  const unsigned i = blockIdx().x * 64 + tid();
  if (i < static_cast<unsigned>(n)) y[i] += y[i + static_cast<unsigned>(n)];
  if (i == 0) total += n;
}
int launches_in_a_row() {
  total = 0;
  float *y = device(numbers.x, N, "y");
  for (int n = N / 2; n; n /= 2)
    cuda("halve", {static_cast<unsigned>(n + 63) / 64, 1, 1}, {64, 1, 1}, 0, [=] { halve(y, n); });
  double sum = 0;
  for (float v : numbers.x) sum += v;
  EXPECT((Result<float, 1>(y)[0]) == sum && total == N - 1);
  return 0;
}

// ---- a lock that one block after the other takes
__global__ void locked(C x, P y, int *lock) {
  __shared__ float s[32];
  s[tid()] = x[blockIdx().x * 32 + tid()];
  sync();
  if (tid()) return;
  float sum = 0;
  for (int i = 0; i < 32; ++i) sum += s[i];
  int open = 0;
  while (!__atomic_compare_exchange_n(lock, &open, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) open = 0;
  *y += sum;
  __atomic_exchange_n(lock, 0, __ATOMIC_RELEASE);
}
int locks() {
  const int zero = 0;
  const float nothing = 0;
  float *x = device(numbers.x, N), *y = device(&nothing, 1, "y");
  int *lock = device(&zero, 1, "lock");
  cuda("locked", {32, 1, 1}, {32, 1, 1}, 0, [=] { locked(x, y, lock); });
  double sum = 0;
  for (float v : numbers.x) sum += v;
  EXPECT((Result<float, 1>(y)[0]) == sum);
  return 0;
}

#define ONE(NAME) {#NAME, NAME}
static const Case cases[] = {
    ONE(sorting), ONE(scanning), ONE(transposing), ONE(two_buffers), ONE(reducing),
    ONE(warps_apart), ONE(compare_and_swap), ONE(aggregated_atomics), ONE(narrow_elements),
    ONE(launches_in_a_row), ONE(locks),
};

extern "C" int run() { return run_case(cases, sizeof cases / sizeof *cases); }
