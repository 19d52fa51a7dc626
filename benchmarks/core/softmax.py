# SPDX-License-Identifier: Apache-2.0
"""softmax over the last dim."""

from __future__ import annotations

import torch

from benchmarks.cases import Row
from benchmarks.cpp import edits, paste
from benchmarks.families import rowwise, running_sum
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x, dim=-1)


def magnitude(x: torch.Tensor) -> torch.Tensor:
    """``y (1 + |x - max|)``: rounding ``x - max`` moves the exponential by that much."""
    below = (x - x.amax(dim=-1, keepdim=True)).abs()
    return reference(x) * (1 + below.nan_to_num(posinf=0.0))


def plain(x: torch.Tensor) -> torch.Tensor:
    """Exponentials over their running sum."""
    powers = torch.exp(x - x.amax(dim=-1, keepdim=True))
    return powers / running_sum(powers)


SOLUTION = paste(
    ["exp", "rows"],
    """
// Row maximum, exponentials with their sum, scaling: the row stays in the first-level cache.
static void softmax_row(const float *x, float *y, int64_t n) {
  const float low = -std::numeric_limits<float>::infinity();
  const auto larger = [](V a, V b) { return vmax(b, a); };  // swallows NaN; the sum will not
  const V top = fold(x, n, low, low, larger, larger);
  float m = low;
  for (int i = 0; i < W; ++i) m = top[i] > m ? top[i] : m;
  const V low_exponent = V{} - 104.0f;  // gives 0; a NaN passes
  V sums[2] = {};
  int64_t i = 0;
  for (; i + 2 * W <= n; i += 2 * W)
    for (int k = 0; k < 2; ++k) {
      const V e = vexp_finite(vmax(low_exponent, get(x + i + k * W) - m));
      put(y + i + k * W, e);
      sums[k] += e;
    }
  for (; i < n; i += W) {
    const int64_t some = std::min(W, n - i);
    const V e = vexp_finite(vmax(low_exponent, get_some(x + i, some, low) - m));
    put_some(y + i, some, e);
    sums[0] += e;
  }
  const float scale = 1.0f / sum_of(sums[0] + sums[1]);
  for (i = 0; i + W <= n; i += W) put(y + i, get(y + i) * scale);
  for (; i < n; ++i) y[i] *= scale;
}

extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  const int64_t rows = kc::rows(x), n = kc::cols(x);
  std::vector<float> in(n), out(n);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t r = 0; r < rows; ++r) {
      const float *a = row_in<T>(x, r, in.data());
      float *b = row_out(kc::data<T>(y) + r * n, out.data());
      softmax_row(a, b, n);
      row_done(kc::data<T>(y) + r * n, b, n);
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
    using A = float;
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      T *out = kc::data<T>(y) + r * n;
      float m = -INFINITY;
      for (int64_t i = 0; i < n; ++i) m = std::max(m, float(in[i * stride]));
      A sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += A(std::exp(float(in[i * stride]) - m));
      for (int64_t i = 0; i < n; ++i) out[i] = T(A(std::exp(float(in[i * stride]) - m)) / sum);
    }
  });
}
"""

TASK = rowwise(
    name="softmax",
    title="Softmax",
    category="normalization",
    description="Softmax over the last dim: y = exp(x - max(x)) / sum(exp(x - max(x))).",
    properties=("rows", "elements", "shift", "total", "padding"),
    reference=reference,
    magnitude=magnitude,
    plain=plain,
    solution=SOLUTION,
    wrong=edits(
        PLAIN,
        {
            "no_max_subtraction": ((" - m)", ")"),),
            "half_accumulator": (("using A = float", "using A = kc::half"),),
            "ignores_strides": (("kc::row_offset(x, r)", "r * n"), ("[i * stride]", "[i]")),
            "first_block_only": (("i < n;", "i < std::min<int64_t>(n, 1024);"),),
            "loses_the_tail": (("i < n; ++i) out", "i < n / 8 * 8; ++i) out"),),
            "sum_over_all_rows": (
                ("      A sum = 0;\n", ""),
                ("    using A = float;\n", "    using A = float;\n    A sum = 0;\n"),
            ),
            "max_of_first_row": (
                ("      float m = -INFINITY;\n", ""),
                ("    using A = float;\n", "    using A = float;\n    float m = -INFINITY;\n"),
                (
                    "for (int64_t i = 0; i < n; ++i) m =",
                    "for (int64_t i = 0; r == 0 && i < n; ++i) m =",
                ),
            ),
        },
    ),
    recipe={"family": "rownorm", "op": "softmax"},
    flops=8,
    domain=Domain(largest=1e3, specials=(float("nan"), -float("inf"))),
    extra=(Row("big", "f32", "contiguous", "negative"),),
)
