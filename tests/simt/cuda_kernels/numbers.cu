// SPDX-License-Identifier: Apache-2.0
// Writes raw results of the 16-bit and 8-bit types for the test to compare: argument by environment.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

template <class W>
static void put(W word) { fwrite(&word, sizeof word, 1, stdout); }

// Every word as a float.
template <class T>
static void widen() {
  for (unsigned w = 0; w < 65536; ++w) {
    T v;
    const unsigned short word = (unsigned short)w;
    memcpy(&v, &word, 2);
    put(float(v));
  }
}

// Operations on pairs drawn by the same recurrence as in the test.
template <class T, class T2>
static void arithmetic() {
  unsigned state = 12345;
  auto next = [&] {
    state = state * 1664525u + 1013904223u;
    T v;
    const unsigned short word = (unsigned short)(state >> 16);
    memcpy(&v, &word, 2);
    return v;
  };
  for (int i = 0; i < 20000; ++i) {
    const T a = next(), b = next(), c = next();
    put(a + b), put(a - b), put(a * b), put(a / b), put(__hfma(a, b, c));
    put(hsqrt(__habs(a))), put(__hmax(a, b)), put(__hmin_nan(a, b));
    const T2 pair = __hadd2(T2(a, b), T2(b, c));
    put(pair.x), put(pair.y);
  }
}

// Floats and doubles narrowed.
template <class T>
static void narrow() {
  unsigned state = 999;
  for (int i = 0; i < 20000; ++i) {
    state = state * 1664525u + 1013904223u;
    float f;
    memcpy(&f, &state, 4);
    put(T(f)), put(T(double(f) * (1 + 1e-12)));
  }
}

template <class T>
static void byte_sized() {
  for (int w = 0; w < 256; ++w) {
    T v;
    const unsigned char word = (unsigned char)w;
    memcpy(&v, &word, 1);
    put(float(v));
  }
  for (int i = -4000; i <= 4000; ++i) put(T(float(i) * 0.1373f)), put(T(ldexpf(float(i), -20)));
}

extern "C" int run() {
  const char *name = getenv("CASE");
  if (!strcmp(name, "half-widen")) widen<__half>();
  if (!strcmp(name, "bfloat-widen")) widen<__nv_bfloat16>();
  if (!strcmp(name, "half-arithmetic")) arithmetic<__half, __half2>();
  if (!strcmp(name, "bfloat-arithmetic")) arithmetic<__nv_bfloat16, __nv_bfloat162>();
  if (!strcmp(name, "half-narrow")) narrow<__half>();
  if (!strcmp(name, "bfloat-narrow")) narrow<__nv_bfloat16>();
  if (!strcmp(name, "e4m3")) byte_sized<__nv_fp8_e4m3>();
  if (!strcmp(name, "e5m2")) byte_sized<__nv_fp8_e5m2>();
  fflush(stdout);
  return 0;
}
