# SPDX-License-Identifier: Apache-2.0
"""max_last: maximum over the last dim, which stays as 1; a NaN in the row wins."""

from __future__ import annotations

import torch

from benchmarks.cpp import edits, paste
from benchmarks.families import rowwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return x.amax(dim=-1, keepdim=True)


SOLUTION = paste(
    ["rows"],
    """
// The hardware maximum drops NaN. The sum of 0 x shows whether a row has any (or an infinity);
// such rare rows are done again with care.
static float careful_max(const float *p, int64_t n) {
  float m = p[0];
  for (int64_t i = 1; i < n; ++i) m = m >= p[i] ? m : (m == m ? p[i] : m);
  return m;
}

static float row_max(const float *p, int64_t n) {
  V m[4], probe[4] = {};
  for (int k = 0; k < 4; ++k) m[k] = V{} + p[0];
  int64_t i = 0;
  for (; i + 4 * W <= n; i += 4 * W)
    for (int k = 0; k < 4; ++k) {
      const V v = get(p + i + k * W);
      m[k] = vmax(v, m[k]);
      probe[k] += v * 0.0f;
    }
  for (; i < n; i += W) {
    const V v = i + W <= n ? get(p + i) : get_some(p + i, n - i, p[0]);
    m[0] = vmax(v, m[0]);
    probe[0] += v * 0.0f;
  }
  if (sum_of(probe[0] + probe[1] + probe[2] + probe[3]) != 0.0f) return careful_max(p, n);
  const V top = vmax(vmax(m[0], m[1]), vmax(m[2], m[3]));
  float best = top[0];
  for (int k = 1; k < W; ++k) best = std::max(best, top[k]);
  return best;
}

extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const int64_t rows = kc::rows(x), n = kc::cols(x);
  std::vector<float> in(n);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < rows; ++r) {
      const float *a = row_in<T>(x, r, in.data());
      kc::data<T>(y)[r] = T(row_max(a, n));
    }
  });
}
""",
)
PLAIN = """#include <kernelcoder.h>

extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const int64_t rows = kc::rows(x), n = kc::cols(x), stride = kc::col_stride(x);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      float m = -INFINITY;
      for (int64_t i = 0; i < n; ++i) {
        const float v = float(in[i * stride]);
        m = v > m || v != v ? v : m;
      }
      kc::data<T>(y)[r] = T(m);
    }
  });
}
"""

TASK = rowwise(
    name="max_last",
    title="Maximum over the last dim",
    category="reduction",
    description="Maximum over the last dim, kept as size 1. If the row holds a NaN, so does y.",
    properties=("rows", "elements", "scale", "monotone", "padding"),
    reference=reference,
    exact="always",
    subnormals="kept",
    keepdim=True,
    solution=SOLUTION,
    wrong=edits(
        PLAIN,
        {
            "starts_at_zero": (("m = -INFINITY", "m = 0.0f"),),
            "starts_at_smallest_positive": (("-INFINITY", "std::numeric_limits<float>::min()"),),
            "swallows_nan": (("v > m || v != v", "v > m"),),
            "largest_magnitude": (
                ("v > m ||", "std::fabs(v) > std::fabs(m) || m == -INFINITY ||"),
            ),
            "ignores_strides": (("kc::row_offset(x, r)", "r * n"), ("[i * stride]", "[i]")),
            "loses_the_tail": (("i < n;", "i < n / 8 * 8;"),),
            "first_block_only": (("i < n;", "i < std::min<int64_t>(n, 1024);"),),
        },
    ),
    recipe={"family": "reduce", "op": "max"},
    flops=1,
    domain=Domain(largest=1e30, specials=(float("nan"), float("inf"), -float("inf"))),
)
