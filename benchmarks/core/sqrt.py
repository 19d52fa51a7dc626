# SPDX-License-Identifier: Apache-2.0
"""sqrt, element by element, for numbers that are not negative."""

from __future__ import annotations

import torch

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return torch.sqrt(x)


TASK = pointwise(
    name="sqrt",
    title="Sqrt",
    category="elementwise",
    description="Square root: y = sqrt(x). A negative number gives NaN; 0 and inf stay.",
    properties=("rows", "elements", "monotone"),
    reference=reference,
    subnormals="kept",
    signed_zero="kept",
    fragments=["sqrt"],
    solution="vsqrt(x)",
    plain="std::sqrt(x)",
    mistakes={
        "by_reciprocal_root": "x * (1.0f / std::sqrt(x))",
        "adds_epsilon": "std::sqrt(x + 1e-8f)",
        "hides_negatives": "std::sqrt(std::fabs(x))",
        "flushes_small": "x < 1e-8f ? x * 0.0f : std::sqrt(x)",
    },
    expr="sqrt(x)",
    flops=1,
    illegal=("negative",),
    domain=Domain(
        positive=True, largest=1e30, specials=(float("nan"), float("inf"), 0.0, -0.0, -1.0, 1.0)
    ),
)
