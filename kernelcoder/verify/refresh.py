# SPDX-License-Identifier: Apache-2.0
"""Fresh inputs for every timed call, and spot checks of what timed calls wrote.

A *bench* owns the shared memory of one timed case. Before each run every input becomes a random
mixture of two windows, at secret random offsets, of two pools of random values: one pass over
memory, no generator in the way, no value a kernel could have seen before, and no window that is a
shifted or scaled copy of an earlier one, of which sums could have been kept. Now and then the
inputs are *wild* instead: of another value family, or sorted, so that a kernel which is right on
ordinary numbers only cannot pass for fast. All outputs are poisoned; after the run some rows of one
call, drawn then, are compared with the float64 oracle.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from kernelcoder.task import Case, Task
from kernelcoder.verify import oracle
from kernelcoder.verify.regions import Call, Regions

# Extra pool elements beyond one input: the number of distinct windows.
_SLACK = 1 << 16
_ROWS_CHECKED = 8
_POISON = 0xA7
# Weight of the second window. Away from zero, so that it is never the first one alone; positive, so
# that positive inputs stay positive.
_MIXTURE = (0.25, 0.75)
# Value families of wild rounds: nothing special (NaN, infinity), nothing slow (subnormal numbers).
WILD = ("large", "negative", "tiny", "constant", "mixed", "shifted", "sorted")
# Elements up to which every wild round gets new pools; larger cases keep their first ones.
_CHEAP = 1 << 20


@dataclass(frozen=True, slots=True)
class Check:
    """Which outputs to look at: a call's number and some of its rows (none: all of it)."""

    call: int
    rows: tuple[int, ...]


