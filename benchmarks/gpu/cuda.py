# SPDX-License-Identifier: Apache-2.0
"""CUDA kernels of the core suite, by family."""

from __future__ import annotations

from benchmarks.gpu import cuda_matmul, cuda_norms, cuda_pointwise, cuda_reduce, cuda_rope

FAMILIES = (cuda_pointwise, cuda_reduce, cuda_norms, cuda_matmul, cuda_rope)


def kernels(name: str) -> tuple[str, dict[str, str]] | None:
    """Solution and wrong kernels of an operator."""
    for family in FAMILIES:
        if name in family.NAMES:
            return family.solution(name), family.wrong(name)
    return None
