# SPDX-License-Identifier: Apache-2.0
"""elementwise_mul: ``a * b``."""

from __future__ import annotations

import torch

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a * b


TASK = pointwise(
    name="elementwise_mul",
    title="Elementwise multiply",
    category="elementwise",
    description="Product of two tensors of one shape: y = a * b. Their strides may differ.",
    properties=("rows", "elements", "scale", "odd"),
    reference=reference,
    inputs=("a", "b"),
    exact="always",
    subnormals="kept",
    signed_zero="kept",
    solution="a * b",
    plain="a * b",
    mistakes={"rounds_through_bf16": "float(kc::bf16(a)) * float(kc::bf16(b))", "squares": "a * a"},
    changes={
        "one_row_of_b": (("kc::row_offset(b_, r)", "kc::row_offset(b_, 0)"),),
        "strides_of_a_for_b": (
            (
                "kc::row_offset(b_, r) + i * kc::col_stride(b_)",
                "kc::row_offset(a_, r) + i * kc::col_stride(a_)",
            ),
        ),
    },
    expr="a * b",
    flops=1,
    domain=Domain(
        share=0.5,
        largest_f16=200.0,
        specials=(float("nan"), float("inf"), -float("inf"), 0.0, -0.0),
    ),
)
