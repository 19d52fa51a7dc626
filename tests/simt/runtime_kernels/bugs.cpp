// SPDX-License-Identifier: Apache-2.0
// Kernels with one fault each. A case returns 1 if its result is wrong; the tests say which faults show
// in results, which end the process, and which only a checked build sees.
#include <sys/mman.h>

#include "mini.h"

enum { N = 256, ROWS = 5, WIDE = 1000 };

inline float values_of(int i) { return 3 * std::sin(0.37f * static_cast<float>(i)); }
struct Values {
  float x[ROWS * WIDE];
  Values() {
    for (int i = 0; i < ROWS * WIDE; ++i) x[i] = values_of(i);
  }
};
static const Values input;

// ---- softmax with a switch for each of its barriers
enum Missing { NONE, AFTER_STORE, IN_LOOP, BEFORE_REUSE, TAIL, BEYOND };

template <int MISSING>
__global__ void softmax(const float *x, float *y, int n) {
  __shared__ float s[N];
  const int t = static_cast<int>(threadIdx().x);
  x += blockIdx().x * n, y += blockIdx().x * n;
  float m = -INFINITY;
  for (int i = t; i < n; i += N) m = std::fmax(m, x[i]);
  s[t] = m;
  if (MISSING != AFTER_STORE) sync();
  for (int k = N / 2; k > 0; k >>= 1) {
    if (t < k) s[t] = std::fmax(s[t], s[t + k]);
    if (MISSING != IN_LOOP) sync();
  }
  m = s[0];
  if (MISSING != BEFORE_REUSE) sync();
  float a = 0;
  for (int i = t; i < n; i += N) a += std::exp(x[i] - m);
  s[t] = a;
  sync();
  for (int k = N / 2; k > 0; k >>= 1) {
    if (t < k) s[t] += s[t + k];
    sync();
  }
  a = s[0];
  const int end = MISSING == TAIL ? n - 1 : MISSING == BEYOND ? n + 1 : n;
  for (int i = t; i < end; i += N) y[i] = std::exp(x[i] - m) / a;
}

template <int MISSING>
int softmax_case() {
  float *x = device(input.x, ROWS * WIDE), *y = device<float>(nullptr, ROWS * WIDE, "y");
  cuda("softmax", {ROWS, 1, 1}, {N, 1, 1}, 0, [=] { softmax<MISSING>(x, y, WIDE); });
  const Result<float, ROWS * WIDE> got(y);
  for (int r = 0; r < ROWS; ++r) {
    double sum = 0;
    for (int i = 0; i < WIDE; ++i) sum += std::exp(input.x[r * WIDE + i]);
    for (int i = 0; i < WIDE; ++i)
      if (!(std::fabs(got[r * WIDE + i] - std::exp(input.x[r * WIDE + i]) / sum) < 1e-5)) return 1;
  }
  return 0;
}

// ---- tiled matrix product
template <int MISSING>
__global__ void matmul(const float *a, const float *b, float *c, int m) {
  __shared__ float p[16][16], q[16][16];
  const int tx = static_cast<int>(threadIdx().x), ty = static_cast<int>(threadIdx().y);
  const int row = static_cast<int>(blockIdx().y) * 16 + ty;
  const int column = static_cast<int>(blockIdx().x) * 16 + tx;
  float s = 0;
  for (int k = 0; k < m; k += 16) {
    p[ty][tx] = a[row * m + k + tx];
    q[ty][tx] = b[(k + ty) * m + column];
    if (MISSING != 1) sync();
    for (int i = 0; i < 16; ++i) s += p[ty][i] * q[i][tx];
    if (MISSING != 2) sync();
  }
  c[row * m + column] = s;
}

template <int MISSING>
int matmul_case() {
  enum { M = 48 };
  float *a = device(input.x, M * M, "a"), *b = device(input.x + 1000, M * M, "b");
  float *c = device<float>(nullptr, M * M, "c");
  cuda("matmul", {3, 3, 1}, {16, 16, 1}, 0, [=] { matmul<MISSING>(a, b, c, M); });
  const Result<float, M * M> got(c);
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < M; ++j) {
      double sum = 0;
      for (int k = 0; k < M; ++k) sum += input.x[i * M + k] * input.x[1000 + k * M + j];
      if (!(std::fabs(got[i * M + j] - sum) < 1e-3)) return 1;
    }
  return 0;
}

// ---- sums of rows by warps
enum RowBug { RIGHT, NO_BARRIER, EXITED, ONE_WARP, VOLATILE, DIVERGENT, UNWRITTEN, OVERRUN };

