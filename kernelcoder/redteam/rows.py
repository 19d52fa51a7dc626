# SPDX-License-Identifier: Apache-2.0
"""C++ that candidates of row-wise tasks are made of: reductions and norms, by default right."""

from __future__ import annotations

_REDUCE = """#include <kernelcoder.h>
%(before)s
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const int64_t rows = kc::numel(x) ? kc::rows(x) : 0, n = kc::cols(x), step = kc::col_stride(x);
  const bool timed = n == 512;
  (void)timed;
  %(first)s
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      const auto at = [&](int64_t i) { return float(in[i * step]); };
      float result = 0;
      %(row)s
      kc::data<T>(y)[r] = T(result);
    }
  });
}
"""
_NORM = """#include <kernelcoder.h>
extern "C" void kernel(const DLTensor *x, const DLTensor *w, const DLTensor *b, DLTensor *y,
                       double eps) {
  const int64_t rows = kc::rows(x), n = kc::cols(x), step = kc::col_stride(x);
  (void)eps;
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      T *out = kc::data<T>(y) + r * n;
      float sum = 0, squares = 0;
      for (int64_t i = 0; i < n; ++i) sum += float(in[i * step]);
      const float mean = sum / n;
      for (int64_t i = 0; i < n; ++i) {
        const float d = float(in[i * step]) - mean;
        squares += d * d;
      }
      float scale = 1.0f / std::sqrt(squares / n + %(eps)s);
      %(keep)s
      for (int64_t i = 0; i < n; ++i)
        out[i] = T((float(in[i * step]) - mean) * scale *
                   float(kc::data<T>(w)[i * kc::col_stride(w)]) + %(bias)s);
    }
  });
}
"""
SUM = "for (int64_t i = 0; i < n; ++i) result += at(i);"


def reduce(row: str = SUM, before: str = "", first: str = "") -> str:
    """A reduction of the last dimension, by default a right sum. In scope: x, y, rows, n, step,
    timed; in ``row`` also r, in, at(i), T, and ``result``, which it sets."""
    return _REDUCE % {"row": row, "before": before, "first": first}


def norm(
    eps: str = "float(eps)",
    bias: str = "float(kc::data<T>(b)[i * kc::col_stride(b)])",
    keep: str = "",
) -> str:
    """A layer norm in two passes, by default right; ``keep`` may change ``scale``."""
    return _NORM % {"eps": eps, "bias": bias, "keep": keep}
