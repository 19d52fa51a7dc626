// SPDX-License-Identifier: Apache-2.0
// metal_atomic: relaxed atomics of the types that Metal has them for.
#pragma once
#include "simd.h"

namespace metal {

enum memory_order { memory_order_relaxed };

template <class T>
struct atomic {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, uint> || std::is_same_v<T, bool> ||
                    std::is_same_v<T, float> || std::is_same_v<T, ulong> ||
                    std::is_same_v<T, uint64_t>,
                "Metal has atomics of int, uint, bool, float and ulong only");
  T value;
};
typedef atomic<int> atomic_int;
typedef atomic<uint> atomic_uint;
typedef atomic<bool> atomic_bool;
typedef atomic<float> atomic_float;
typedef atomic<ulong> atomic_ulong;

// Through an integer of the same size, which is what instrumentation knows as an atomic access.
template <int BYTES>
struct Word;
template <>
struct Word<1> {
  using type = uint8_t;
};
template <>
struct Word<4> {
  using type = uint32_t;
};
template <>
struct Word<8> {
  using type = uint64_t;
};
template <class T>
using WordOf = typename Word<sizeof(T)>::type;
template <class T>
struct Same {  // the operand converts to the atomic's type
  using type = T;
};
template <class T>
using AsIs = typename Same<T>::type;

template <class T, class F>
inline T exchanged(volatile atomic<T> *at, F next) {
  using W = WordOf<T>;
  volatile W *word = reinterpret_cast<volatile W *>(at);
  W seen = __atomic_load_n(word, __ATOMIC_RELAXED);
  for (;;) {
    const T old = __builtin_bit_cast(T, seen);
    const W wanted = __builtin_bit_cast(W, T(next(old)));
    if (__atomic_compare_exchange_n(word, &seen, wanted, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
      return old;
  }
}
template <class T>
inline T atomic_load_explicit(const volatile atomic<T> *at, memory_order) {
  using W = WordOf<T>;
  return __builtin_bit_cast(
      T, __atomic_load_n(reinterpret_cast<const volatile W *>(at), __ATOMIC_RELAXED));
}
template <class T>
inline void atomic_store_explicit(volatile atomic<T> *at, AsIs<T> value, memory_order) {
  using W = WordOf<T>;
  __atomic_store_n(reinterpret_cast<volatile W *>(at), __builtin_bit_cast(W, value),
                   __ATOMIC_RELAXED);
}
template <class T>
inline T atomic_exchange_explicit(volatile atomic<T> *at, AsIs<T> value, memory_order) {
  return exchanged(at, [=](T) { return value; });
}
template <class T>
inline bool atomic_compare_exchange_weak_explicit(volatile atomic<T> *at, T *expected,
                                                  AsIs<T> wanted, memory_order, memory_order) {
  using W = WordOf<T>;
  W seen = __builtin_bit_cast(W, *expected);
  const bool done = __atomic_compare_exchange_n(reinterpret_cast<volatile W *>(at), &seen,
                                                __builtin_bit_cast(W, wanted), false,
                                                __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  *expected = __builtin_bit_cast(T, seen);
  return done;
}
#define KC_FETCH(name, allowed, next)                                                     \
  template <class T>                                                                      \
    requires(allowed)                                                                     \
  inline T atomic_fetch_##name##_explicit(volatile atomic<T> *at, AsIs<T> v, memory_order) { \
    return exchanged(at, [=](T old) { return T(next); });                                 \
  }
KC_FETCH(add, sizeof(T) == 4, old + v)
KC_FETCH(sub, sizeof(T) == 4, old - v)
KC_FETCH(max, (std::is_integral_v<T> && sizeof(T) == 4), old < v ? v : old)
KC_FETCH(min, (std::is_integral_v<T> && sizeof(T) == 4), v < old ? v : old)
KC_FETCH(and, (std::is_integral_v<T> && sizeof(T) == 4), old & v)
KC_FETCH(or, (std::is_integral_v<T> && sizeof(T) == 4), old | v)
KC_FETCH(xor, (std::is_integral_v<T> && sizeof(T) == 4), old ^ v)
#undef KC_FETCH
template <class T>
  requires(sizeof(T) == 8)
inline void atomic_max_explicit(volatile atomic<T> *at, AsIs<T> v, memory_order) {
  exchanged(at, [=](T old) { return old < v ? v : old; });
}
template <class T>
  requires(sizeof(T) == 8)
inline void atomic_min_explicit(volatile atomic<T> *at, AsIs<T> v, memory_order) {
  exchanged(at, [=](T old) { return v < old ? v : old; });
}

}  // namespace metal
