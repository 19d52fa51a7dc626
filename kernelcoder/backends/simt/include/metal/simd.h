// SPDX-License-Identifier: Apache-2.0
// Barriers, and what the lanes of a SIMD-group or of a quad do together (metal_simdgroup,
// metal_quadgroup, metal_compute).
//
// None of these has a mask: the lanes that come to one line take part. A lane that reads from one
// that is not there gets garbage.
#pragma once
#include <simt/rt.h>
#include "math.h"

namespace metal {

enum class mem_flags : int {
  mem_none = 0,
  mem_device = 1,
  mem_threadgroup = 2,
  mem_texture = 4,
  mem_threadgroup_imageblock = 8,
  mem_object_data = 16,
};
constexpr mem_flags operator|(mem_flags a, mem_flags b) { return mem_flags(int(a) | int(b)); }
constexpr mem_flags operator&(mem_flags a, mem_flags b) { return mem_flags(int(a) & int(b)); }

#define KC_LINE int line = __builtin_LINE()

inline void threadgroup_barrier(mem_flags flags, KC_LINE) {
  if ((flags & mem_flags::mem_threadgroup) == mem_flags::mem_none)
    simt_warn("weak-barrier", line, "the barrier does not order threadgroup memory");
  simt_barrier(line, simt::SIMT_PLAIN, 0);
}
inline void simdgroup_barrier(mem_flags, KC_LINE) {
  simt_warp(0, simt::SIMT_SYNC, line, nullptr, nullptr, nullptr, 0, 0);
}

// ---- moving values: lane -> lane it reads from, by kind; width is 32 or 4
enum Move : int { AT, UP, DOWN, XOR, ROTATE_UP, ROTATE_DOWN };
template <class T>
inline void spoil(T *out) {
  __builtin_memset((void *)out, int(simt_poison()), sizeof *out);
}
template <class T, int MOVE>
void move_lanes(simt::Slot *slots, uint32_t active, int) {
  for (int lane = 0; lane < 32; ++lane) {
    if (!(active >> lane & 1)) continue;
    const int width = slots[lane].arg2, base = lane / width * width, by = slots[lane].arg;
    int from = lane;
    if (MOVE == AT) from = base + by;
    if (MOVE == UP) from = lane - by;
    if (MOVE == DOWN) from = lane + by;
    if (MOVE == XOR) from = lane ^ by;
    if (MOVE == ROTATE_UP) from = base + (lane - base + width - by % width) % width;
    if (MOVE == ROTATE_DOWN) from = base + (lane - base + by) % width;
    const bool inside = from >= base && from < base + width;
    // Values do not wrap around: the lanes at the end keep their own.
    if (!inside && (MOVE == UP || MOVE == DOWN)) from = lane;
    T *out = static_cast<T *>(slots[lane].out);
    if (from >= base && from < base + width && (active >> from & 1))
      *out = *static_cast<const T *>(slots[from].in);
    else
      spoil(out);
  }
}
template <class T, int MOVE>
inline T moved(T value, int by, int width, int kind, int line) {
  T out;
  simt_warp(0, kind, line, move_lanes<T, MOVE>, &value, &out, by, width);
  return out;
}
#define KC_MOVE(name, move, kind)                                                        \
  template <class T>                                                                     \
  inline T simd_##name(T value, ushort by, KC_LINE) {                                    \
    return moved<T, move>(value, by, 32, kind, line);                                    \
  }                                                                                      \
  template <class T>                                                                     \
  inline T quad_##name(T value, ushort by, KC_LINE) {                                    \
    return moved<T, move>(value, by, 4, kind + 100, line);                               \
  }
