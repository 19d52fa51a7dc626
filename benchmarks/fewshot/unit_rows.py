# SPDX-License-Identifier: Apache-2.0
"""unit_rows: every row divided by its Euclidean length, eps inside the root."""

from __future__ import annotations

import torch

from benchmarks.families import rowwise, running_sum
from benchmarks.generate import Domain


def reference(x: torch.Tensor, eps: float) -> torch.Tensor:
    return x * torch.rsqrt(x.square().sum(dim=-1, keepdim=True) + eps)


def magnitude(x: torch.Tensor, eps: float) -> torch.Tensor:
    """``|y|``: every step is a product or a sum of squares."""
    return reference(x, eps).abs()


def plain(x: torch.Tensor, eps: float) -> torch.Tensor:
    """With the running sum of the squares."""
    return x / torch.sqrt(running_sum(x * x) + eps)


TASK = rowwise(
    name="unit_rows",
    title="Rows of unit length",
    category="normalization",
    description="Rows scaled to length one: y = x / sqrt(sum(x * x) + eps) over the last dim.",
    reference=reference,
    magnitude=magnitude,
    plain=plain,
    scalars={"eps": (1e-5, 1e-1)},
    solution="",
    wrong={},
    flops=3,
    domain=Domain(largest_f16=100.0, specials=(float("nan"),)),
)
