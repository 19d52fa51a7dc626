# SPDX-License-Identifier: Apache-2.0
"""Triton kernels of the core suite, by family."""

from __future__ import annotations

from types import ModuleType

from benchmarks.gpu import (
    triton_matmul,
    triton_norms,
    triton_pointwise,
    triton_reduce,
    triton_rope,
)

FAMILIES = (triton_pointwise, triton_reduce, triton_norms, triton_matmul, triton_rope)


def _family(name: str) -> ModuleType | None:
    return next((one for one in FAMILIES if name in one.NAMES), None)


def kernels(name: str) -> tuple[str, dict[str, str]] | None:
    """Solution and wrong kernels of an operator, or None."""
    family = _family(name)
    if family is None:
        return None
    wrong = {kernel: one.source for kernel, one in family.wrong(name).items()}
    return family.solution(name), wrong


def expected(name: str) -> dict[str, str]:
    """Wrong kernel -> regular expression for the reason of its verdict."""
    family = _family(name)
    return {kernel: one.says for kernel, one in family.wrong(name).items()} if family else {}