template <int BUG>
__global__ void row_sum(const float *x, float *y, int n) {
  __shared__ float s[32];
  __shared__ volatile float q[64];
  const int t = static_cast<int>(threadIdx().x), threads = static_cast<int>(simt_tls.nthreads);
  float v = 0;
  for (int i = t; i < n; i += threads) v += x[blockIdx().x * n + i];
  if (BUG == EXITED && t >= 20) return;
  if (BUG == VOLATILE) {
    q[t] = v, q[t + 32] = 0;
    for (int o = 16; o; o >>= 1) q[t] = q[t] + q[t + o];
    if (t == 0) y[blockIdx().x] = q[0];
    return;
  }
  if (BUG == DIVERGENT) {
    if (t < 100)
      sync();
    else
      v += 0, sync();
  }
  for (int o = 16; o; o >>= 1) v += down(v, o);
  if (BUG == EXITED || BUG == ONE_WARP) {
    if (t == 0) y[blockIdx().x] = v;
    return;
  }
  if (t % 32 == 0) s[t / 32] = v;
  if (BUG == OVERRUN && t == 0) s[n - 968] = 1;
  if (BUG != NO_BARRIER) sync();
  if (t == 0) {
    float a = 0;
    for (int i = 0; i < (BUG == UNWRITTEN ? 32 : threads / 32); ++i) a += s[i];
    y[blockIdx().x] = a;
  }
}

template <int BUG>
int row_case() {
  const int n = BUG == EXITED ? 20 : WIDE;
  const unsigned threads = BUG == EXITED || BUG == VOLATILE ? 32 : N;
  float *x = device(input.x, ROWS * n), *y = device<float>(nullptr, ROWS, "y");
  cuda("row_sum", {ROWS, 1, 1}, {threads, 1, 1}, 0, [=] { row_sum<BUG>(x, y, n); });
  const Result<float, ROWS> got(y);
  for (int r = 0; r < ROWS; ++r) {
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += input.x[r * n + i];
    if (!(std::fabs(got[r] - sum) < 1e-2)) return 1;
  }
  return 0;
}

// ---- one element per thread
template <class F>
int each(int n, int threads, F body) {
  float *x = device(input.x, static_cast<size_t>(n)), *y = device<float>(nullptr, n, "y");
  const auto grid = static_cast<unsigned>((n + threads - 1) / threads);
  cuda("each", {grid, 1, 1}, {static_cast<unsigned>(threads), 1, 1}, 0, [=] {
    body(x, y, static_cast<int>(blockIdx().x * simt_tls.nthreads + threadIdx().x));
  });
  static float got[ROWS * WIDE];
  simt_copy(got, y, static_cast<size_t>(n) * 4, 0);
  for (int i = 0; i < n; ++i)
    if (!(got[i] == 2 * input.x[i])) return 1;
  return 0;
}
typedef float *P;
typedef const float *C;

