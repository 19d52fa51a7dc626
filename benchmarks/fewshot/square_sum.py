# SPDX-License-Identifier: Apache-2.0
"""square_sum: sum of squares over the last dim, which stays as 1."""

from __future__ import annotations

import torch

from benchmarks.families import rowwise, running_sum
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return x.square().sum(dim=-1, keepdim=True)


def plain(x: torch.Tensor) -> torch.Tensor:
    """The running sum of the squares."""
    return running_sum(x * x)


TASK = rowwise(
    name="square_sum",
    title="Sum of squares over the last dim",
    category="reduction",
    description="Sum of the squares over the last dim, kept as size 1; accumulated in float32.",
    reference=reference,
    magnitude=reference,
    plain=plain,
    keepdim=True,
    solution="",
    wrong={},
    flops=2,
    domain=Domain(largest_f16=10.0, specials=(float("nan"), float("inf"))),
)
