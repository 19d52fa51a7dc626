// SPDX-License-Identifier: Apache-2.0
// CUDA's words and vector types (CUDA C++ Programming Guide, "Built-in Vector Types": sizes and
// alignments). What the rewriter has already taken away needs no macro here.
#pragma once
#include <stddef.h>
#ifdef __SANITIZE_THREAD__
// In the checked build what the C library copies is looked at, too. Before its own declarations.
extern "C" void *memcpy(void *, const void *, size_t) noexcept __asm__("__tsan_memcpy");
extern "C" void *memmove(void *, const void *, size_t) noexcept __asm__("__tsan_memmove");
extern "C" void *memset(void *, int, size_t) noexcept __asm__("__tsan_memset");
#endif
#include <cassert>
#include <cfloat>
#include <climits>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <algorithm>
#include <limits>
#include <math.h>  // the global overloads: without them abs(float) is C's int abs(int)
#include <stdlib.h>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <simt/rt.h>

#define __device__
#define __host__
#define __launch_bounds__(...)
#define __maxnreg__(...)
#define __shared__ static thread_local
#define __constant__
#define __managed__
#define __grid_constant__
#define __nv_pure__ __attribute__((pure))
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(n) __attribute__((aligned(n)))
#define __cluster_dims__(...) _Static_assert(0, "thread block clusters are not emulated");
#define __builtin_assume(condition) ((void)0)
#define __CUDACC__ 1
#define __NVCC__ 1
#define __CUDACC_VER_MAJOR__ 13
#define __CUDACC_VER_MINOR__ 0
#define CUDART_VERSION 13000
#define CUDA_VERSION 13000
#undef assert
#define assert(condition) ((condition) ? (void)0 : simt_assert(#condition, __LINE__))

#define SIMT_LINE int simt_line = __builtin_LINE()
#define SIMT_ALWAYS static inline __attribute__((always_inline))

#define SIMT_VECTOR(T, NAME, TWO, FOUR)                                          \
  struct NAME##1 { T x; };                                                       \
  struct __attribute__((aligned(TWO))) NAME##2 { T x, y; };                      \
  struct NAME##3 { T x, y, z; };                                                 \
  struct __attribute__((aligned(FOUR))) NAME##4 { T x, y, z, w; };               \
  SIMT_MAKE(T, NAME)                                                             \
  SIMT_ALWAYS NAME##3 make_##NAME##3(T x, T y, T z) { return {x, y, z}; }
#define SIMT_MAKE(T, NAME)                                                       \
  SIMT_ALWAYS NAME##1 make_##NAME##1(T x) { return {x}; }                        \
  SIMT_ALWAYS NAME##2 make_##NAME##2(T x, T y) { return {x, y}; }                \
  SIMT_ALWAYS NAME##4 make_##NAME##4(T x, T y, T z, T w) { return {x, y, z, w}; }

SIMT_VECTOR(signed char, char, 2, 4)
SIMT_VECTOR(unsigned char, uchar, 2, 4)
SIMT_VECTOR(short, short, 4, 8)
SIMT_VECTOR(unsigned short, ushort, 4, 8)
SIMT_VECTOR(int, int, 8, 16)
SIMT_VECTOR(long, long, 16, 16)
SIMT_VECTOR(unsigned long, ulong, 16, 16)
SIMT_VECTOR(long long, longlong, 16, 16)
SIMT_VECTOR(unsigned long long, ulonglong, 16, 16)
SIMT_VECTOR(float, float, 8, 16)
SIMT_VECTOR(double, double, 16, 16)
// uint3 is the runtime's own type, so that threadIdx is one.
struct uint1 { unsigned x; };
struct __attribute__((aligned(8))) uint2 { unsigned x, y; };
struct __attribute__((aligned(16))) uint4 { unsigned x, y, z, w; };
typedef simt::u3 uint3;
SIMT_MAKE(unsigned, uint)
SIMT_ALWAYS uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
#undef SIMT_VECTOR
#undef SIMT_MAKE

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};

namespace simt {
SIMT_ALWAYS int warp_size() { return 32; }
template <class T>
struct Identity { using type = T; };
template <class T>
using Same = typename Identity<T>::type;  // a parameter that takes no part in deduction
template <class To, class From>
SIMT_ALWAYS To bits(From value) {
  static_assert(sizeof(To) == sizeof(From), "same size");
  To result;
  std::memcpy(&result, &value, sizeof result);
  return result;
}
}  // namespace simt
static const int warpSize = simt::warp_size();  // no constant expression, as in CUDA