KC_MOVE(shuffle, AT, simt::SIMT_FREE)
KC_MOVE(broadcast, AT, simt::SIMT_FREE + 1)
KC_MOVE(shuffle_up, UP, simt::SIMT_FREE + 2)
KC_MOVE(shuffle_down, DOWN, simt::SIMT_FREE + 3)
KC_MOVE(shuffle_xor, XOR, simt::SIMT_FREE + 4)
KC_MOVE(shuffle_rotate_up, ROTATE_UP, simt::SIMT_FREE + 5)
KC_MOVE(shuffle_rotate_down, ROTATE_DOWN, simt::SIMT_FREE + 6)

// The lanes at the end get what their neighbor group's filling would have held.
template <class T>
inline T simd_shuffle_and_fill_up(T value, T filling, ushort by, ushort modulo = 32, KC_LINE) {
  const T moved_value = moved<T, UP>(value, by, modulo, simt::SIMT_FREE + 7, line);
  const T filled = moved<T, ROTATE_UP>(filling, by, modulo, simt::SIMT_FREE + 8, line);
  return simt_tls.lane % modulo < by ? filled : moved_value;
}
template <class T>
inline T simd_shuffle_and_fill_down(T value, T filling, ushort by, ushort modulo = 32, KC_LINE) {
  const T moved_value = moved<T, DOWN>(value, by, modulo, simt::SIMT_FREE + 9, line);
  const T filled = moved<T, ROTATE_DOWN>(filling, by, modulo, simt::SIMT_FREE + 10, line);
  return simt_tls.lane % modulo + by >= modulo ? filled : moved_value;
}

// ---- reductions and scans, in the element's own type; of bfloat in float, as MLX has it
template <class T>
struct Sums {
  using type = T;
};
template <>
struct Sums<bfloat> {
  using type = float;
};
struct Add {
  template <class T>
  static T of(T a, T b) { return T(a + b); }
  static constexpr int neutral = 0;
};
struct Multiply {
  template <class T>
  static T of(T a, T b) { return T(a * b); }
  static constexpr int neutral = 1;
};
struct Least {
  template <class T>
  static T of(T a, T b) { return metal::min(a, b); }
};
struct Most {
  template <class T>
  static T of(T a, T b) { return metal::max(a, b); }
};
struct And {
  template <class T>
  static T of(T a, T b) { return T(a & b); }
};
struct Or {
  template <class T>
  static T of(T a, T b) { return T(a | b); }
};
struct Xor {
  template <class T>
  static T of(T a, T b) { return T(a ^ b); }
};
template <class T, class F>
void reduce_lanes(simt::Slot *slots, uint32_t active, int) {
  using W = typename Sums<T>::type;
  const int width = slots[__builtin_ctz(active)].arg2;
  for (int base = 0; base < 32; base += width) {
    W sum{};
    bool any = false;
    for (int lane = base; lane < base + width; ++lane) {
      if (!(active >> lane & 1)) continue;
      const W value = W(*static_cast<const T *>(slots[lane].in));
      sum = any ? F::of(sum, value) : value;
      any = true;
    }
    for (int lane = base; lane < base + width; ++lane)
      if (active >> lane & 1) *static_cast<T *>(slots[lane].out) = T(sum);
  }
}
template <class T, class F>
inline T reduced(T value, int width, int kind, int line) {
  T out;
  simt_warp(0, kind, line, reduce_lanes<T, F>, &value, &out, 0, width);
  return out;
}
#define KC_REDUCE(name, F, kind)                                             \
  template <class T>                                                         \
  inline T simd_##name(T value, KC_LINE) {                                   \
    return reduced<T, F>(value, 32, simt::SIMT_FREE + kind, line);           \
  }                                                                          \
  template <class T>                                                         \
  inline T quad_##name(T value, KC_LINE) {                                   \
    return reduced<T, F>(value, 4, simt::SIMT_FREE + 100 + kind, line);      \
  }
KC_REDUCE(sum, Add, 20)
KC_REDUCE(product, Multiply, 21)
KC_REDUCE(min, Least, 22)
KC_REDUCE(max, Most, 23)
KC_REDUCE(and, And, 24)
KC_REDUCE(or, Or, 25)
KC_REDUCE(xor, Xor, 26)