int no_check() { return each(WIDE, 256, [](C x, P y, int i) { y[i] = 2 * x[i]; }); }
int one_past() {
  return each(WIDE, 256, [](C x, P y, int i) {
    if (i <= WIDE) y[i] = 2 * x[i];
  });
}
// In the alignment behind the tensor: no page protects it.
int slack_read() {
  return each(WIDE + 1, 256, [](C x, P y, int i) {
    if (i > WIDE) return;
    volatile float next = x[i + 1];
    y[i] = 2 * x[i] + 0 * (next == next ? 0.0f : 0.0f);
  });
}
int before_start() {
  return each(1024, 256, [](C x, P y, int i) {
    volatile float previous = x[i - 1];
    (void)previous;
    y[i] = 2 * x[i];
  });
}
int write_slack() {
  return each(WIDE + 1, 256, [](C x, P y, int i) {
    if (i <= WIDE + 1) y[i] = 2 * x[i <= WIDE ? i : 0];
  });
}
int write_input() {
  constexpr size_t GUARD = 64 << 10;
  void *map = mmap(nullptr, 3 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto *frozen = reinterpret_cast<float *>(static_cast<char *>(map) + GUARD);
  mprotect(frozen, 4096, PROT_READ);
  simt_register("frozen", frozen, 4096, 0);
  return each(64, 64, [=](C, P y, int i) { y[i] = frozen[i] = 1; });
}
int null_pointer() {
  static float *volatile nowhere = nullptr;
  return each(64, 64, [](C, P y, int i) { y[i] = *nowhere; });
}
int big_locals() {
  return each(64, 64, [](C x, P y, int i) {
    volatile float big[1 << 16];
    big[i] = x[i];
    y[i] = 2 * big[i];
  });
}
int divide() {
  return each(64, 64, [](C x, P y, int i) {
    volatile int zero = 0;
    y[i] = 2 * x[i] + static_cast<float>(i / zero);
  });
}
struct alignas(16) Four {
  float v[4];
};
int misaligned() {
  return each(1000, 64, [](C x, P y, int i) {
    if (i % 4 == 0 && i < 990) {
      const Four four = *reinterpret_cast<const Four *>(x + i + 1);
      volatile float sink = four.v[0] + four.v[3];
      (void)sink;
    }
    if (i < 1000) y[i] = 2 * x[i];
  });
}
int trapping() {
  return each(64, 64, [](C x, P y, int i) {
    if (i == 7) simt_assert("i != 7", __LINE__);
    y[i] = 2 * x[i];
  });
}
int host_reads() {
  float *x = device(input.x, 4);
  return x[1] == input.x[1] ? 0 : 1;
}

// ---- blocks among each other, temporaries
int accumulate() {
  const float zero = 0;
  float *x = device(input.x, 500), *y = device(&zero, 1, "y");
  cuda("accumulate", {8, 1, 1}, {64, 1, 1}, 0, [=] {
    const unsigned i = blockIdx().x * 64 + threadIdx().x;
    if (i < 500) *y += x[i];
  });
  double sum = 0;
  for (int i = 0; i < 500; ++i) sum += input.x[i];
  return !(std::fabs((Result<float, 1>(y)[0]) - sum) < 1e-2);
}
int neighbor_block() {
  float *y = device(input.x, 256, "y");
  cuda("neighbor", {4, 1, 1}, {64, 1, 1}, 0, [=] {
    const unsigned i = blockIdx().x * 64 + threadIdx().x;
    const float right = i + 1 < 256 ? y[i + 1] : 0;
    sync();
    y[i] += right;
  });
  const Result<float, 256> got(y);
  for (int i = 0; i < 255; ++i)
    if (got[i] != input.x[i] + input.x[i + 1]) return 1;
  return 0;
}
// The last access of the block: nothing comes after it that could look.
int last_write() {
  float *y = device<float>(nullptr, 1, "y");
  cuda("last", {1, 1, 1}, {2, 1, 1}, 0, [=] { y[0] = static_cast<float>(threadIdx().x); });
  return 0;
}
int unwritten_counter() {
  int *count = device<int>(nullptr, 1, "count");
  cuda("counting", {1, 1, 1}, {64, 1, 1}, 0, [=] { add(count, 1); });
  return (Result<int, 1>(count)[0]) != 64;
}
int plain_and_atomic() {
  const int zero = 0;
  int *y = device(&zero, 1, "y");
  cuda("mixed", {1, 1, 1}, {64, 1, 1}, 0, [=] {
    __shared__ int total;
    if (threadIdx().x == 0) total = 0;
    add(&total, 1);
    sync();
    if (threadIdx().x == 0) *y = total;
  });
  return (Result<int, 1>(y)[0]) != 64;
}

// ---- launches
int many_threads() { return cuda("wide", {1, 1, 1}, {2048, 1, 1}, 0, [] {}); }
int deep_block() { return cuda("deep", {1, 1, 1}, {1, 1, 65}, 0, [] {}); }
int tall_grid() { return cuda("tall", {1, 65536, 1}, {1, 1, 1}, 0, [] {}); }
int much_shared() { return cuda("much", {1, 1, 1}, {1, 1, 1}, 240000, [] {}); }
int no_opt_in() { return cuda("closed", {1, 1, 1}, {1, 1, 1}, 50000, [] {}); }
int nested() {
  return cuda("outer", {1, 1, 1}, {1, 1, 1}, 0, [] { cuda("inner", {1, 1, 1}, {1, 1, 1}, 0, [] {}); });
}
int metal_threads() { return metal("wide", {4096, 1, 1}, {1025, 1, 1}, [] {}); }
int small_dynamic() {
  float *y = device<float>(nullptr, N, "y");
  return cuda("dynamic", {1, 1, 1}, {N, 1, 1}, N * 2, [=] {
    auto *s = static_cast<float *>(simt_tls.dyn);
    s[threadIdx().x] = 1;
    sync();
    y[threadIdx().x] = s[N - 1 - threadIdx().x];
  });
}
int bad_copy() {
  float *x = device(input.x, 4);
  float there[8];
  simt_copy(there, x, 32, __LINE__);
  return 0;
}

#define ONE(NAME) {#NAME, NAME}
static const Case cases[] = {
    {"softmax", softmax_case<NONE>},
    {"after_store", softmax_case<AFTER_STORE>},
    {"in_loop", softmax_case<IN_LOOP>},
    {"before_reuse", softmax_case<BEFORE_REUSE>},
    {"tail", softmax_case<TAIL>},
    {"beyond", softmax_case<BEYOND>},
    {"matmul", matmul_case<0>},
    {"first_barrier", matmul_case<1>},
    {"second_barrier", matmul_case<2>},
    {"row_sum", row_case<RIGHT>},
    {"no_barrier", row_case<NO_BARRIER>},
    {"exited", row_case<EXITED>},
    {"one_warp", row_case<ONE_WARP>},
    {"volatile_warp", row_case<VOLATILE>},
    {"divergent", row_case<DIVERGENT>},
    {"unwritten", row_case<UNWRITTEN>},
    {"overrun", row_case<OVERRUN>},
    ONE(no_check), ONE(one_past), ONE(slack_read), ONE(before_start), ONE(write_slack),
    ONE(write_input), ONE(null_pointer), ONE(big_locals), ONE(divide), ONE(misaligned),
    ONE(trapping), ONE(host_reads), ONE(accumulate), ONE(neighbor_block), ONE(unwritten_counter), ONE(last_write),
    ONE(plain_and_atomic), ONE(many_threads), ONE(deep_block), ONE(tall_grid), ONE(much_shared),
    ONE(no_opt_in), ONE(nested), ONE(metal_threads), ONE(small_dynamic), ONE(bad_copy),
};

extern "C" int run() { return run_case(cases, sizeof cases / sizeof *cases); }
