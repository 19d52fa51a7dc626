# SPDX-License-Identifier: Apache-2.0
"""log, element by element, for positive numbers."""

from __future__ import annotations

import torch

from benchmarks.families import pointwise
from benchmarks.generate import Domain


def reference(x: torch.Tensor) -> torch.Tensor:
    return torch.log(x)


TASK = pointwise(
    name="log",
    title="Log",
    category="elementwise",
    description=(
        "Natural logarithm: y = log(x). log(0) is -inf, a negative number gives NaN, and "
        "subnormal x count in full."
    ),
    properties=("rows", "elements", "monotone"),
    reference=reference,
    fragments=["log"],
    solution="vlog(x)",
    plain="std::log(x)",
    mistakes={
        "adds_epsilon": "std::log(x + 1e-6f)",
        "flushes_subnormals": "std::log(x < 1.17549435e-38f ? 0.0f : x)",
        "base_two": "std::log2(x)",
        "clamps": "std::log(std::fmax(x, 1e-30f))",
    },
    expr="log(x)",
    flops=10,
    illegal=("negative",),
    domain=Domain(
        positive=True, largest=1e30, specials=(float("nan"), float("inf"), 0.0, -1.0, 1.0)
    ),
)
