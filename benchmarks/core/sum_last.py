# SPDX-License-Identifier: Apache-2.0
"""sum_last: sum over the last dim, which stays as 1."""

from __future__ import annotations

import torch

from benchmarks.cases import Row
from benchmarks.cpp import edits, paste
from benchmarks.families import rowwise, running_sum
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return x.sum(dim=-1, keepdim=True)


def magnitude(x: torch.Tensor) -> torch.Tensor:
    """The sum of ``|x|``."""
    return reference(x.abs())


SOLUTION = paste(
    ["sums"],
    """
extern "C" void kernel(const DLTensor *x, DLTensor *y) {
  kc::dispatch(x->dtype, [&](auto zero) {
    using T = decltype(zero);
    T *out = kc::data<T>(y);
    row_sums<T>(x, [&](int64_t row, float sum) { out[row] = T(sum); });
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
      A sum = 0;
      for (int64_t i = 0; i < n; ++i) sum = A(sum + A(float(in[i * stride])));
      kc::data<T>(y)[r] = T(sum);
    }
  });
}
"""

TASK = rowwise(
    name="sum_last",
    title="Sum over the last dim",
    category="reduction",
    description="Sum over the last dim, kept as size 1; accumulated in float32 or better.",
    properties=("rows", "elements", "scale", "odd", "linear", "padding"),
    reference=reference,
    magnitude=magnitude,
    plain=running_sum,
    exact="integers",
    subnormals="kept",
    keepdim=True,
    solution=SOLUTION,
    wrong=edits(
        PLAIN,
        {
            "half_accumulator": (("using A = float", "using A = kc::half"),),
            "accumulates_in_output_type": (("using A = float", "using A = T"),),
            "ignores_strides": (("kc::row_offset(x, r)", "r * n"), ("[i * stride]", "[i]")),
            "loses_the_tail": (("i < n;", "i < n / 8 * 8;"),),
            "first_block_only": (("i < n;", "i < std::min<int64_t>(n, 1024);"),),
            "is_mean": (("T(sum)", "T(float(sum) / float(n))"),),
        },
    ),
    recipe={"family": "reduce", "op": "sum"},
    flops=1,
    domain=Domain(specials=(float("nan"), float("inf"), -float("inf"))),
    # Long rows of one sign: a narrow accumulator stops growing.
    extra=(Row("big", "f16", "contiguous", "negative"),),
)
