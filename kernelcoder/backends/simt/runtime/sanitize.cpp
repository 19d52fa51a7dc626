// SPDX-License-Identifier: Apache-2.0
// The callbacks of -fsanitize=thread, which is used for its instrumentation alone: their names and
// arguments are those of GCC and LLVM, what they do is ours.
#include <cstring>

#include "shadow.h"

using simt::Access;
using simt::shadow_access;

#define CALLER __builtin_return_address(0)

extern "C" {

void __tsan_init(void) { simt::shadow_enable(); }
void __tsan_func_entry(void *) {}
void __tsan_func_exit(void) {}
void __tsan_vptr_update(void **, void *) {}
void __tsan_vptr_read(void **) {}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

#define ONE(NAME, SIZE, ACCESS) \
  void NAME(void *at) { shadow_access(at, SIZE, Access::ACCESS, CALLER); }
#define PLAIN(SIZE)                                      \
  ONE(__tsan_read##SIZE, SIZE, READ)                     \
  ONE(__tsan_write##SIZE, SIZE, WRITE)                   \
  ONE(__tsan_unaligned_read##SIZE, SIZE, READ)           \
  ONE(__tsan_unaligned_write##SIZE, SIZE, WRITE)         \
  ONE(__tsan_volatile_read##SIZE, SIZE, READ)            \
  ONE(__tsan_volatile_write##SIZE, SIZE, WRITE)          \
  ONE(__tsan_unaligned_volatile_read##SIZE, SIZE, READ)  \
  ONE(__tsan_unaligned_volatile_write##SIZE, SIZE, WRITE)
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *at, size_t n) { shadow_access(at, n, Access::READ, CALLER); }
void __tsan_write_range(void *at, size_t n) { shadow_access(at, n, Access::WRITE, CALLER); }

void *__tsan_memcpy(void *to, const void *from, size_t n) {
  if (n) shadow_access(from, n, Access::READ, CALLER), shadow_access(to, n, Access::WRITE, CALLER);
  return std::memcpy(to, from, n);
}
void *__tsan_memmove(void *to, const void *from, size_t n) {
  if (n) shadow_access(from, n, Access::READ, CALLER), shadow_access(to, n, Access::WRITE, CALLER);
  return std::memmove(to, from, n);
}
void *__tsan_memset(void *to, int byte, size_t n) {
  if (n) shadow_access(to, n, Access::WRITE, CALLER);
  return std::memset(to, byte, n);
}

#define FETCH(BITS, TYPE, NAME, BUILTIN)                                               \
  TYPE __tsan_atomic##BITS##_##NAME(volatile TYPE *at, TYPE value, int) {              \
    shadow_access(at, sizeof(TYPE), Access::ATOMIC_WRITE, CALLER);                     \
    return BUILTIN(at, value, __ATOMIC_SEQ_CST);                                       \
  }
#define EXCHANGE(BITS, TYPE, NAME)                                                         \
  int __tsan_atomic##BITS##_compare_exchange_##NAME(volatile TYPE *at, TYPE *expected,     \
                                                    TYPE value, int, int) {                \
    shadow_access(at, sizeof(TYPE), Access::ATOMIC_WRITE, CALLER);                         \
    return __atomic_compare_exchange_n(at, expected, value, false, __ATOMIC_SEQ_CST,       \
                                       __ATOMIC_SEQ_CST);                                  \
  }
#define ATOMIC(BITS, TYPE)                                                              \
  TYPE __tsan_atomic##BITS##_load(const volatile TYPE *at, int) {                       \
    shadow_access(at, sizeof(TYPE), Access::ATOMIC_READ, CALLER);                       \
    return __atomic_load_n(at, __ATOMIC_SEQ_CST);                                       \
  }                                                                                     \
  void __tsan_atomic##BITS##_store(volatile TYPE *at, TYPE value, int) {                \
    shadow_access(at, sizeof(TYPE), Access::ATOMIC_STORE, CALLER);                      \
    __atomic_store_n(at, value, __ATOMIC_SEQ_CST);                                      \
  }                                                                                     \
  FETCH(BITS, TYPE, exchange, __atomic_exchange_n)                                      \
  FETCH(BITS, TYPE, fetch_add, __atomic_fetch_add)                                      \
  FETCH(BITS, TYPE, fetch_sub, __atomic_fetch_sub)                                      \
  FETCH(BITS, TYPE, fetch_and, __atomic_fetch_and)                                      \
  FETCH(BITS, TYPE, fetch_or, __atomic_fetch_or)                                        \
  FETCH(BITS, TYPE, fetch_xor, __atomic_fetch_xor)                                      \
  FETCH(BITS, TYPE, fetch_nand, __atomic_fetch_nand)                                    \
  EXCHANGE(BITS, TYPE, strong)                                                          \
  EXCHANGE(BITS, TYPE, weak)                                                            \
  TYPE __tsan_atomic##BITS##_compare_exchange_val(volatile TYPE *at, TYPE expected,     \
                                                  TYPE value, int, int) {               \
    shadow_access(at, sizeof(TYPE), Access::ATOMIC_WRITE, CALLER);                      \
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_SEQ_CST,          \
                                __ATOMIC_SEQ_CST);                                      \
    return expected;                                                                    \
  }
ATOMIC(8, unsigned char)
ATOMIC(16, unsigned short)
ATOMIC(32, unsigned)
ATOMIC(64, unsigned long)
}
