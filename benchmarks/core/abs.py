# SPDX-License-Identifier: Apache-2.0
"""abs, element by element."""

from __future__ import annotations

import torch

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return torch.abs(x)


TASK = pointwise(
    name="abs",
    title="Abs",
    category="elementwise",
    description="Absolute value: y = |x|. NaN stays NaN.",
    properties=("rows", "elements", "scale", "even"),
    reference=reference,
    exact="always",
    subnormals="kept",
    signed_zero="kept",
    solution="vabs(x)",
    plain="std::fabs(x)",
    mistakes={
        "by_square_root": "std::sqrt(x * x)",
        "through_an_integer": "float(std::abs(int(x)))",
        "swallows_nan": "x > 0 ? x : x < 0 ? -x : 0.0f",
        "is_relu": "x < 0 ? 0.0f : x",
    },
    expr="abs(x)",
    flops=1,
    domain=Domain(largest=1e30, specials=(float("nan"), float("inf"), -float("inf"), 0.0, -0.0)),
)
