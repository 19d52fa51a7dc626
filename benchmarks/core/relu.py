# SPDX-License-Identifier: Apache-2.0
"""relu: ``max(x, 0)``, element by element; NaN stays NaN."""

from __future__ import annotations

import torch

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x)


TASK = pointwise(
    name="relu",
    title="ReLU",
    category="activation",
    description="Rectified linear unit: y = max(x, 0) element by element. NaN stays NaN.",
    properties=("rows", "elements", "scale", "monotone"),
    reference=reference,
    exact="always",
    subnormals="kept",
    solution="x < 0.0f ? V{} : x",
    plain="x < 0 ? 0.0f : x",
    mistakes={
        "swallows_nan": "x > 0 ? x : 0.0f",
        "leaky": "x > 0 || x != x ? x : 0.01f * x",
        "relu6": "x < 0 ? 0.0f : x > 6 ? 6.0f : x",
    },
    expr="max(x, 0.0f)",
    flops=1,
    domain=Domain(largest=1e30, specials=(float("nan"), float("inf"), -float("inf"), 0.0, -0.0)),
)
