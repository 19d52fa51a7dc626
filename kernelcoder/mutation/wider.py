# SPDX-License-Identifier: Apache-2.0
"""Does a mutant compute anything else than the original? Both run, sandboxed, on more cases than a
verdict uses: hidden cases of several keys, at both edges of a page; the same shapes in every other
memory layout, with the dtypes taking turns; and the large timing cases.

The outputs are compared bit by bit; only the payload of a NaN does not count. No difference
anywhere is strong evidence that the mutation changes nothing, not a proof.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from kernelcoder.errors import Error
from kernelcoder.history import random_key, rng_of
from kernelcoder.task import Case, Dtype, Layout, Task
from kernelcoder.verify import VerifyOptions, oracle
from kernelcoder.verify.builder import Builder
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.slots import Died, Limits, Slot, TimedOut

KEYS = 3
LAYOUTS: tuple[Layout, ...] = ("contiguous", "strided", "transposed", "offset")
DTYPES: tuple[Dtype, ...] = ("f32", "f16", "bf16")
_PATIENCE = 4  # times the time limit of a verdict
_POISON = 0x3C
Flush = Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first case in which two kernels differ. ``elements`` differ of ``total`` (0: the mutant
    gave no result, ``case`` says how it ended); ``ulp`` is the largest distance in units in the
    last place, None where one side is not finite; ``large`` says that it is one of the timing
    cases, which ordinary checks do not run."""

    case: str
    elements: int
    total: int
    ulp: int | None
    large: bool

    def __str__(self) -> str:
        if not self.total:
            return self.case
        far = "not finite on one side" if self.ulp is None else f"up to {self.ulp} ulp"
        return f"{self.case}: {self.elements} of {self.total} elements differ, {far}"


@dataclass(slots=True)
class _Set:
    """Cases in shared memory, and what the original wrote."""

    cases: list[Case]
    regions: Regions
    large: bool
    answers: list[list[Tensor]] | None = None


class Wider:
    """Runs kernels of one task beside its original. Thread-safe: one runs at a time."""

    def __init__(
        self, task: Task, original: Path, builder: Builder, options: VerifyOptions, seed: int
    ) -> None:
        self._task, self._original = task, original
        self._builder, self._options, self._seed = builder, options, seed
        self._lock = threading.Lock()
        self._slot: Slot | None = None
        self._sets: list[_Set] = []

    def __enter__(self) -> Wider:
        return self

    def __exit__(self, *_: object) -> None:
        if self._slot is not None:
            self._slot.close()
        for one in self._sets:
            one.regions.close()

    def difference(self, path: Path) -> tuple[Difference | None, int, int]:
        """Where the kernel in ``path`` first differs, and how many cases and output elements were
        compared."""
        with self._lock:
            self._prepare()
            cases = elements = 0
            for one in self._sets:
                assert one.answers is not None
                got = self._run(one, path)
                if isinstance(got, str):
                    return Difference(got, 0, 0, None, one.large), cases, elements
                for case, left, right in zip(one.cases, one.answers, got, strict=True):
                    if found := _differ(case, left, right, one.large):
                        return found, cases, elements
                    cases += 1
                    elements += sum(tensor.numel() for tensor in left)
            return None, cases, elements

    def _prepare(self) -> None:
        if self._slot is None:
            self._slot = self._builder.slot()
        if self._sets:
            return
        self._sets = [self._made(list(self._ordinary()), False)]
        if self._task.timing:
            twice: list[tuple[Case, Flush]] = []
            for case in self._task.timing:
                twice += [(case, "start"), (case, "end")]
            self._sets.append(self._made(twice, True))
        for one in self._sets:
            got = self._run(one, self._original)
            if isinstance(got, str):
                raise Error(f"the kernel to mutate does not run: {got}", where=self._task.id)
            one.answers = got

    def _ordinary(self) -> Iterator[tuple[Case, Flush]]:
        yield from ((case, "start") for case in self._task.visible)
        for number in range(KEYS):
            key = random_key("wider", self._seed, self._task.id, number)
            for index, case in enumerate(self._task.holdout(rng_of(key))):
                yield case, ("end" if (index + number) % 2 else "start")
                if number == 0:
                    yield from _crossed(case, index)

    def _made(self, cases: list[tuple[Case, Flush]], large: bool) -> _Set:
        task, calls = self._task, []
        for index, (case, flush) in enumerate(cases):
            inputs = tuple(task.make_inputs(case, oracle.seed_of("wider", self._seed, index)))
            outputs = tuple((tuple(case.shapes[arg.name]), case.dtype) for arg in task.outputs)
            calls.append(Call(inputs, outputs, oracle.scalars(task, case), flush))
        return _Set([case for case, _ in cases], Regions(calls), large)

    def _run(self, one: _Set, path: Path) -> list[list[Tensor]] | str:
        """The outputs of every case, or how the kernel ended."""
        options, slot = self._options, self._slot
        assert slot is not None
        seconds = _PATIENCE * options.timeout_seconds
        limits = Limits(
            memory_mb=options.memory_mb,
            cpu_seconds=seconds * max(1, options.threads) + 1,
            threads=options.threads,
        )
        child = slot.start(path, one.regions, limits)
        try:
            child.loaded(seconds)
            one.regions.poison(_POISON)
            child.run(0, len(one.cases), timeout=seconds)
            outputs = range(len(self._task.outputs))
            return [
                [one.regions.output(call, index).clone() for index in outputs]
                for call in range(len(one.cases))
            ]
        except TimedOut:
            return "no result in time"
        except Died as died:
            return f"it died: {died}"
        finally:
            child.finish()


def _crossed(case: Case, index: int) -> Iterator[tuple[Case, Flush]]:
    """A case in the other layouts: the plan of a task need not have every size in every layout."""
    for turn, layout in enumerate(LAYOUTS):
        if layout != case.layout:
            dtype = DTYPES[(index + turn) % len(DTYPES)]
            name = f"{case.name} as {dtype} {layout}"
            flush: Flush = "end" if (index + turn) % 2 else "start"
            yield replace(case, name=name, layout=layout, dtype=dtype), flush


def _differ(case: Case, left: list[Tensor], right: list[Tensor], large: bool) -> Difference | None:
    for one, other in zip(left, right, strict=True):
        a, b = _ordered(one), _ordered(other)
        unlike = (a != b) & ~(torch.isnan(one) & torch.isnan(other))
        if bool(unlike.any()):
            finite = bool((torch.isfinite(one) & torch.isfinite(other))[unlike].all())
            ulp = int((a - b).abs()[unlike].max()) if finite else None
            return Difference(case.name, int(unlike.sum()), unlike.numel(), ulp, large)
    return None


def _ordered(tensor: Tensor) -> Tensor:
    """Bits as integers in the order of the numbers, so that a difference counts ulps; 0 and -0
    are one apart."""
    wide = tensor.element_size() == 4
    bits = tensor.view(torch.int32 if wide else torch.int16).to(torch.int64)
    least = -(1 << 31) if wide else -(1 << 15)
    return torch.where(bits < 0, least - bits - 1, bits)