class Bench:
    """Shared memory, input pools and checks of one timed case of one task."""

    def __init__(self, task: Task, case: Case, calls: int, rng: random.Random) -> None:
        self.task, self.case, self._rng = task, case, rng
        self.scalars = oracle.scalars(task, case)
        tensors = [task.make_inputs(case, rng.getrandbits(31)) for _ in range(calls)]
        outputs = tuple((tuple(case.shapes[arg.name]), case.dtype) for arg in task.outputs)
        self.regions = Regions([Call(tuple(inputs), outputs, self.scalars) for inputs in tensors])
        mixed_in = task.make_inputs(case, rng.getrandbits(31))
        self._pools = [self._pool(tensor) for tensor in tensors[0]]
        self._others = [self._pool(tensor) for tensor in mixed_in]
        self._wild: list[list[Tensor]] = []
        self._odd = rng.randrange(2)
        self.count = calls
        self.name = f"{task.id}:{case.name}:{rng.getrandbits(48):x}"
        self._sliced = _sliced_inputs(task, tensors[0], self.scalars)

    def _pool(self, tensor: Tensor) -> Tensor:
        flat = tensor.contiguous().flatten()
        return torch.cat([flat, flat[: min(flat.numel(), _SLACK)]])

    @property
    def fds(self) -> tuple[int, int]:
        """Descriptors of the input and the output region."""
        return self.regions.in_fd, self.regions.out_fd

    def layout(self) -> list[list[dict[str, Any]]]:
        """Per call, where each input lies: what the baseline process needs to map it."""
        return [
            [
                {
                    "offset": p.offset,
                    "shape": list(p.shape),
                    "strides": list(p.strides),
                    "dtype": p.dtype,
                }
                for p in places
                if p.region == "in"
            ]
            for places in map(self.regions.offsets, range(self.count))
        ]

    @property
    def working_set(self) -> int:
        """Bytes of all inputs and outputs of the calls of one round."""
        return sum(
            place.bytes for call in range(self.count) for place in self.regions.offsets(call)
        )

    def refresh(self) -> None:
        """Give every input of every call new contents."""
        for call, (index, pool) in itertools.product(range(self.count), enumerate(self._pools)):
            target = self.regions.input(call, index)
            weight = self._rng.uniform(*_MIXTURE)
            first = self._window(pool, target)
            torch.add(first, self._window(self._others[index], target), alpha=weight, out=target)

    def _window(self, pool: Tensor, target: Tensor) -> Tensor:
        start = self._rng.randrange(pool.numel() - target.numel() + 1)
        return pool[start : start + target.numel()].view(target.shape)

    def run_wild(self) -> None:
        """Give every input of every call values of another family, drawn now: every other call
        large ones, where they are legal."""
        if not self._wild or sum(pool.numel() for pool in self._pools) <= _CHEAP:
            some = self._rng.sample(WILD, len(WILD))
            self._wild = [self._wild_pools(some), self._wild_pools(["large", *some])]
        for call in range(self.count):
            for index, pool in enumerate(self._wild[(call + self._odd) % 2]):
                target = self.regions.input(call, index)
                target.copy_(self._window(pool, target))
        self._odd ^= 1

    def _wild_pools(self, families: Sequence[str]) -> list[Tensor]:
        """Pools of the first of some families that is legal for this task."""
        for family in families:
            values = "normal" if family == "sorted" else family
            case = dataclasses.replace(self.case, values=values)
            try:
                tensors = self.task.make_inputs(case, self._rng.getrandbits(31))
            except ValueError:  # not legal for this task: another one is
                continue
            pools = [self._pool(tensor) for tensor in tensors]
            return [pool.sort().values for pool in pools] if family == "sorted" else pools
        return self._pools

    def poison(self) -> None:
        """Overwrite all outputs, so that nothing of what others wrote can pass for an answer."""
        self.regions.poison(_POISON)

    def choose(self, first: int, count: int) -> Check:
        """Which of ``count`` calls from ``first`` on, and which of its rows, to look at: drawn
        after the run, so that nothing a kernel can see tells them apart."""
        call = first + self._rng.randrange(count)
        output = self.regions.output(call)
        height = output.shape[0] if self._sliced is not None and output.ndim else 0
        rows = self._rng.sample(range(height), min(height, _ROWS_CHECKED))
        return Check(call, tuple(sorted(rows)))

    def wrong(self, check: Check) -> str:
        """Compare the checked outputs with the oracle; "" if right, else what is wrong."""
        inputs = [self.regions.input(check.call, i) for i in range(len(self._pools))]
        shapes = dict(self.case.shapes)
        outputs = [self.regions.output(check.call, j) for j in range(len(self.task.outputs))]
        if check.rows:
            rows = torch.tensor(check.rows)
            for position in self._sliced or ():
                inputs[position] = inputs[position][rows]
            outputs = [output[rows] for output in outputs]
            shapes |= {
                arg.name: tuple(o.shape) for arg, o in zip(self.task.outputs, outputs, strict=True)
            }
        case = Case(self.case.name, shapes, self.case.dtype, scalars=self.case.scalars)
        for bounds, got in zip(oracle.answer(self.task, case, tuple(inputs)), outputs, strict=True):
            bad = int(bounds.wrong(got).sum())
            if bad:
                return f"{bad} of {got.numel()} checked elements of a timed output are wrong"
        return ""

    def close(self) -> None:
        """Release the shared memory."""
        self.regions.close()


def _sliced_inputs(
    task: Task, inputs: list[Tensor], scalars: tuple[float, ...]
) -> tuple[int, ...] | None:
    """Which inputs may be cut to some rows so that the reference returns just those output rows.

    Found by trying every subset of the inputs, largest first, on a small sample: matmul must slice
    ``a`` only, swiglu both. None if no subset works; then whole outputs are checked."""
    probe = [tensor.to(torch.float64).contiguous() for tensor in inputs]
    height = probe[0].shape[0] if probe[0].ndim > 1 else 0
    candidates = [
        i for i, tensor in enumerate(probe) if tensor.ndim > 1 and tensor.shape[0] == height
    ]
    if height < 4:
        return None
    short = [t[:16] if i in candidates else t for i, t in enumerate(probe)]
    for size in range(len(candidates), 0, -1):
        for subset in itertools.combinations(candidates, size):
            base = [short[i] if i in subset else probe[i] for i in range(len(probe))]
            cut = [t[[1, 3]] if i in subset else t for i, t in enumerate(base)]
            try:
                full, part = (
                    oracle.reference(task, tuple(base), scalars),
                    oracle.reference(task, tuple(cut), scalars),
                )
            except RuntimeError:  # shapes that do not go together: not this subset
                continue
            if all(
                p.shape[0] == 2 and f.ndim and torch.allclose(f[[1, 3]], p, equal_nan=True)
                for f, p in zip(full, part, strict=True)
            ):
                return subset
    return None
