# SPDX-License-Identifier: Apache-2.0
"""tanh, element by element."""

from __future__ import annotations

import torch

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x)


TASK = pointwise(
    name="tanh",
    title="Tanh",
    category="activation",
    description="Hyperbolic tangent: y = tanh(x), accurate relative to y near zero too.",
    properties=("rows", "elements", "monotone", "odd"),
    reference=reference,
    fragments=["tanh"],
    solution="vtanh(x)",
    plain="std::tanh(x)",
    mistakes={
        "overflows": "(std::exp(2.0f * x) - 1.0f) / (std::exp(2.0f * x) + 1.0f)",
        "cancels_near_zero": "1.0f - 2.0f / (std::exp(2.0f * x) + 1.0f)",
        "clips": "std::min(1.0f, std::max(-1.0f, x))",
        "pade": "x * (27.0f + x * x) / (27.0f + 9.0f * x * x)",
    },
    expr="tanh(x)",
    flops=10,
    domain=Domain(specials=(float("nan"), float("inf"), -float("inf"), 0.0, -0.0)),
)
