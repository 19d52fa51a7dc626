// SPDX-License-Identifier: Apache-2.0
// The control bits of the processor's floating-point unit: rounding mode, flushing of subnormals,
// masked traps. A kernel must leave them as it finds them: the next call, and every thread's
// arithmetic after it, would round otherwise. Only the calling thread's bits are looked at.
#pragma once
#include <stdint.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static inline uint64_t float_mode(void) {
#if defined(__x86_64__)
  return _mm_getcsr() & ~0x3Fu;  // the low six bits are flags that ordinary arithmetic raises
#elif defined(__aarch64__)
  uint64_t mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
#else
  return 0;
#endif
}
