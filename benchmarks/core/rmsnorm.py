# SPDX-License-Identifier: Apache-2.0
"""rmsnorm over the last dim, eps inside the root."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.cpp import edits, paste
from benchmarks.families import rowwise, running_sum
from benchmarks.generate import Domain


def reference(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return F.rms_norm(x, x.shape[-1:], weight, eps)


def magnitude(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """``|y|``: every step is a product or a sum of squares."""
    return reference(x, weight, eps).abs()


def plain(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """With the running sum of the squares."""
    return x / torch.sqrt(running_sum(x * x) / x.shape[-1] + eps) * weight


SOLUTION = paste(
    ["rows"],
    """
static void norm_row(const float *x, const float *w, float eps, float *y, int64_t n,
                     bool past) {
  const float squares = row_squares(x, n, 0.0f);
  const float scale = 1.0f / std::sqrt(squares / float(n) + eps);
  int64_t i = 0;
  for (; past && i < n; i += W) stream(y + i, get(x + i) * scale * get(w + i));
  for (; i + W <= n; i += W) put(y + i, get(x + i) * scale * get(w + i));
  for (; i < n; ++i) y[i] = x[i] * scale * w[i];
}

extern "C" void kernel(const DLTensor *x, const DLTensor *weight, DLTensor *y, double eps) {
  const int64_t rows = kc::rows(x), n = kc::cols(x);
  const bool past = streams(y);
  std::vector<float> in(n), out(n), w(n);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    kc::load(kc::data<T>(weight), kc::col_stride(weight), n, w.data());
    for (int64_t r = 0; r < rows; ++r) {
      const float *a = row_in<T>(x, r, in.data());
      float *b = row_out(kc::data<T>(y) + r * n, out.data());
      norm_row(a, w.data(), float(eps), b, n, past);
      row_done(kc::data<T>(y) + r * n, b, n);
    }
  });
  if (past) stream_end();
}
""",
)

PLAIN = """#include <kernelcoder.h>

extern "C" void kernel(const DLTensor *x, const DLTensor *weight, DLTensor *y, double eps) {
  const int64_t rows = kc::rows(x), n = kc::cols(x);
  const int64_t stride = kc::col_stride(x), ws = kc::col_stride(weight);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    using A = float;
    const T *w = kc::data<T>(weight);
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      A sum = 0;
      for (int64_t i = 0; i < n; ++i) {
        const float v = float(in[i * stride]);
        sum = A(sum + A(v * v));
      }
      const float rms = std::sqrt(float(sum) / float(n) + float(eps));
      for (int64_t i = 0; i < n; ++i)
        kc::data<T>(y)[r * n + i] = T(float(in[i * stride]) / rms * float(w[i * ws]));
    }
  });
}
"""

TASK = rowwise(
    name="rmsnorm",
    title="RMSNorm",
    category="normalization",
    description=(
        "Root mean square norm over the last dim: y = x / sqrt(mean(x * x) + eps) * weight, "
        "eps inside the root, weight as long as a row; accumulated in float32 or better."
    ),
    properties=("rows", "elements", "odd"),
    reference=reference,
    magnitude=magnitude,
    plain=plain,
    vectors=("weight",),
    scalars={"eps": (1e-5, 1e-1)},
    solution=SOLUTION,
    wrong=edits(
        PLAIN,
        {
            "eps_outside_root": (
                (
                    "std::sqrt(float(sum) / float(n) + float(eps))",
                    "std::sqrt(float(sum) / float(n)) + float(eps)",
                ),
            ),
            "ignores_weight": ((" * float(w[i * ws])", ""),),
            "ignores_eps": (("float(eps))", "1e-5f)"),),
            "forgets_the_mean": (("float(sum) / float(n)", "float(sum)"),),
            "half_accumulator": (("using A = float", "using A = kc::half"),),
            "ignores_strides": (("kc::row_offset(x, r)", "r * n"), ("[i * stride]", "[i]")),
            "ignores_strides_of_weight": (("w[i * ws]", "w[i]"),),
            "first_block_only": (("i < n;", "i < std::min<int64_t>(n, 1024);"),),
            "loses_the_tail": (("i < n; ++i)\n", "i < n / 8 * 8; ++i)\n"),),
        },
    ),
    recipe={"family": "rownorm", "op": "rmsnorm"},
    flops=4,
    domain=Domain(specials=(float("nan"),)),
)
