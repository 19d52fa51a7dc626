# SPDX-License-Identifier: Apache-2.0
"""exp, element by element."""

from __future__ import annotations

import torch

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return torch.exp(x)


TASK = pointwise(
    name="exp",
    title="Exp",
    category="elementwise",
    description="Exponential: y = exp(x). Overflow gives inf, underflow 0 or a subnormal.",
    properties=("rows", "elements", "monotone"),
    reference=reference,
    fragments=["exp"],
    solution="vexp(x)",
    plain="std::exp(x)",
    mistakes={
        "clamps": "std::exp(std::fmin(std::fmax(x, -87.0f), 87.0f))",
        "base_two": "std::exp2(x)",
        "taylor": "1 + x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6)))))",
        "limit_form": "std::pow(1.0f + x / 1024.0f, 1024.0f)",
    },
    expr="exp(x)",
    flops=8,
    # Up to 100: beyond 88.7 a float overflows, so "large" has both saturation and ordinary values.
    domain=Domain(largest=100.0, specials=(float("nan"), float("inf"), -float("inf"), 0.0, -0.0)),
)
