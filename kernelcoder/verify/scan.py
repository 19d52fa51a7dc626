# SPDX-License-Identifier: Apache-2.0
"""A first look at what a candidate wrote, in native code: is all of it right, at both edges?

Nearly always the answer is yes or obviously not; only then is it worth asking what is wrong, which
is judging.py's business. This look decides nothing by itself that ``numerics.Bounds.wrong`` would
decide differently: the same interval per element, the same bits at both edges, all canaries.
"""

from __future__ import annotations

import ctypes
import dataclasses
import itertools

import torch

from kernelcoder.records import CaseResult
from kernelcoder.verify import loops, numerics
from kernelcoder.verify.oracle import Sheet
from kernelcoder.verify.regions import Regions

_FOUND, _ANSWER = ctypes.sizeof(loops.Found), ctypes.sizeof(loops.Answer)
# What native/judge.c knows of an accepted interval. Should Bounds learn more, nothing is waved
# through until the loop has learned it too.
_KNOWN = {"dtype", "expected", "low", "high", "nan", "negative", "spacing"}


class Scan:
    """The tables of one sheet in one pair of regions. Visible cases lie there once, hidden ones
    twice, ``hidden`` calls apart. Holds the sheet's tensors alive, not the regions."""

    def __init__(self, sheet: Sheet, regions: Regions) -> None:
        self._sheet, self._regions = sheet, regions
        self._complete = {f.name for f in dataclasses.fields(numerics.Bounds)} == _KNOWN
        self._right: list[torch.Tensor] = []
        self._usual: list[CaseResult | None] = []
        self._first: list[int] = []
        sizes = (sum(a.expected.numel() for a in found) for found in sheet.answers)
        self._elements: list[int] = [0, *itertools.accumulate(sizes)]
        answers: list[loops.Answer] = []
        for index in range(len(sheet.cases)):
            self._first.append(len(answers))
            answers += self._answers(index)
        self._first.append(len(answers))
        self._answers_table = (loops.Answer * len(answers))(*answers)
        self._found = (loops.Found * len(answers))()
        inputs = [entry for index in range(len(sheet.cases)) for entry in self._inputs(index)]
        self._inputs_table = (loops.Input * len(inputs))(*inputs)

    def _again(self, index: int) -> int | None:
        """The second call of a case."""
        return index + len(self._sheet.cases) - self._sheet.visible if self._hidden(index) else None

    def _hidden(self, index: int) -> bool:
        return index >= self._sheet.visible

    def _inputs(self, index: int) -> list[loops.Input]:
        again, entries = self._again(index), []
        for position, tensor in enumerate(self._sheet.inputs[index]):
            place = self._regions.offsets(index)[position]
            other = loops.NOWHERE
            if again is not None:
                other = self._regions.offsets(again)[position].offset
            entries.append(loops.Input(place.offset, other, place.bytes, tensor.data_ptr()))
        return entries

    def _answers(self, index: int) -> list[loops.Answer]:
        """The native form of a case's answers; also notes the result of a kernel that returns the
        correctly rounded values, as most do that only move or select."""
        entries, errors, usual = [], [], True
        again, skip = self._again(index), len(self._sheet.inputs[index])
        for output, answer in enumerate(self._sheet.answers[index]):
            right = answer.expected.to(numerics.TORCH[answer.dtype]).contiguous()
            self._right.append(right)
            usual &= not bool(answer.wrong(right).any())
            errors.append(numerics.errors(right, answer.expected, answer.dtype, answer.spacing))
            other = loops.NOWHERE
            if again is not None:
                other = self._regions.offsets(again)[skip + output].offset
            tensors = (
                answer.low, answer.high, answer.nan, answer.negative, answer.expected,
                answer.spacing,
            )  # fmt: skip
            for tensor in tensors:
                if tensor is not None and not tensor.is_contiguous():
                    raise ValueError("answers must be contiguous")
            entries.append(
                loops.Answer(
                    self._regions.offsets(index)[skip + output].offset, other, right.numel(),
                    loops.DTYPES[answer.dtype], 0, right.data_ptr(),
                    *(None if tensor is None else tensor.data_ptr() for tensor in tensors),
                )
            )  # fmt: skip
        self._usual.append(case_result(self._sheet, index, errors) if usual else None)
        return entries

    def elements(self, cases: range) -> int:
        """Output elements of some cases."""
        return self._elements[cases.stop] - self._elements[cases.start]

    def inputs_intact(self) -> bool:
        """Whether all inputs of all calls still are the sheet's, bit for bit."""
        table = self._inputs_table
        at = self._regions.address("in")
        return bool(loops.library().kc_inputs(at, ctypes.addressof(table), len(table)))

    def results(self, cases: range) -> list[CaseResult] | None:
        """The results of cases whose calls have just run (hidden ones at both edges, as one
        exam does it), if every element is right, both edges agree and no canary is touched; else
        None. The child must be frozen."""
        if not self._complete:
            return None
        start, count = self._first[cases.start], self._first[cases.stop] - self._first[cases.start]
        found = ctypes.addressof(self._found) + start * _FOUND
        table = ctypes.addressof(self._answers_table) + start * _ANSWER
        at = self._regions.address("out")
        worst = loops.library().kc_judge(at, table, count, found)
        if worst == loops.DOUBT:
            return None
        calls = [cases]
        if (again := self._again(cases.start)) is not None:
            calls.append(range(again, again + len(cases)))
        if not all(self._regions.canaries_intact(group) for group in calls):
            return None
        results = self._usual[cases.start : cases.stop]
        if worst:
            results = [self._right_case(index) for index in cases]
        known = [result for result in results if result is not None]
        return known if len(known) == len(results) else None

    def _right_case(self, index: int) -> CaseResult | None:
        start, stop = self._first[index], self._first[index + 1]
        found = self._found[start:stop]
        if all(item.flags & loops.BITS for item in found):
            return self._usual[index]  # None if the rounded value is not what the bounds accept
        errors = []
        for answer, right, item in zip(
            self._sheet.answers[index], self._right[start:stop], found, strict=True
        ):
            if item.flags & loops.BITS:
                known = numerics.errors(right, answer.expected, answer.dtype, answer.spacing)
            else:
                known = numerics.Errors(*map(_known, (item.max_abs, item.max_rel, item.max_ulp)))
            errors.append(known)
        return case_result(self._sheet, index, errors)


def _known(value: float) -> float | None:
    return None if value < 0 else value


def case_result(
    sheet: Sheet, index: int, errors: list[numerics.Errors], mismatches: int = 0, cause: str = ""
) -> CaseResult:
    """The record of a case that ran to its end: the largest errors over its outputs; right if there
    is no ``cause``."""
    case = sheet.cases[index]
    return CaseResult(
        name=case.name,
        shape=tuple(case.shapes[sheet.task.inputs[0].name]),
        dtype=case.dtype,
        layout=case.layout,
        ok=not cause,
        hidden=index >= sheet.visible,
        max_abs=_worst([item.max_abs for item in errors]),
        max_rel=_worst([item.max_rel for item in errors]),
        max_ulp=_worst([item.max_ulp for item in errors]),
        mismatches=mismatches,
        total=sum(answer.expected.numel() for answer in sheet.answers[index]),
        cause=cause,
    )


def _worst(values: list[float | None]) -> float | None:
    """The largest known one."""
    known = [value for value in values if value is not None]
    return max(known) if known else None
