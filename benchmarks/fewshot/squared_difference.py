# SPDX-License-Identifier: Apache-2.0
"""squared_difference: ``(a - b)^2``, element by element."""

from __future__ import annotations

import torch

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).square()


TASK = pointwise(
    name="squared_difference",
    title="Squared difference",
    category="elementwise",
    description="Squared difference of two tensors of one shape: y = (a - b)^2.",
    reference=reference,
    inputs=("a", "b"),
    solution="(a - b) * (a - b)",
    plain="(a - b) * (a - b)",
    mistakes={},
    expr="(a - b) * (a - b)",
    flops=2,
    domain=Domain(largest_f16=100.0, specials=(float("nan"), float("inf"))),
)
