# SPDX-License-Identifier: Apache-2.0
"""Metal kernels of the core suite, by family: Python files over MLX arrays."""

from __future__ import annotations

from benchmarks.gpu import metal_matmul, metal_norms, metal_pointwise, metal_reduce, metal_rope

FAMILIES = (metal_pointwise, metal_reduce, metal_norms, metal_matmul, metal_rope)


def kernels(name: str) -> tuple[str, dict[str, str]] | None:
    """Solution and wrong kernels of an operator."""
    for family in FAMILIES:
        if name in family.NAMES:
            return family.solution(name), family.wrong(name)
    return None
