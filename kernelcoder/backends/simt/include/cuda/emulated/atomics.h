// SPDX-License-Identifier: Apache-2.0
// Atomic functions. All are real atomics of the processor: blocks may run on several OS threads,
// and the checked build has to see them as what they are.
#pragma once
#include "types.h"

namespace simt {

template <size_t N>
struct Word;
template <> struct Word<2> { using type = uint16_t; };
template <> struct Word<4> { using type = uint32_t; };
template <> struct Word<8> { using type = uint64_t; };

// The old value; `next` gives the new one.
template <class T, class F>
inline T exchange(T *at, F &&next) {
  using W = typename Word<sizeof(T)>::type;
  W *word = reinterpret_cast<W *>(at);
  W old = __atomic_load_n(word, __ATOMIC_RELAXED);
  for (;;) {
    const T before = bits<T>(old);
    const W after = bits<W>(static_cast<T>(next(before)));
    if (__atomic_compare_exchange_n(word, &old, after, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
      return before;
  }
}

}  // namespace simt

#define SIMT_ATOMIC(NAME, NEXT)                                                            \
  template <class T>                                                                       \
  inline T atomic##NAME(T *at, simt::Same<T> v) {                                          \
    return simt::exchange(at, [&](T old) -> T { return NEXT; });                           \
  }                                                                                        \
  template <class T>                                                                       \
  inline T atomic##NAME##_block(T *at, simt::Same<T> v) { return atomic##NAME(at, v); }    \
  template <class T>                                                                       \
  inline T atomic##NAME##_system(T *at, simt::Same<T> v) { return atomic##NAME(at, v); }
SIMT_ATOMIC(Add, static_cast<T>(old + v))
SIMT_ATOMIC(Sub, static_cast<T>(old - v))
SIMT_ATOMIC(Exch, v)
SIMT_ATOMIC(Min, v < old ? v : old)
SIMT_ATOMIC(Max, old < v ? v : old)
SIMT_ATOMIC(And, old & v)
SIMT_ATOMIC(Or, old | v)
SIMT_ATOMIC(Xor, old ^ v)
SIMT_ATOMIC(Inc, old >= v ? 0u : old + 1)
SIMT_ATOMIC(Dec, old == 0 || old > v ? v : old - 1)
#undef SIMT_ATOMIC
// The hardware has none of these; without the deletions the templates would accept them.
float atomicMin(float *, float) = delete;
float atomicMax(float *, float) = delete;
double atomicMin(double *, double) = delete;
double atomicMax(double *, double) = delete;
float atomicSub(float *, float) = delete;

template <class T>
inline T atomicCAS(T *at, simt::Same<T> compare, simt::Same<T> v) {
  using W = typename simt::Word<sizeof(T)>::type;
  W expected = simt::bits<W>(compare);
  __atomic_compare_exchange_n(reinterpret_cast<W *>(at), &expected, simt::bits<W>(v), false,
                              __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return simt::bits<T>(expected);
}
template <class T>
inline T atomicCAS_block(T *at, simt::Same<T> compare, simt::Same<T> v) {
  return atomicCAS(at, compare, v);
}
