# SPDX-License-Identifier: Apache-2.0
"""layernorm over the last dim, population variance, eps inside the root."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.cases import Row
from benchmarks.cpp import edits, paste
from benchmarks.families import rowwise, running_sum
from benchmarks.generate import Domain


def reference(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


def magnitude(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> torch.Tensor:
    """``(|x| + mean |x|) / sqrt(var + eps) |weight| + |bias|``: the mean is rounded in proportion
    to the mean of ``|x|``, and subtracted from x."""
    variance = (x - x.mean(dim=-1, keepdim=True)).square().mean(dim=-1, keepdim=True)
    size = (x.abs() + x.abs().mean(dim=-1, keepdim=True)) * torch.rsqrt(variance + eps)
    return size * weight.abs() + bias.abs()


def plain(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float) -> torch.Tensor:
    """In two passes, each with a running sum."""
    centered = x - running_sum(x) / x.shape[-1]
    variance = running_sum(centered * centered) / x.shape[-1]
    return centered / torch.sqrt(variance + eps) * weight + bias


SOLUTION = paste(
    ["rows"],
    """
// Two passes: the variance from centered values, so a large mean costs no digits.
static void norm_row(const float *x, const float *w, const float *b, float eps, float *y,
                     int64_t n, bool past) {
  const float mean = row_sum(x, n) / float(n);
  const float squares = row_squares(x, n, mean);
  const float scale = 1.0f / std::sqrt(squares / float(n) + eps);
  int64_t i = 0;
  const auto at = [&](int64_t k) { return (get(x + k) - mean) * scale * get(w + k) + get(b + k); };
  for (; past && i < n; i += W) stream(y + i, at(i));
  for (; i + W <= n; i += W) put(y + i, at(i));
  for (; i < n; ++i) y[i] = (x[i] - mean) * scale * w[i] + b[i];
}

extern "C" void kernel(const DLTensor *x, const DLTensor *weight, const DLTensor *bias, DLTensor *y,
                       double eps) {
  const int64_t rows = kc::rows(x), n = kc::cols(x);
  const bool past = streams(y);
  std::vector<float> in(n), out(n), w(n), b(n);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    kc::load(kc::data<T>(weight), kc::col_stride(weight), n, w.data());
    kc::load(kc::data<T>(bias), kc::col_stride(bias), n, b.data());
    for (int64_t r = 0; r < rows; ++r) {
      const float *a = row_in<T>(x, r, in.data());
      float *o = row_out(kc::data<T>(y) + r * n, out.data());
      norm_row(a, w.data(), b.data(), float(eps), o, n, past);
      row_done(kc::data<T>(y) + r * n, o, n);
    }
  });
  if (past) stream_end();
}
""",
)

PLAIN = """#include <kernelcoder.h>

extern "C" void kernel(const DLTensor *x, const DLTensor *weight, const DLTensor *bias, DLTensor *y,
                       double eps) {
  const int64_t rows = kc::rows(x), n = kc::cols(x), stride = kc::col_stride(x);
  const int64_t ws = kc::col_stride(weight), bs = kc::col_stride(bias);
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    using A = float;
    const T *w = kc::data<T>(weight), *b = kc::data<T>(bias);
    for (int64_t r = 0; r < rows; ++r) {
      const T *in = kc::data<T>(x) + kc::row_offset(x, r);
      A sum = 0, squares = 0;
      for (int64_t i = 0; i < n; ++i) sum = A(sum + A(float(in[i * stride])));
      const float mean = float(sum) / float(n);
      for (int64_t i = 0; i < n; ++i) {
        const float d = float(in[i * stride]) - mean;
        squares = A(squares + A(d * d));
      }
      const float variance = float(squares) / float(n);
      const float root = std::sqrt(variance + float(eps));
      for (int64_t i = 0; i < n; ++i) {
        const float d = float(in[i * stride]) - mean;
        kc::data<T>(y)[r * n + i] = T(d / root * float(w[i * ws]) + float(b[i * bs]));
      }
    }
  });
}
"""

TASK = rowwise(
    name="layernorm",
    title="LayerNorm",
    category="normalization",
    description=(
        "Layer norm over the last dim: y = (x - mean) / sqrt(var + eps) * weight + bias, with the "
        "population variance, eps inside the root, weight and bias as long as a row; accumulated "
        "in float32 or better. The mean may be far larger than the deviation."
    ),
    properties=("rows", "elements", "shift"),
    reference=reference,
    magnitude=magnitude,
    plain=plain,
    vectors=("weight", "bias"),
    scalars={"eps": (1e-5, 1e-1)},
    solution=SOLUTION,
    wrong=edits(
        PLAIN,
        {
            "eps_outside_root": (
                ("std::sqrt(variance + float(eps))", "std::sqrt(variance) + float(eps)"),
            ),
            "ignores_weight": ((" * float(w[i * ws])", ""),),
            "ignores_bias": ((" + float(b[i * bs])", ""),),
            "ignores_eps": (("variance + float(eps)", "variance + 1e-5f"),),
            "sample_variance": (("float(squares) / float(n)", "float(squares) / float(n - 1)"),),
            "one_pass_variance": (
                (
                    "const float d = float(in[i * stride]) - mean;\n        squares",
                    "const float d = float(in[i * stride]);\n        squares",
                ),
                ("float(squares) / float(n)", "float(squares) / float(n) - mean * mean"),
            ),
            "forgets_the_mean": (("float(sum) / float(n)", "0.0f"),),
            "half_accumulator": (("using A = float", "using A = kc::half"),),
            "ignores_strides": (("kc::row_offset(x, r)", "r * n"), ("[i * stride]", "[i]")),
            "first_block_only": (("i < n;", "i < std::min<int64_t>(n, 1024);"),),
        },
    ),
    recipe={"family": "rownorm", "op": "layernorm"},
    flops=6,
    domain=Domain(specials=(float("nan"),)),
    extra=(Row("grid", "f32", "contiguous", "shifted"),),
)
