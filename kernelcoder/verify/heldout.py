# SPDX-License-Identifier: Apache-2.0
"""Timing cases of shapes nobody has seen: the timed ones, every size moved by up to 15 %.

A kernel can be tuned to the two shapes it is timed on. Held-out shapes are odd numbers, so never a
multiple of a vector or a block; equal sizes stay equal. They are drawn anew for every re-timing and
do not enter the headline ratio.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Collection

from kernelcoder.task import Case, Task
from kernelcoder.verify import oracle

SPREAD = 0.15
# Sizes up to this are part of what an operator is (a kept dim of 1, a number of heads).
_STRUCTURE = 8
_TRIES = 8


def case_of(task: Task, case: Case, rng: random.Random) -> Case | None:
    """A held-out variant of a timing case; None if the task's shapes cannot be moved like this.

    First all sizes are moved, then all but the innermost of the first input (rotary embeddings need
    an even one): whichever the reference accepts, tried on a small sample of the same proportions.
    """
    inner = case.shapes[task.inputs[0].name][-1:]
    sizes = {size for shape in case.shapes.values() for size in shape if size > _STRUCTURE}
    related = {size for size in sizes if inner and size in (inner[0], inner[0] // 2)}
    for fixed in (set(), related):
        for _ in range(_TRIES):
            new = {size: _moved(size, rng) for size in sorted(sizes - fixed)}
            small = {size: max(_STRUCTURE, size // 64) | 1 for size in sorted(sizes - fixed)}
            if len(set(new.values())) < len(new):
                continue
            if new and _accepted(task, _resized(case, _unique(small).get)):
                return _resized(case, new.get)
    return None


def _unique(sizes: dict[int, int]) -> dict[int, int]:
    """The same with distinct values, so that a mixed-up size cannot go unnoticed."""
    taken: set[int] = set()
    found = {}
    for size, small in sizes.items():
        while small in taken:
            small += 2
        taken.add(small)
        found[size] = small
    return found


def _moved(size: int, rng: random.Random) -> int:
    """An odd size within 15 % of ``size``, another one than ``size``."""
    low, high = int(size * (1 - SPREAD)) + 1, int(size * (1 + SPREAD))
    choices: Collection[int] = [n for n in range(low | 1, high + 1, 2) if n != size]
    return rng.choice(list(choices)) if choices else size


def _resized(case: Case, new: Callable[[int, int], int]) -> Case:
    shapes = {name: tuple(new(size, size) for size in shape) for name, shape in case.shapes.items()}
    first = "_".join("x".join(map(str, shape)) for shape in dict.fromkeys(shapes.values()))
    name = f"{case.name.split('-', 1)[0]}-heldout-{first}"
    return dataclasses.replace(case, name=name, shapes=shapes)


def _accepted(task: Task, case: Case) -> bool:
    """Whether inputs can be made and the reference returns outputs of these shapes."""
    try:
        inputs = tuple(oracle.exact(tensor) for tensor in task.make_inputs(case, 1))
        outputs = oracle.reference(task, inputs, oracle.scalars(task, case))
    except (RuntimeError, ValueError, IndexError):
        return False
    wanted = [tuple(case.shapes[arg.name]) for arg in task.outputs]
    return [tuple(output.shape) for output in outputs] == wanted
