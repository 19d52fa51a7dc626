# SPDX-License-Identifier: Apache-2.0
"""silu: ``x sigmoid(x)``, element by element."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return F.silu(x)


def magnitude(x: torch.Tensor) -> torch.Tensor:
    """``|x|`` times 2^-106, so that a sigmoid below the smallest normal float may flush to zero
    (``exp(-x)`` overflows there): 16 roundings of 2^-24 of it are 2^-126 ``|x|``."""
    return 2.0**-106 * x.abs()


TASK = pointwise(
    name="silu",
    title="SiLU",
    category="activation",
    description="Sigmoid linear unit (swish): y = x * sigmoid(x) = x / (1 + exp(-x)).",
    properties=("rows", "elements"),
    reference=reference,
    magnitude=magnitude,
    fragments=["exp"],
    solution="x / (1.0f + vexp(-x))",
    plain="x / (1.0f + std::exp(-x))",
    mistakes={
        "overflows": "x * (std::exp(x) / (1.0f + std::exp(x)))",
        "hard_swish": "x * std::min(std::max(x + 3.0f, 0.0f), 6.0f) / 6.0f",
        "is_sigmoid": "1.0f / (1.0f + std::exp(-x))",
    },
    expr="x * sigmoid(x)",
    flops=10,
    domain=Domain(specials=(float("nan"), float("inf"), 0.0, -0.0)),
)
