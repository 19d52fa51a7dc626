# SPDX-License-Identifier: Apache-2.0
"""What a case costs arithmetic that we trust: the error of PyTorch in float32 on the exact inputs,
and, for tasks that sum, of a plain loop that adds one float32 term after the other.

No tolerance is looser than a small multiple of the worse of the two (numerics.py).
"""

from __future__ import annotations

import torch
from torch import Tensor

from kernelcoder.task import Task
from kernelcoder.verify import numerics

_UNIT = 2.0**-24
_SMALLEST = 2.0**-126  # below it float32 may flush; errors there say nothing


def needed(
    task: Task,
    inputs: tuple[Tensor, ...],
    values: tuple[float, ...],
    expected: list[Tensor],
    magnitudes: list[Tensor | None],
) -> list[float]:
    """The largest error of trusted float32 arithmetic on float64 copies of a case's inputs, one
    number for each output: in steps of 2^-24 of the magnitude, or without one in float32 ulps."""
    single = tuple(tensor.to(torch.float32) for tensor in inputs)
    worst = [0.0] * len(expected)
    if task.exact == "always":
        return worst
    results = [task.reference(*single, *values)]
    if task.plain is not None:
        results.append(task.plain(*single, *values))
    for result in results:
        outputs = result if isinstance(result, (tuple, list)) else (result,)
        for place, got in enumerate(outputs):
            found = _steps(got, expected[place], magnitudes[place])
            worst[place] = max(worst[place], found)
    return worst


def _steps(got: Tensor, expected: Tensor, magnitude: Tensor | None) -> float:
    """The largest error in the unit that ``numerics.Rule.needed`` is in; 0 if nothing compares."""
    error = got.to(torch.float64).sub_(expected).abs_()
    size = expected.abs() if magnitude is None else torch.maximum(magnitude.abs(), expected.abs())
    unit = numerics.ulp(size, "f32") if magnitude is None else size * _UNIT
    steps = error.div_(unit)
    known = torch.isfinite(steps) & (size >= _SMALLEST)
    return float(torch.where(known, steps, 0.0).max()) if steps.numel() else 0.0
