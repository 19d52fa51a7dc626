# SPDX-License-Identifier: Apache-2.0
"""From a failing hidden case to a smallest one: what a model needs to see its mistake.

Greedy and deterministic: ordinary values, then float32, then a contiguous layout, then fewer dims,
then smaller dims (a search among sizes beside powers of two) as long as the kernel still fails.
Each probe is one case with fresh values of its own, run in a fresh child and judged like any other.
Of the hidden case nothing goes in but its form, and nothing comes out but a form and a cause.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from kernelcoder.records import CaseResult, Verdict
from kernelcoder.task import Arg, Case, Task
from kernelcoder.verify import oracle
from kernelcoder.verify.exam import Exam
from kernelcoder.verify.judging import Judge
from kernelcoder.verify.oracle import Sheet
from kernelcoder.verify.slots import Child, Died, Limits, Slot, TimedOut

PROBES = 24
SECONDS = 0.5
_PROBE_SECONDS = 0.25
_STARTS = 4  # failing cases tried as a start
_EDGES = tuple(2**n + d for n in range(3, 13) for d in (-1, 0, 1))
SIZES = (1, 2, 3, 4, 5, 6, *_EDGES)
Fails = Callable[[Case], bool]
Dims = Mapping[str, tuple[int, ...]]


def dims_of(task: Task, case: Case) -> dict[str, tuple[int, ...]]:
    """Sizes by symbolic dim; "..." stands for any number of leading ones."""
    found: dict[str, tuple[int, ...]] = {}
    for arg in (*task.inputs, *task.outputs):
        shape = case.shapes[arg.name]
        many = len(shape) - len(arg.dims) + 1
        at = 0
        for symbol in arg.dims:
            size = many if symbol == "..." else 1
            found.setdefault(symbol, tuple(shape[at : at + size]))
            at += size
    return found


def with_dims(task: Task, case: Case, dims: Dims) -> Case:
    """The case with other sizes; a dim that is written as a number keeps it."""

    def shape(arg: Arg) -> tuple[int, ...]:
        return tuple(
            size
            for symbol in arg.dims
            for size in ((int(symbol),) if symbol.isdigit() else dims[symbol])
        )

    shapes = {arg.name: shape(arg) for arg in (*task.inputs, *task.outputs)}
    return dataclasses.replace(case, shapes=shapes)


def smallest(task: Task, case: Case, fails: Fails) -> Case | None:
    """The smallest failing case that was found on the way down from ``case``; None if not even
    that fails. ``fails`` is asked at most ``PROBES`` times, never twice about the same case."""
    asked = 0

    def still(other: Case) -> bool:
        nonlocal asked
        asked += 1
        return asked <= PROBES and fails(other)

    if not still(case):
        return None
    for simpler in (
        {"values": "normal"},
        {"scalars": dict(task.visible[0].scalars)},
        {"dtype": "f32"},
        {"layout": "contiguous"},
    ):
        other = dataclasses.replace(case, **simpler)
        if other != case and still(other):
            case = other
    case = _fewer(task, case, still)
    for symbol, sizes in reversed(dims_of(task, case).items()):
        for place in reversed(range(0 if symbol.isdigit() else len(sizes))):
            case = _shorter(task, case, symbol, place, still)
    return case


def _fewer(task: Task, case: Case, still: Fails) -> Case:
    """Without the leading dims, from the first on."""
    dims = dims_of(task, case)
    least = 1 if any(arg.dims == ("...",) for arg in task.inputs) else 0
    for keep in range(least, len(dims.get("...", ()))):
        shorter = dims["..."][len(dims["..."]) - keep :]
        other = with_dims(task, case, {**dims, "...": shorter})
        if still(other):
            return other
    return case


def _shorter(task: Task, case: Case, symbol: str, place: int, still: Fails) -> Case:
    """One dim as small as it goes: the smallest size at once, else by halving the choices."""
    dims = dims_of(task, case)
    sizes = [size for size in SIZES if size < dims[symbol][place]]

    def cut(size: int) -> Case:
        changed = (*dims[symbol][:place], size, *dims[symbol][place + 1 :])
        return with_dims(task, case, {**dims, symbol: changed})

    if sizes and still(cut(sizes[0])):
        return cut(sizes[0])
    low, high, best = 1, len(sizes), case
    while low < high:
        middle = (low + high) // 2
        if still(cut(sizes[middle])):
            high, best = middle, cut(sizes[middle])
        else:
            low = middle + 1
    return best


class Probe:
    """Asks one candidate about one case: runs it in a fresh child. ``result`` is that of the last
    case that failed."""

    def __init__(self, task: Task, slot: Slot, library: Path, limits: Limits, key: str) -> None:
        self._task, self._slot, self._library = task, slot, library
        self._limits, self._key = limits, key
        self._deadline = time.monotonic() + SECONDS
        self._asked = 0
        self.result: CaseResult | None = None

    def __call__(self, case: Case) -> bool:
        """Whether the candidate gives a wrong result. A case that has no meaning for the task does
        not count as one, nor one in which the candidate dies, nor any when time is up."""
        self._asked += 1
        if time.monotonic() > self._deadline:
            return False
        seed = oracle.seed_of(self._key, self._task.id, "shrink", self._asked)
        try:
            inputs = tuple(self._task.make_inputs(case, seed))
            answers = oracle.answer(self._task, case, inputs)
        except (ValueError, RuntimeError, IndexError, ZeroDivisionError):
            return False
        exam = Exam(Sheet(self._task, (case,), (inputs,), (answers,), 0, 0))
        try:
            return self._wrong(exam)
        finally:
            exam.close()

    def _wrong(self, exam: Exam) -> bool:
        child: Child = self._slot.start(self._library, exam.regions, self._limits)
        try:
            child.loaded(_PROBE_SECONDS)
            judge = Judge(exam, child, _PROBE_SECONDS)
            if judge.holdouts():
                return False
            self.result = judge.findings.results[0]
            return True
        except (Died, TimedOut):
            return False
        finally:
            child.finish()


def explained(
    verdict: Verdict, sheet: Sheet, slot: Slot, library: Path, limits: Limits, key: str
) -> Verdict:
    """The verdict on a kernel that is wrong on hidden cases, with one more line of evidence: the
    smallest failing case. The verdict itself if none was found."""
    probe = Probe(sheet.task, slot, library, limits, key)
    for case in _failing(verdict, sheet)[:_STARTS]:
        found = smallest(sheet.task, case, probe)
        if found is not None and probe.result is not None:
            text = f"{describe(sheet.task, found)}: {probe.result.cause}"
            line = f"smallest failing case found: {text}"
            return dataclasses.replace(verdict, evidence=(*verdict.evidence, line))
    return verdict


def _failing(verdict: Verdict, sheet: Sheet) -> list[Case]:
    """The hidden cases that failed and can be drawn again (a derived one cannot), small ones first.
    Other values of the same family may be harmless, so the first need not do."""
    wrong = {result.name for result in verdict.cases if result.hidden and not result.ok}
    cases = [case for case in _hidden(sheet.cases) if case.name in wrong]
    first = sheet.task.inputs[0].name

    return sorted(cases, key=lambda case: math.prod(case.shapes[first]))


def _hidden(cases: Sequence[Case]) -> Iterator[Case]:
    return (case for case in cases if case.hidden and case.values != "derived")


def describe(task: Task, case: Case) -> str:
    """A case in words: the shapes of its inputs, and what is not ordinary about it."""
    shapes = ", ".join(f"{arg.name} {list(case.shapes[arg.name])}" for arg in task.inputs)
    return f"{shapes}, {case.dtype}, {case.layout}, {case.values} values"
