# SPDX-License-Identifier: Apache-2.0
"""turn_halves: the halves of each row turned against each other by one angle."""

from __future__ import annotations

import dataclasses
import inspect
import math
import random

import torch

from benchmarks import cases
from benchmarks.core import rope
from kernelcoder.task import Case


def reference(x: torch.Tensor, angle: float) -> torch.Tensor:
    half = x.shape[-1] // 2
    first, second = x[..., :half], x[..., half:]
    c, s = math.cos(angle), math.sin(angle)
    return torch.cat([first * c - second * s, second * c + first * s], dim=-1)


def magnitude(x: torch.Tensor, angle: float) -> torch.Tensor:
    """``|first| + |second|``: the two products may cancel."""
    half = x.shape[-1] // 2
    size = x[..., :half].abs() + x[..., half:].abs()
    return torch.cat([size, size], dim=-1)


def scalars(rng: random.Random) -> dict[str, float]:
    """An angle from 0.2 to 3: never one that leaves everything in place."""
    return {"angle": rng.uniform(0.2, 3.0)}


def holdout(rng: random.Random) -> tuple[Case, ...]:
    """Fresh hidden cases."""
    return cases.hidden(rng, cases.HIDDEN, rope.shapes, scalars, illegal=("special",))


def _with_angle(case: Case) -> Case:
    return dataclasses.replace(case, scalars={"angle": 0.75})


TASK = dataclasses.replace(
    rope.TASK,
    name="turn_halves",
    title="Turned halves",
    scalars=("angle",),
    description=(
        "Plane rotations by one angle: with half = dim / 2, element i of the first half and "
        "element i of the second half are turned: y1 = x1 * cos(angle) - x2 * sin(angle), "
        "y2 = x2 * cos(angle) + x1 * sin(angle)."
    ),
    reference=reference,
    reference_source=inspect.getsource(reference),
    magnitude=magnitude,
    holdout=holdout,
    visible=tuple(_with_angle(case) for case in rope.TASK.visible),
    timing=tuple(_with_angle(case) for case in rope.TASK.timing),
    subnormals="flushed",
    properties=(),
    solutions={},
    wrong={},
    recipe={},
)
