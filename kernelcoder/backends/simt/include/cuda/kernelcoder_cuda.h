// SPDX-License-Identifier: Apache-2.0
// Helpers for CUDA candidates: dtype dispatch, strided tensors, launch arithmetic. Plain CUDA C++17:
// nvcc compiles it as it stands.
//
//   kc::dispatch(x->dtype, [&](auto zero) { using T = decltype(zero); ... });   host
//   kc::data<T>(x), kc::numel(x), kc::rows(x), kc::cols(x), kc::contiguous(x)   host
//   kc::strided(x)             sizes and strides, a kernel argument by value
//   s.row(r), s.col            element offset of row r, element stride along the last dim
//   s.offset(i)                element offset of the i-th element in row-major order
//   kc::ceil_div(a, b)         both sides
//   float v = float(p[i]); q[i] = T(v);   T is float, __half or __nv_bfloat16
//   KC_REQUIRE_CONTIGUOUS      at file scope: inputs arrive contiguous and 64-byte aligned
#ifndef KERNELCODER_CUDA_H
#define KERNELCODER_CUDA_H
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <dlpack/dlpack.h>
#include <math.h>
#include <stdint.h>

#define KC_REQUIRE_CONTIGUOUS \
  extern "C" { extern const int kc_require_contiguous; const int kc_require_contiguous = 1; }

namespace kc {

// Calls f with a value of the element type: float, __half or __nv_bfloat16.
template <class F>
inline void dispatch(DLDataType t, F &&f) {
  if (t.code == kDLFloat && t.bits == 32) f(0.0f);
  else if (t.code == kDLFloat && t.bits == 16) f(__half(0.0f));
  else if (t.code == kDLBfloat) f(__nv_bfloat16(0.0f));
}

template <class T>
inline T *data(const DLTensor *t) {
  return reinterpret_cast<T *>(static_cast<char *>(t->data) + t->byte_offset);
}

inline int64_t numel(const DLTensor *t) {
  int64_t n = 1;
  for (int i = 0; i < t->ndim; ++i) n *= t->shape[i];
  return n;
}

inline int64_t cols(const DLTensor *t) { return t->ndim ? t->shape[t->ndim - 1] : 1; }

inline int64_t rows(const DLTensor *t) {
  int64_t n = 1;
  for (int i = 0; i + 1 < t->ndim; ++i) n *= t->shape[i];
  return n;
}

inline bool contiguous(const DLTensor *t) {
  int64_t want = 1;
  for (int i = t->ndim - 1; i >= 0; --i) {
    if (t->shape[i] != 1 && t->strides[i] != want) return false;
    want *= t->shape[i];
  }
  return true;
}

__host__ __device__ inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The last dim apart from the leading ones, which count as rows.
struct Strided {
  int lead;
  int64_t rows, cols, col;
  int64_t shape[8], strides[8];  // of the leading dims

  __host__ __device__ int64_t row(int64_t r) const {
    int64_t offset = 0;
    for (int i = lead - 1; i >= 0; --i) {
      offset += r % shape[i] * strides[i];
      r /= shape[i];
    }
    return offset;
  }
  __host__ __device__ int64_t offset(int64_t i) const { return row(i / cols) + i % cols * col; }
};

inline Strided strided(const DLTensor *t) {
  Strided s{};
  s.lead = t->ndim ? t->ndim - 1 : 0;
  s.rows = rows(t);
  s.cols = cols(t);
  s.col = t->ndim ? t->strides[t->ndim - 1] : 1;
  for (int i = 0; i < s.lead; ++i) {
    s.shape[i] = t->shape[i];
    s.strides[i] = t->strides[i];
  }
  return s;
}

}  // namespace kc

#endif
