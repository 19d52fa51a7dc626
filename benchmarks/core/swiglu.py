# SPDX-License-Identifier: Apache-2.0
"""swiglu: ``silu(gate) * up``."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    return F.silu(gate) * up


def magnitude(gate: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
    """``|gate up|`` times 2^-106, so that a sigmoid below the smallest normal float may flush to
    zero (``exp(-x)`` overflows there): 16 roundings of 2^-24 of it are 2^-126 ``|gate up|``."""
    return 2.0**-106 * (gate * up).abs()


TASK = pointwise(
    name="swiglu",
    title="SwiGLU",
    category="activation",
    description="Gated SiLU: y = silu(gate) * up with silu(g) = g * sigmoid(g).",
    properties=("rows", "elements"),
    reference=reference,
    magnitude=magnitude,
    inputs=("gate", "up"),
    fragments=["exp"],
    solution="gate / (1.0f + vexp(-gate)) * up",
    plain="gate / (1.0f + std::exp(-gate)) * up",
    mistakes={
        "gates_the_other": "up / (1.0f + std::exp(-up)) * gate",
        "forgets_the_gate": "1.0f / (1.0f + std::exp(-gate)) * up",
        "gelu_gate": "0.5f * gate * (1.0f + std::erf(gate * 0.70710678f)) * up",
        "overflows": "gate * (std::exp(gate) / (1.0f + std::exp(gate))) * up",
    },
    expr="gate * sigmoid(gate) * up",
    flops=11,
    domain=Domain(largest_f16=200.0, specials=(float("nan"), 0.0)),
)
