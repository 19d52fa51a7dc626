# SPDX-License-Identifier: Apache-2.0
"""relu_squared: ``max(x, 0)`` squared, element by element; NaN stays NaN."""

from __future__ import annotations

import torch

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x).square()


TASK = pointwise(
    name="relu_squared",
    title="Squared ReLU",
    category="activation",
    description="Squared rectifier: y = max(x, 0)^2 element by element. NaN stays NaN.",
    reference=reference,
    solution="x < 0.0f ? V{} : x * x",
    plain="x < 0 ? 0.0f : x * x",
    mistakes={},
    expr="max(x, 0.0f) * max(x, 0.0f)",
    flops=2,
    domain=Domain(largest_f16=200.0, specials=(float("nan"), float("inf"), 0.0, -0.0)),
)
