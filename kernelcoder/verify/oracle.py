# SPDX-License-Identifier: Apache-2.0
"""The right answers: each task's reference on float64 copies of the exact input values.

A sheet holds everything needed to judge one task under one secret key: cases, inputs, accepted
intervals. It is made once and shared by all candidates of that task and key. Sheets never leave
the judge's process.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import gc
import math
import random
import sys
import threading
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor

from kernelcoder.history import random_key, rng_of
from kernelcoder.task import Case, Task
from kernelcoder.verify import numerics, properties, trusted

# Sheets kept at once. A sheet is a few MB; a search works on a handful of tasks at a time.
KEPT = 8
# Timed cases with more elements in all are not among the hidden ones.
TIMED_ELEMENTS = 1 << 19
_RARELY = ("special", "constant", "mixed", "edges")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@dataclass(frozen=True, slots=True)
class Sheet:
    """One task's cases with inputs (case dtype and layout) and answers, visible cases first.
    ``relations`` hold between the results of hidden cases."""

    task: Task
    cases: tuple[Case, ...]
    inputs: tuple[tuple[Tensor, ...], ...]
    answers: tuple[tuple[numerics.Bounds, ...], ...]
    visible: int
    parity: int
    relations: tuple[properties.Relation, ...] = ()

    def exact_inputs(self, index: int) -> tuple[Tensor, ...]:
        """Contiguous float64 copies of one case's inputs."""
        return tuple(exact(tensor) for tensor in self.inputs[index])


def exact(tensor: Tensor) -> Tensor:
    """The same values as contiguous float64; every dtype of a case converts without rounding."""
    return tensor.detach().to(torch.float64).contiguous()


def scalars(task: Task, case: Case) -> tuple[float, ...]:
    """The case's scalar arguments in the task's order."""
    return tuple(float(case.scalars[name]) for name in task.scalars)


def reference(task: Task, inputs: tuple[Tensor, ...], values: tuple[float, ...]) -> list[Tensor]:
    """The task's reference on float64 inputs: float64 outputs, contiguous, one per output."""
    result = task.reference(*inputs, *values)
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    return [output.to(torch.float64).contiguous() for output in outputs]


def terms(task: Task, case: Case) -> int:
    """How many terms are summed up behind one output element: one for pointwise tasks, else the
    length of the first input's last dimension, which every reducing task reduces over."""
    if task.magnitude is None or task.recipe.get("family") in ("pointwise", "rope"):
        return 1
    shape = case.shapes[task.inputs[0].name]
    return max(1, shape[-1]) if shape else 1


def answer(task: Task, case: Case, inputs: tuple[Tensor, ...]) -> tuple[numerics.Bounds, ...]:
    """Accepted intervals of every output of a case, for inputs of any floating dtype."""
    precise = tuple(exact(tensor) for tensor in inputs)
    values = scalars(task, case)
    outputs = reference(task, precise, values)
    for output, arg in zip(outputs, task.outputs, strict=True):
        if tuple(output.shape) != tuple(case.shapes[arg.name]):
            raise ValueError(
                f"{task.id}, case {case.name!r}: the reference returns shape {tuple(output.shape)},"
                f" the case says {tuple(case.shapes[arg.name])}"
            )
    magnitudes: list[Tensor | None] = [None] * len(outputs)
    if task.magnitude is not None:
        result = task.magnitude(*precise, *values)
        found = result if isinstance(result, (tuple, list)) else (result,)
        magnitudes = [
            size.to(torch.float64).expand(output.shape).contiguous()
            for size, output in zip(found, outputs, strict=True)
        ]
    needed = trusted.needed(task, precise, values, outputs, magnitudes)
    rules = [
        numerics.Rule(
            exact=task.exact == "always" or case.values == task.exact,
            signed_zero=task.signed_zero == "kept",
            subnormals=task.subnormals == "kept",
            needed=one,
        )
        for one in needed
    ]
    return tuple(
        numerics.bounds(output, magnitude, case.dtype, terms(task, case), rule)
        for output, magnitude, rule in zip(outputs, magnitudes, rules, strict=True)
    )


def timed_shapes(task: Task, rng: random.Random) -> tuple[Case, ...]:
    """The timed sizes as hidden cases, with values that no timed call has: large ones and one other
    family. A kernel may not be careful everywhere but where it is timed. (Sizes too big to be
    judged for every candidate are left to the timed rounds.)"""
    found = []
    for timed in task.timing:
        size = sum(math.prod(shape) for shape in timed.shapes.values())
        for values in ("large", rng.choice(_RARELY)) if size <= TIMED_ELEMENTS else ():
            name = f"hidden-timed-{timed.name}-{values}"
            found.append(dataclasses.replace(timed, name=name, values=values, hidden=True))
    return tuple(found)


def seed_of(*parts: object) -> int:
    """A 31-bit seed for input values, from a random key."""
    return int(random_key(*parts)[:8], 16) >> 1


def make_sheet(task: Task, key: str) -> Sheet:
    """Draw the holdouts of ``key`` and answer them. Visible cases are the same under every key."""
    rng = rng_of(random_key(key, task.id, "holdout"))
    holdout = (*task.holdout(rng), *timed_shapes(task, rng))
    cases = (*task.visible, *holdout)
    seeds = [seed_of(task.id, "visible", index) for index in range(len(task.visible))]
    seeds += [seed_of(key, task.id, "inputs", index) for index in range(len(holdout))]
    inputs = tuple(
        tuple(task.make_inputs(case, seed)) for case, seed in zip(cases, seeds, strict=True)
    )
    derived = properties.follow_ups(task, cases, inputs, rng)
    cases += tuple(one.case for one in derived)
    inputs += tuple(one.inputs for one in derived)
    answers = tuple(
        answer(task, case, tensors) for case, tensors in zip(cases, inputs, strict=True)
    )
    parity = seed_of(key, task.id, "parity") % 2
    relations = tuple(one.relation for one in derived if one.relation is not None)
    return Sheet(task, cases, inputs, answers, len(task.visible), parity, relations)


class Oracle:
    """Makes sheets and keeps the last few. Thread-safe; each sheet is made once."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._sheets: OrderedDict[tuple[str, str], Sheet] = OrderedDict()
        self._lock = threading.Lock()
        quiet_torch()

    def sheet(self, task: Task, key: str) -> Sheet:
        """The sheet of a task under a secret key."""
        name = (task.digest or task.id, key)
        with self._lock:
            if name not in self._sheets:
                with torch.no_grad():
                    self._sheets[name] = make_sheet(task, key)
                while len(self._sheets) > self._kept:
                    self._sheets.popitem(last=False)
            self._sheets.move_to_end(name)
            return self._sheets[name]


@functools.cache
def _settle() -> None:
    """Once: what the libraries made when they were imported stays, so the garbage collector need
    not walk over it, which was a tenth of the judge's time."""
    gc.collect()
    gc.freeze()


def quiet_torch() -> None:
    """One thread for the judge's own tensor work; none of oneDNN, which compiles its kernels anew
    for every shape; and memory that is not handed back to the system between comparisons: with
    glibc's defaults page faults cost more than the arithmetic."""
    _settle()
    torch.set_num_threads(1)
    torch.backends.mkldnn.set_flags(_enabled=False)
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, 1 << 28)
            mallopt(_M_TRIM_THRESHOLD, 1 << 28)
