// SPDX-License-Identifier: Apache-2.0
// Warp functions: shuffles, votes, matches, reductions (CUDA C++ Programming Guide, "Warp Vote
// Functions" to "Warp Shuffle Functions"). One function works for all lanes that take part.
#pragma once
#include "types.h"

namespace simt {

enum { SIMT_BALLOT = SIMT_FREE, SIMT_MATCH, SIMT_MATCH_ALL, SIMT_REDUCE };

// The lane a shuffle reads, in a section of `width` lanes from `base`; its own where the guide says
// that the value stays.
template <int KIND>
inline int source_lane(int lane, int by, int width) {
  const int base = lane & ~(width - 1), end = base + width;
  const int other = KIND == SIMT_SHFL_IDX    ? base + (by & (width - 1))
                    : KIND == SIMT_SHFL_UP   ? lane - by
                    : KIND == SIMT_SHFL_DOWN ? lane + by
                                             : lane ^ by;
  if (KIND == SIMT_SHFL_UP) return other < base ? lane : other;
  return other >= end || other < 0 ? lane : other;
}

template <class T, int KIND>
void shuffle_all(Slot *slots, uint32_t active, int) {
  for (uint32_t left = active; left; left &= left - 1) {
    const int lane = __builtin_ctz(left);
    const Slot &slot = slots[lane];
    const int from = source_lane<KIND>(lane, slot.arg, slot.arg2);
    if (active >> from & 1) {
      std::memcpy(slot.out, slots[from].in, sizeof(T));
    } else {  // what the guide calls undefined
      std::memset(slot.out, static_cast<int>(simt_poison()), sizeof(T));
      simt_warn("divergent-warp", slot.line, "reads a lane that takes no part");
    }
  }
}

template <int KIND, class T>
inline T shuffle(unsigned mask, T value, int by, int width, int line) {
  static_assert(std::is_trivially_copyable_v<T>, "only plain values are shuffled");
  T result;
  simt_warp(mask, KIND, line, shuffle_all<T, KIND>, &value, &result, by, width);
  return result;
}

inline void ballot_all(Slot *slots, uint32_t active, int) {
  uint32_t set = 0;
  for (uint32_t left = active; left; left &= left - 1) {
    const int lane = __builtin_ctz(left);
    if (*static_cast<const int *>(slots[lane].in)) set |= 1u << lane;
  }
  for (uint32_t left = active; left; left &= left - 1)
    *static_cast<uint32_t *>(slots[__builtin_ctz(left)].out) = set;
}

template <class T>
void match_all_lanes(Slot *slots, uint32_t active, int) {
  for (uint32_t left = active; left; left &= left - 1) {
    uint32_t same = 0;
    const int lane = __builtin_ctz(left);
    for (uint32_t rest = active; rest; rest &= rest - 1) {
      const int other = __builtin_ctz(rest);
      if (!std::memcmp(slots[lane].in, slots[other].in, sizeof(T))) same |= 1u << other;
    }
    *static_cast<uint32_t *>(slots[lane].out) = same;
  }
}

struct Add { template <class T> T operator()(T a, T b) const { return static_cast<T>(a + b); } };
struct Min { template <class T> T operator()(T a, T b) const { return b < a ? b : a; } };
struct Max { template <class T> T operator()(T a, T b) const { return a < b ? b : a; } };
struct And { template <class T> T operator()(T a, T b) const { return a & b; } };
struct Or { template <class T> T operator()(T a, T b) const { return a | b; } };
struct Xor { template <class T> T operator()(T a, T b) const { return a ^ b; } };

template <class T, class Op>
void reduce_all(Slot *slots, uint32_t active, int) {
  T sum = *static_cast<const T *>(slots[__builtin_ctz(active)].in);
  for (uint32_t left = active & (active - 1); left; left &= left - 1)
    sum = Op()(sum, *static_cast<const T *>(slots[__builtin_ctz(left)].in));
  for (uint32_t left = active; left; left &= left - 1)
    *static_cast<T *>(slots[__builtin_ctz(left)].out) = sum;
}

template <class Op, class T>
inline T reduce(unsigned mask, T value, int line) {
  T result;
  simt_warp(mask, SIMT_REDUCE, line, reduce_all<T, Op>, &value, &result, 0, 0);
  return result;
}

inline uint32_t ballot(unsigned mask, int value, int line, uint32_t *active = nullptr) {
  uint32_t set = 0;
  const uint32_t lanes = simt_warp(mask, SIMT_BALLOT, line, ballot_all, &value, &set, 0, 0);
  if (active) *active = lanes;
  return set;
}

}  // namespace simt

static inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_LINE) {
  simt_warp(mask, simt::SIMT_SYNC, simt_line, nullptr, nullptr, nullptr, 0, 0);
}
static inline unsigned __activemask(SIMT_LINE) {
  return simt_warp(0, simt::SIMT_ACTIVE, simt_line, nullptr, nullptr, nullptr, 0, 0);
}
template <class T>
inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32, SIMT_LINE) {
  return simt::shuffle<simt::SIMT_SHFL_IDX>(mask, value, lane, width, simt_line);
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, SIMT_LINE) {
  return simt::shuffle<simt::SIMT_SHFL_UP>(mask, value, static_cast<int>(by), width, simt_line);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, SIMT_LINE) {
  return simt::shuffle<simt::SIMT_SHFL_DOWN>(mask, value, static_cast<int>(by), width, simt_line);
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32, SIMT_LINE) {
  return simt::shuffle<simt::SIMT_SHFL_XOR>(mask, value, by, width, simt_line);
}
static inline unsigned __ballot_sync(unsigned mask, int value, SIMT_LINE) {
  return simt::ballot(mask, value != 0, simt_line);
}
static inline int __any_sync(unsigned mask, int value, SIMT_LINE) {
  return simt::ballot(mask, value != 0, simt_line) != 0;
}
static inline int __all_sync(unsigned mask, int value, SIMT_LINE) {
  uint32_t active = 0;
  const uint32_t set = simt::ballot(mask, value != 0, simt_line, &active);
  return set == active;
}
template <class T>
inline unsigned __match_any_sync(unsigned mask, T value, SIMT_LINE) {
  uint32_t same = 0;
  simt_warp(mask, simt::SIMT_MATCH, simt_line, simt::match_all_lanes<T>, &value, &same, 0, 0);
  return same;
}
template <class T>
inline unsigned __match_all_sync(unsigned mask, T value, int *all, SIMT_LINE) {
  uint32_t same = 0;
  const uint32_t active =
      simt_warp(mask, simt::SIMT_MATCH_ALL, simt_line, simt::match_all_lanes<T>, &value, &same, 0, 0);
  *all = same == active;
  return *all ? same : 0;
}
#define SIMT_REDUCTION(NAME, OP, T)                                        \
  static inline T __reduce_##NAME##_sync(unsigned mask, T value, SIMT_LINE) { \
    return simt::reduce<simt::OP>(mask, value, simt_line);                 \
  }
SIMT_REDUCTION(add, Add, unsigned) SIMT_REDUCTION(add, Add, int)
SIMT_REDUCTION(min, Min, unsigned) SIMT_REDUCTION(min, Min, int)
SIMT_REDUCTION(max, Max, unsigned) SIMT_REDUCTION(max, Max, int)
SIMT_REDUCTION(and, And, unsigned) SIMT_REDUCTION(or, Or, unsigned) SIMT_REDUCTION(xor, Xor, unsigned)
#undef SIMT_REDUCTION
