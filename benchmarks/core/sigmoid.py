# SPDX-License-Identifier: Apache-2.0
"""sigmoid, element by element."""

from __future__ import annotations

import torch

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(x)


TASK = pointwise(
    name="sigmoid",
    title="Sigmoid",
    category="activation",
    description="Logistic function: y = 1 / (1 + exp(-x)), without overflow for any x.",
    properties=("rows", "elements", "monotone"),
    reference=reference,
    fragments=["exp"],
    solution="1.0f / (1.0f + vexp(-x))",
    plain="1.0f / (1.0f + std::exp(-x))",
    mistakes={
        "overflows": "std::exp(x) / (1.0f + std::exp(x))",
        "hard_sigmoid": "std::min(1.0f, std::max(0.0f, x / 6.0f + 0.5f))",
        "wrong_sign": "1.0f / (1.0f + std::exp(x))",
        "softsign_form": "0.5f * x / (1.0f + std::fabs(x)) + 0.5f",
    },
    expr="sigmoid(x)",
    flops=9,
    domain=Domain(specials=(float("nan"), float("inf"), -float("inf"), 0.0, -0.0)),
)