template <class T, class F, bool INCLUSIVE>
void scan_lanes(simt::Slot *slots, uint32_t active, int) {
  using W = typename Sums<T>::type;
  const int width = slots[__builtin_ctz(active)].arg2;
  for (int base = 0; base < 32; base += width) {
    W sum = W(F::neutral);
    for (int lane = base; lane < base + width; ++lane) {
      if (!(active >> lane & 1)) continue;
      const W with = F::of(sum, W(*static_cast<const T *>(slots[lane].in)));
      *static_cast<T *>(slots[lane].out) = T(INCLUSIVE ? with : sum);
      sum = with;
    }
  }
}
#define KC_SCAN(name, F, INCLUSIVE, kind)                                                        \
  template <class T>                                                                             \
  inline T simd_prefix_##name(T value, KC_LINE) {                                                \
    T out;                                                                                       \
    simt_warp(0, simt::SIMT_FREE + kind, line, scan_lanes<T, F, INCLUSIVE>, &value, &out, 0, 32); \
    return out;                                                                                  \
  }                                                                                              \
  template <class T>                                                                             \
  inline T quad_prefix_##name(T value, KC_LINE) {                                                \
    T out;                                                                                       \
    simt_warp(0, simt::SIMT_FREE + 100 + kind, line, scan_lanes<T, F, INCLUSIVE>, &value, &out,  \
              0, 4);                                                                             \
    return out;                                                                                  \
  }
KC_SCAN(inclusive_sum, Add, true, 40)
KC_SCAN(exclusive_sum, Add, false, 41)
KC_SCAN(inclusive_product, Multiply, true, 42)
KC_SCAN(exclusive_product, Multiply, false, 43)

// ---- votes
struct simd_vote {
  typedef uint64_t vote_t;
  vote_t lanes;
  uint32_t present;
  explicit constexpr simd_vote(vote_t v = 0, uint32_t among = 0xffffffffu)
      : lanes(v), present(among) {}
  explicit constexpr operator vote_t() const { return lanes; }
  constexpr bool all() const { return lanes == present; }
  constexpr bool any() const { return lanes != 0; }
};
inline void vote_lanes(simt::Slot *slots, uint32_t active, int) {
  uint32_t found = 0;
  for (int lane = 0; lane < 32; ++lane)
    if ((active >> lane & 1) && *static_cast<const bool *>(slots[lane].in)) found |= 1u << lane;
  for (int lane = 0; lane < 32; ++lane)
    if (active >> lane & 1) *static_cast<uint32_t *>(slots[lane].out) = found;
}
inline simd_vote simd_ballot(bool yes, KC_LINE) {
  uint32_t found = 0;
  const uint32_t among =
      simt_warp(0, simt::SIMT_FREE + 50, line, vote_lanes, &yes, &found, 0, 0);
  return simd_vote(found, among);
}
inline bool simd_any(bool yes, KC_LINE) { return simd_ballot(yes, line).any(); }
inline bool simd_all(bool yes, KC_LINE) { return simd_ballot(yes, line).all(); }
inline simd_vote simd_active_threads_mask(KC_LINE) { return simd_ballot(true, line); }
inline bool simd_is_first(KC_LINE) {
  return __builtin_ctz(simd_ballot(true, line).present) == int(simt_tls.lane);
}
template <class T>
void first_lane(simt::Slot *slots, uint32_t active, int) {
  const T value = *static_cast<const T *>(slots[__builtin_ctz(active)].in);
  for (int lane = 0; lane < 32; ++lane)
    if (active >> lane & 1) *static_cast<T *>(slots[lane].out) = value;
}
template <class T>
inline T simd_broadcast_first(T value, KC_LINE) {
  T out;
  simt_warp(0, simt::SIMT_FREE + 51, line, first_lane<T>, &value, &out, 0, 0);
  return out;
}
inline bool simd_is_helper_thread() { return false; }

}  // namespace metal
