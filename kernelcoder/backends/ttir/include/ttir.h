// SPDX-License-Identifier: Apache-2.0
// What C++ made of TTIR includes: numbers, functions, checks; products, atomics, and the loop over
// the programs of a grid. Programs run one after another in one thread.
#pragma once
#include "ttir_math.h"
#include "ttir_numbers.h"
#include "ttir_shadow.h"

// d += a * b, row-major. A few rows and vectors of columns at a time stay in registers: 16 sums with
// AVX-512, 8 else.
#ifdef __AVX512F__
enum { VECTOR = 64, ROWS_AT_ONCE = 8 };
#else
enum { VECTOR = 32, ROWS_AT_ONCE = 4 };
#endif
template <class T, int M, int N, int K>
static inline void product(T *__restrict d, const T *__restrict a, const T *__restrict b) {
  constexpr int ROW = N * (int)sizeof(T), BYTES = ROW < VECTOR ? ROW : VECTOR;
  constexpr int LANES = BYTES / (int)sizeof(T), SIDE = N / LANES < 2 ? 1 : 2;
  constexpr int ROWS = M < ROWS_AT_ONCE ? M : ROWS_AT_ONCE;
  typedef T Vector __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
  for (int j = 0; j < N; j += SIDE * LANES) {
    for (int i = 0; i < M; i += ROWS) {
      Vector sum[ROWS][SIDE];
#pragma GCC unroll 8
      for (int u = 0; u < ROWS; ++u)
#pragma GCC unroll 2
        for (int v = 0; v < SIDE; ++v)
          sum[u][v] = *(const Vector *)(d + (i + u) * N + j + v * LANES);
      for (int k = 0; k < K; ++k) {
        Vector right[SIDE];
#pragma GCC unroll 2
        for (int v = 0; v < SIDE; ++v) right[v] = *(const Vector *)(b + k * N + j + v * LANES);
#pragma GCC unroll 8
        for (int u = 0; u < ROWS; ++u)
#pragma GCC unroll 2
          for (int v = 0; v < SIDE; ++v) sum[u][v] += a[(i + u) * K + k] * right[v];
      }
#pragma GCC unroll 8
      for (int u = 0; u < ROWS; ++u)
#pragma GCC unroll 2
        for (int v = 0; v < SIDE; ++v)
          *(Vector *)(d + (i + u) * N + j + v * LANES) = sum[u][v];
    }
  }
}

template <class T> struct Wide { typedef T type; };
template <> struct Wide<half> { typedef float type; };
template <> struct Wide<bf16> { typedef float type; };
template <> struct Wide<int32_t> { typedef uint32_t type; };
template <> struct Wide<int64_t> { typedef uint64_t type; };

template <class T> static inline T exchanged(int64_t pointer, T value) {
  T *at = (T *)pointer;
  const T old = *at;
  *at = value;
  return old;
}
template <class T> static inline T atomic_exchange(int64_t p, T v) { return exchanged<T>(p, v); }
template <class T> static inline T atomic_add(int64_t p, T v) {
  typedef typename Wide<T>::type W;
  return exchanged<T>(p, T(W(*(T *)p) + W(v)));
}
template <class T> static inline T atomic_max(int64_t p, T v) {
  return exchanged<T>(p, largest<T>(*(T *)p, v));
}
template <class T> static inline T atomic_min(int64_t p, T v) {
  return exchanged<T>(p, smallest<T>(*(T *)p, v));
}
template <class T> static inline T atomic_umax(int64_t p, T v) {
  return exchanged<T>(p, largest_unsigned<T>(*(T *)p, v));
}
template <class T> static inline T atomic_umin(int64_t p, T v) {
  return exchanged<T>(p, smallest_unsigned<T>(*(T *)p, v));
}
template <class T> static inline T atomic_and(int64_t p, T v) {
  return exchanged<T>(p, T(*(T *)p & v));
}
template <class T> static inline T atomic_or(int64_t p, T v) {
  return exchanged<T>(p, T(*(T *)p | v));
}
template <class T> static inline T atomic_xor(int64_t p, T v) {
  return exchanged<T>(p, T(*(T *)p ^ v));
}
template <class T> static inline T atomic_cas(int64_t p, T expected, T v) {
  const T old = *(T *)p;
  const bool equal = memcmp(&old, &expected, sizeof old) == 0;
  return equal ? exchanged<T>(p, v) : old;
}

static inline int64_t common(int64_t a, int64_t b) { return b ? common(b, a % b) : a; }

// A number in double's bits, as the caller passed it.
static inline double real(const Argument &argument) { return double_bits((uint64_t)argument.value); }

// Runs every program of the grid once, in an order that the seed chooses: a kernel must not care.
template <class Program>
static inline void run_grid(const Launch &launch, const Kernel &kernel, Program program) {
  const int64_t x = launch.grid[0], y = launch.grid[1], total = x * y * launch.grid[2];
  int64_t step = 1, first = 0;
  if (launch.seed == 1 && !kernel.in_order) step = total - 1, first = total - 1;
  if (launch.seed > 1 && !kernel.in_order) {
    first = (int64_t)((launch.seed * 0x9e3779b97f4a7c15ULL >> 16) % (uint64_t)total);
    step = (int64_t)((launch.seed * 0xbf58476d1ce4e5b9ULL >> 20) % (uint64_t)total) | 1;
    while (common(step, total) != 1) ++step;
  }
  running = &kernel;
  launched = &launch;
  Shadow memory;
  Shadow *shadow = launch.races && memory.open(launch, kernel) ? &memory : nullptr;
  for (int64_t n = 0, at = first; n < total; ++n, at = (at + step) % total) {
    current = at;
    if (shadow) shadow->begin(at);
    program(launch, shadow, (int32_t)(at % x), (int32_t)(at / x % y), (int32_t)(at / x / y));
  }
  if (shadow) shadow->close();
}
