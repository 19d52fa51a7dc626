# SPDX-License-Identifier: Apache-2.0
"""Runs one loaded candidate over a sheet and finds what is wrong and why.

Hidden cases are run twice: with their inputs and outputs at the start of a page, poisoned with one
byte; and at the end of a page, where a step too far faults, poisoned with another. If both give the
same bits, the result depends on neither alignment, nor poison, nor chance. If not, or if anything
is wrong, three more passes tell these apart. A native scan (scan.py) finds out whether there is
anything to ask at all.

Where all cases together are small, visible and hidden ones run in one go, because starting and
stopping costs more than they do. They are judged one after the other all the same.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from torch import Tensor

from kernelcoder.records import CaseResult
from kernelcoder.task import Task
from kernelcoder.verify import numerics, oracle, properties, races
from kernelcoder.verify.causes import Evidence, cause
from kernelcoder.verify.exam import Exam
from kernelcoder.verify.hypotheses import alternatives, misreadings
from kernelcoder.verify.passes import Outputs, Pass, any_wrong, bits, holds, same
from kernelcoder.verify.scan import case_result
from kernelcoder.verify.slots import Child, Died, TimedOut

# One poison is NaN in every dtype, the other an ordinary number (about 0.01, in f16 about 1):
# whatever a kernel does with what it finds in its output, one of them shows.
POISONS = (0xFF, 0x3C)
_EARLIER = 3
_SHOWN, _SHOWN_IN_ALL = 3, 6
# Failing cases searched for a misunderstanding of the task; it costs some reference runs each.
_SEARCHED, _SEARCHED_ELEMENTS = 3, 1 << 18
Maker = Callable[[Task, tuple[Tensor, ...], tuple[float, ...]], Iterator[tuple[str, list[Tensor]]]]


@dataclass(slots=True)
class Findings:
    """Results so far; ``running`` are the runs under way as (case, call, poison), for when the
    child dies; ``checked`` counts cases, elements compared, passes over cases and kernel calls."""

    results: dict[int, CaseResult] = field(default_factory=dict)
    evidence: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)
    running: list[tuple[int, int, int]] = field(default_factory=list)

    @property
    def wrong(self) -> list[CaseResult]:
        """The failing cases, in order."""
        return [result for _, result in sorted(self.results.items()) if not result.ok]


class Judge:
    """Judges one child on one exam. Died and TimedOut of the child pass through."""

    def __init__(self, exam: Exam, child: Child, timeout: float) -> None:
        self.exam, self.sheet = exam, exam.sheet
        self._child = child
        self._timeout, self._deadline = timeout, time.monotonic() + timeout
        self._searched = 0
        self._unaligned: set[int] = set()
        self._ahead = False  # hidden cases have run already
        self._end: Died | TimedOut | None = None  # how that ended, if not well
        self.findings = Findings()

    def smoke(self) -> bool:
        """The visible cases; whether all are right."""
        visible, total = self.sheet.visible, len(self.sheet.cases)
        if self.exam.in_one_go:
            return self._at_once(range(visible), range(visible, total))
        return self._stage(range(visible), again=0)

    def _at_once(self, cases: range, hidden: range) -> bool:
        """The visible cases, with the hidden ones run behind them. Who dies there has passed this
        stage if these are right."""
        again = len(hidden)
        try:
            self._go([(cases, 0, POISONS[0]), (hidden, 0, POISONS[0]), (hidden, again, POISONS[1])])
        except (Died, TimedOut) as end:
            if self.exam.scan.results(cases) is None:
                raise
            del self.findings.running[: len(cases)]
            self._end = end
        self._count(cases, 1)
        self._ahead = True
        return self._judged(cases, again=0)

    def holdouts(self) -> bool:
        """The hidden cases, at both ends of a page; whether all are right."""
        first, total = self.sheet.visible, len(self.sheet.cases)
        cases = range(first, total)
        if self._end is not None:
            raise self._end
        right = self._stage(cases, again=total - first) and self._related(cases)
        return right and self._rescheduled(cases, again=total - first)

    def _rescheduled(self, cases: range, again: int) -> bool:
        """The same again for kernels that may use threads, in other orders, each in its time."""
        for turn in range(races.RUNS if self._child.threads() > 1 else 0):
            races.schedule(self._child.pid(), turn)
            self._deadline = time.monotonic() + self._timeout
            self._run(cases, [(0, POISONS[0]), (again, POISONS[1])])
            if self.exam.scan.results(cases) is None and not self._doubt(cases, again):
                return False
        return True

    def _related(self, cases: range) -> bool:
        """Whether the results agree with each other as the task's properties want it. What differs
        from run to run within the tolerance cannot be asked to agree in every bit."""
        found = self._disagreements()
        self.findings.checked["properties"] = len(self.sheet.relations)
        for _ in range(2) if found else ():
            self._run(cases, [(0, POISONS[0])])
            found = {i: mask for i, mask in self._disagreements().items() if i in found}
        for relation in self.sheet.relations:
            if (mask := found.get(relation.follow)) is not None:
                right = self.findings.results[relation.follow]
                self.findings.results[relation.follow] = dataclasses.replace(
                    right, ok=False, cause=relation.text, mismatches=int(mask.sum())
                )
        return not found

    def _disagreements(self) -> dict[int, Tensor]:
        """Case -> mask of the elements that break a relation, as the outputs are now."""
        sheet, regions, found = self.sheet, self.exam.regions, {}
        for one in sheet.relations:
            base, follow = regions.output(one.base, 0), regions.output(one.follow, 0)
            mask = properties.broken(one, base, follow, sheet.answers[one.follow][0])
            if mask is not None:
                found[one.follow] = mask
        return found

    def check_inputs(self) -> None:
        """The seal makes changed inputs impossible; if they are changed all the same, nothing
        measured with them counts."""
        if not self.exam.scan.inputs_intact():
            raise RuntimeError("sealed inputs have changed")

    def _stage(self, cases: range, again: int) -> bool:
        if not cases:
            return True
        if self._ahead:
            self._count(cases, 2)
        else:
            self._run(cases, [(0, POISONS[0]), *([(again, POISONS[1])] if again else [])])
        return self._judged(cases, again)

    def _judged(self, cases: range, again: int) -> bool:
        right = self.exam.scan.results(cases)
        if right is None:
            return self._doubt(cases, again)
        self.findings.results.update(zip(cases, right, strict=True))
        return True

    def _doubt(self, cases: range, again: int) -> bool:
        """After a first look that found something: what, and why."""
        first = self._copy(cases, 0, POISONS[0])
        second = self._copy(cases, again, POISONS[1]) if again else None
        differ = second is not None and any(
            not same(first.outputs[i], second.outputs[i]) for i in cases
        )
        wrong = {i: self._wrong(i, first) for i in cases}
        if second is not None and differ:
            self._unaligned |= self._join(wrong, first, second)
        if second is not None:
            first.overrun |= second.overrun
        bad = any(any_wrong(wrong[i]) or i in first.overrun for i in cases)
        runs = self._repeat(cases, bad) if bad or differ else ()
        for run in runs:
            # what came out wrong only now, in the same place, is a matter of chance
            bad |= bool(self._join(wrong, first, run))
        if differ and not bad:
            self._note_variation(cases, runs)
        for i in cases:
            self.findings.results[i] = self._result(i, first, wrong[i], runs)
        return not bad

    def _join(self, wrong: dict[int, Outputs], first: Pass, other: Pass) -> set[int]:
        """Take over the cases right in ``first`` and wrong in ``other``; returns which."""
        taken = set()
        for i in wrong:
            if not any_wrong(wrong[i]) and any_wrong(mask := self._wrong(i, other)):
                wrong[i], first.outputs[i] = mask, other.outputs[i]
                taken.add(i)
        return taken

    def _repeat(self, cases: range, wrong: bool) -> tuple[Pass, ...]:
        """Three more passes at the same place: poisons one, two, two. A kernel already known to
        be wrong may die in them; what it did before then stands."""
        try:
            return self._three(cases)
        except (Died, TimedOut):
            if not wrong:
                raise
            return ()

    def _three(self, cases: range) -> tuple[Pass, ...]:
        passes = []
        for poison in (POISONS[0], POISONS[1], POISONS[1]):
            self._run(cases, [(0, poison)])
            passes.append(self._copy(cases, 0, poison))
        return tuple(passes)

    def _run(self, cases: range, passes: list[tuple[int, int]]) -> None:
        """Run the cases' calls in one go, pass by pass: each is so many calls after the cases'
        own, and poisoned with a byte of its own. Leaves the child frozen."""
        self._go([(cases, shift, poison) for shift, poison in passes])
        self._count(cases, len(passes))

    def _go(self, passes: list[tuple[range, int, int]]) -> None:
        """Run passes whose calls follow each other."""
        found, regions = self.findings, self.exam.regions
        found.running = [(i, i + shift, poison) for cases, shift, poison in passes for i in cases]
        for cases, shift, poison in passes:
            regions.poison(poison, range(cases.start + shift, cases.stop + shift))
        left = max(0.05, self._deadline - time.monotonic())
        self._child.run(found.running[0][1], len(found.running), timeout=left)

    def _count(self, cases: range, passes: int) -> None:
        """Note what is being looked at."""
        checked, elements = self.findings.checked, self.exam.scan.elements(cases)
        # visible cases come first, so those run so far are the ones up to the end of the range
        checked["cases"] = max(checked.get("cases", 0), cases.stop)
        for what, count in (("passes", 1), ("calls", len(cases)), ("elements", elements)):
            checked[what] = checked.get(what, 0) + count * passes

    def _copy(self, cases: range, shift: int, poison: int) -> Pass:
        """What a pass has left in the outputs, and where it wrote outside of them."""
        regions = self.exam.regions
        result = Pass(poison, {})
        for i in cases:
            result.outputs[i] = self._outputs(i, i + shift)
            if not regions.canaries_intact(i + shift):
                result.overrun.add(i)
        return result

    def _outputs(self, index: int, call: int) -> Outputs:
        regions = self.exam.regions
        return tuple(regions.output(call, j).clone() for j in range(len(self.sheet.answers[index])))

    def _wrong(self, index: int, run: Pass) -> tuple[Tensor, ...]:
        answers = self.sheet.answers[index]
        return tuple(a.wrong(got) for a, got in zip(answers, run.outputs[index], strict=True))

    def _result(
        self, index: int, run: Pass, wrong: tuple[Tensor, ...], runs: tuple[Pass, ...]
    ) -> CaseResult:
        case, answers = self.sheet.cases[index], self.sheet.answers[index]
        hidden = index >= self.sheet.visible
        found = [
            numerics.errors(got, answer.expected, case.dtype, answer.spacing)
            for got, answer in zip(run.outputs[index], answers, strict=True)
        ]
        why = ""
        if index in run.overrun:
            why = "writes outside its output"
        for output, mask in enumerate(wrong):
            if not why and bool(mask.any()):
                why = cause(self._evidence(index, output, run, mask, runs))
                why += "; right at another alignment" if index in self._unaligned else ""
                if not hidden and len(self.findings.evidence) < _SHOWN_IN_ALL:
                    self.findings.evidence += self._values(index, output, run, mask)
        return case_result(self.sheet, index, found, sum(int(mask.sum()) for mask in wrong), why)

    def _evidence(
        self, index: int, output: int, run: Pass, mask: Tensor, runs: tuple[Pass, ...]
    ) -> Evidence:
        unwritten = repeat = poisoned = None
        if runs:
            one, two, three = (r.outputs[index][output] for r in runs)
            unwritten = holds(one, runs[0].poison) & holds(two, runs[1].poison)
            repeat = bits(two) != bits(three)
            poisoned = (bits(one) != bits(two)) & ~unwritten
        case = self.sheet.cases[index]
        earlier = [
            self.sheet.answers[i][output].expected for i in range(max(0, index - _EARLIER), index)
        ]
        return Evidence(
            got=run.outputs[index][output],
            bounds=self.sheet.answers[index][output],
            wrong=mask,
            inputs=self.sheet.exact_inputs(index),
            unwritten=unwritten,
            repeat=repeat,
            poisoned=poisoned,
            earlier=tuple(earlier),
            misread=self._told(misreadings, index, output) if case.layout != "contiguous" else None,
            what_if=self._told(alternatives, index, output) if self._search(index) else None,
        )

    def _search(self, index: int) -> bool:
        """Whether to look for a misunderstanding: in the first few failing cases, if not huge."""
        size = sum(tensor.numel() for tensor in self.sheet.inputs[index])
        self._searched += size <= _SEARCHED_ELEMENTS
        return size <= _SEARCHED_ELEMENTS and self._searched <= _SEARCHED

    def _told(
        self, make: Maker, index: int, output: int
    ) -> Callable[[], Iterator[tuple[str, Tensor]]]:
        """One output of the results of wrong readings of a case, made when asked for."""
        task, case = self.sheet.task, self.sheet.cases[index]

        def results() -> Iterator[tuple[str, Tensor]]:
            for text, outputs in make(task, self.sheet.inputs[index], oracle.scalars(task, case)):
                yield text, outputs[output]

        return results

    def _values(self, index: int, output: int, run: Pass, mask: Tensor) -> list[str]:
        """The first wrong elements of a visible case, with values."""
        case, name = self.sheet.cases[index], self.sheet.task.outputs[output].name
        answer, got = self.sheet.answers[index][output], run.outputs[index][output]
        lines = []
        half_width = (answer.high.double() - answer.low.double()) / 2
        for at in mask.nonzero()[:_SHOWN].tolist():
            spot = tuple(at)
            slack = "exactly" if answer.exact else f"± {float(half_width[spot]):.2g}"
            lines.append(
                f"{case.name}: {name}{at} is {float(got[spot]):.8g},"
                f" expected {float(answer.expected[spot]):.8g} {slack}"
            )
        return lines

    def _note_variation(self, cases: range, runs: tuple[Pass, ...]) -> None:
        """Right each time, yet not the same bits: worth a remark, not a failure."""
        one, two, three = runs
        if any(not same(two.outputs[i], three.outputs[i]) for i in cases):
            text = "results differ between identical runs, within the tolerance"
        elif any(not same(one.outputs[i], two.outputs[i]) for i in cases):
            text = "results depend on what the output held before, within the tolerance"
        else:
            return  # alignment changes the order of a sum: ordinary
        self.findings.evidence.append(text)

    def mark_ended(self, why: str) -> str:
        """After a death or a time-out: judge what was finished, mark the case that was running
        (the first whose output is still all poison), and return its name; "" if unknown."""
        found = self.findings
        stopped = next((k for k, run in enumerate(found.running) if self._untouched(*run)), None)
        for index, call, poison in found.running[:stopped] if stopped is not None else ():
            if index not in found.results:
                run = Pass(poison, {index: self._outputs(index, call)})
                found.results[index] = self._result(index, run, self._wrong(index, run), ())
        if stopped is None:
            return ""
        at = found.running[stopped][0]
        case = self.sheet.cases[at]
        shape = tuple(case.shapes[self.sheet.task.inputs[0].name])
        found.results[at] = CaseResult(
            case.name, shape, case.dtype, case.layout, False, at >= self.sheet.visible, cause=why
        )
        return case.name

    def _untouched(self, index: int, call: int, poison: int) -> bool:
        outputs = [self.exam.regions.output(call, j) for j in range(len(self.sheet.answers[index]))]
        return any(got.numel() and bool(holds(got, poison).all()) for got in outputs)
