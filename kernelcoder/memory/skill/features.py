# SPDX-License-Identifier: Apache-2.0
"""Facts that predicates speak of: of a task as a prompt shows it, and of a kernel's text.

Hidden cases are not among them. ``recipe.*`` comes from the hand-written recipe data of a task and
holds part of the answer (an expression), so only skills made by the recipe model may name it.
"""

from __future__ import annotations

import platform
import re
from typing import Any

from kernelcoder.task import Task

PUBLIC = (
    "task", "backend", "language", "machine", "category", "inputs", "outputs", "scalars", "dtypes",
    "layouts", "ranks", "multiple", "exact",
)  # fmt: skip
MECHANICAL = "recipe."
KERNEL = "kernel."
_WIDEST = 64


def of_task(task: Task, backend: str, language: str) -> dict[str, Any]:
    """Public facts and ``recipe.*``. ``ranks`` are those of the first input; ``multiple`` is the
    largest power of two up to 64 that divides the last dim of it in every visible case."""
    first = task.inputs[0].name if task.inputs else ""
    shapes = [case.shapes[first] for case in task.visible if first in case.shapes]
    facts: dict[str, Any] = {
        "task": task.id,
        "backend": backend,
        "language": language,
        "machine": platform.machine(),
        "category": task.category,
        "inputs": [arg.name for arg in task.inputs],
        "outputs": [arg.name for arg in task.outputs],
        "scalars": list(task.scalars),
        "dtypes": sorted({case.dtype for case in task.visible}),
        "layouts": sorted({case.layout for case in task.visible}),
        "ranks": sorted({len(shape) for shape in shapes}),
        "multiple": _multiple([shape[-1] for shape in shapes if shape]),
        "exact": task.exact,
    }
    for name, value in task.recipe.items():
        facts[MECHANICAL + name] = list(value) if isinstance(value, tuple) else value
    return facts


def of_kernel(source: str) -> dict[str, Any]:
    """Static facts of a source: its text, lines, included headers and pragmas."""
    return {
        "kernel.text": source,
        "kernel.lines": source.count("\n") + 1,
        "kernel.includes": sorted(set(re.findall(r'^\s*#include\s+["<]([^">]+)', source, re.M))),
        "kernel.pragmas": sorted(set(re.findall(r"^\s*#pragma\s+(\w+)", source, re.M))),
    }


def _multiple(sizes: list[int]) -> int:
    power = 1
    while sizes and power < _WIDEST and all(size % (2 * power) == 0 for size in sizes):
        power *= 2
    return power
