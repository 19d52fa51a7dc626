// SPDX-License-Identifier: Apache-2.0
// As much of CUDA and Metal as the tests of the runtime need, written straight on its C ABI.
#pragma once
#include <simt/rt.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#define __global__ inline
#define __shared__ static thread_local
#define LINE int line = __builtin_LINE()
#define ALL 0xffffffffu
using simt::Slot;
using simt::u3;

inline u3 &threadIdx() { return simt_tls.tid; }
inline u3 &blockIdx() { return simt_tls.bid; }
inline void sync(LINE) { simt_barrier(line, simt::SIMT_PLAIN, 0); }
inline int sync_count(int p, LINE) { return simt_barrier(line, simt::SIMT_COUNT, p); }
inline int sync_and(int p, LINE) { return simt_barrier(line, simt::SIMT_AND, p); }
inline int sync_or(int p, LINE) { return simt_barrier(line, simt::SIMT_OR, p); }
inline void sync_warp(unsigned mask = ALL, LINE) {
  simt_warp(mask, simt::SIMT_SYNC, line, nullptr, nullptr, nullptr, 0, 0);
}
inline unsigned active(LINE) {
  return simt_warp(0, simt::SIMT_ACTIVE, line, nullptr, nullptr, nullptr, 0, 0);
}

// CUDA C++ Programming Guide, "Warp Shuffle Functions": lanes out of range get their own value.
template <int KIND>
void shuffle_lanes(Slot *s, uint32_t active, int) {
  for (int l = 0; l < 32; ++l) {
    if (!(active >> l & 1)) continue;
    const int width = s[l].arg2, base = l & ~(width - 1), d = s[l].arg;
    int from = KIND == 0 ? base + (d & (width - 1)) : KIND == 1 ? l - d : KIND == 2 ? l + d : l ^ d;
    if (from < base || from >= base + width) from = l;
    if (active >> from & 1)
      std::memcpy(s[l].out, s[from].in, 4);
    else
      std::memset(s[l].out, static_cast<int>(simt_poison()), 4);
  }
}
template <int KIND, class T>
T shuffle(unsigned mask, T value, int d, int width = 32, LINE) {
  T out;
  simt_warp(mask, KIND, line, shuffle_lanes<KIND>, &value, &out, d, width);
  return out;
}
template <class T>
T down(T value, int d, unsigned mask = ALL, LINE) {
  return shuffle<2>(mask, value, d, 32, line);
}
inline void ballot_lanes(Slot *s, uint32_t active, int) {
  uint32_t bits = 0;
  for (int l = 0; l < 32; ++l)
    if (active >> l & 1 && *static_cast<const int *>(s[l].in)) bits |= 1u << l;
  for (int l = 0; l < 32; ++l)
    if (active >> l & 1) *static_cast<uint32_t *>(s[l].out) = bits;
}
inline unsigned ballot(unsigned mask, int p, LINE) {
  unsigned out;
  simt_warp(mask, 33, line, ballot_lanes, &p, &out, 0, 0);
  return out;
}
inline void match_lanes(Slot *s, uint32_t active, int) {
  for (int l = 0; l < 32; ++l) {
    if (!(active >> l & 1)) continue;
    uint32_t bits = 0;
    for (int k = 0; k < 32; ++k)
      if (active >> k & 1 && std::memcmp(s[k].in, s[l].in, 4) == 0) bits |= 1u << k;
    *static_cast<uint32_t *>(s[l].out) = bits;
  }
}
inline unsigned match_any(unsigned mask, int value, LINE) {
  unsigned out;
  simt_warp(mask, 34, line, match_lanes, &value, &out, 0, 0);
  return out;
}
inline void sum_lanes(Slot *s, uint32_t active, int) {
  int sum = 0;
  for (int l = 0; l < 32; ++l)
    if (active >> l & 1) sum += *static_cast<const int *>(s[l].in);
  for (int l = 0; l < 32; ++l)
    if (active >> l & 1) *static_cast<int *>(s[l].out) = sum;
}
// mask 0 is Metal's simd_sum.
inline int warp_sum(unsigned mask, int value, LINE) {
  int out;
  simt_warp(mask, 35, line, sum_lanes, &value, &out, 0, 0);
  return out;
}
template <class T>
T add(T *at, T value) {
  return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}

template <class F>
int cuda(const char *name, u3 grid, u3 block, size_t dyn, F body, LINE) {
  const simt::LaunchCfg config{grid, block, dyn, 0, {0, 0, 0}, name, line, nullptr};
  return simt::launch_fn(config, body);
}
template <class F>
int metal(const char *name, u3 threads, u3 group, F body, LINE) {
  const simt::LaunchCfg config{{0, 0, 0}, group, 0, 1, threads, name, line, nullptr};
  return simt::launch_fn(config, body);
}

// Memory of an argument: filled by simt_copy, so that host code does not touch it.
template <class T>
T *device(const T *values, size_t n, const char *name = "x") {
  T *at = static_cast<T *>(simt_allocate(n * sizeof(T), 0, name));
  if (values) simt_copy(at, values, n * sizeof(T), 0);
  return at;
}
template <class T, size_t N>
struct Result {
  T values[N];
  explicit Result(const T *from) { simt_copy(values, from, sizeof values, 0); }
  T operator[](size_t i) const { return values[i]; }
};

struct Case {
  const char *name;
  int (*run)();
};
#define EXPECT(condition)                                          \
  do {                                                             \
    if (!(condition)) {                                            \
      std::fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
      return 1;                                                    \
    }                                                              \
  } while (0)
inline int run_case(const Case *cases, size_t n) {
  const char *wanted = std::getenv("CASE");
  for (size_t i = 0; i < n; ++i)
    if (wanted && std::strcmp(wanted, cases[i].name) == 0) return cases[i].run();
  std::fprintf(stderr, "no such case\n");
  return 2;
}
