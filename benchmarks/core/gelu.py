# SPDX-License-Identifier: Apache-2.0
"""gelu, the exact one with erf."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return F.gelu(x)


TASK = pointwise(
    name="gelu",
    title="GELU",
    category="activation",
    description=(
        "Gaussian error linear unit, exact form: y = 0.5 * x * (1 + erf(x / sqrt(2))). "
        "The tanh approximation is not accurate enough."
    ),
    properties=("rows", "elements"),
    reference=reference,
    magnitude=torch.abs,  # 1 + erf cancels for negative x
    fragments=["erf"],
    solution="0.5f * x * one_plus_erf(x * 0.70710678f)",
    plain="0.5f * x * (1.0f + std::erf(x * 0.70710678f))",
    mistakes={
        "tanh_form": "0.5f * x * (1.0f + std::tanh(0.79788456f * (x + 0.044715f * x * x * x)))",
        "sigmoid_form": "x / (1.0f + std::exp(-1.702f * x))",
        "forgets_sqrt2": "0.5f * x * (1.0f + std::erf(x))",
    },
    expr="0.5f * x * (1.0f + erf(x * 0.70710678f))",
    flops=12,
    domain=Domain(specials=(float("nan"), float("inf"), 0.0, -0.0)),
)
