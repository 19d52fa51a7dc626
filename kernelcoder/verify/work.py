# SPDX-License-Identifier: Apache-2.0
"""What a worker keeps at hand, and what it gathers on one candidate on the way to a verdict."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from kernelcoder.records import Mode, Stage, Status, Timing, Verdict
from kernelcoder.verify import labels
from kernelcoder.verify.exam import Exam
from kernelcoder.verify.judging import Findings
from kernelcoder.verify.oracle import Sheet
from kernelcoder.verify.slots import Slot

EXAMS_KEPT = 3
LOG_LIMIT = 8000


@dataclass(slots=True)
class Desk:
    """One worker's slot and the exams it has shared memory for; used by one thread at a time."""

    slot: Slot | None = None
    exams: OrderedDict[str, Exam] = field(default_factory=OrderedDict)

    def exam(self, name: str, sheet: Sheet) -> Exam:
        """Shared memory of a sheet, made at first use."""
        if name not in self.exams:
            while len(self.exams) >= EXAMS_KEPT:
                self.exams.popitem(last=False)[1].close()
            self.exams[name] = Exam(sheet)
        self.exams.move_to_end(name)
        return self.exams[name]

    def close(self) -> None:
        """End the slot and release the memory; the desk can be used again."""
        if self.slot is not None:
            self.slot.close()
            self.slot = None
        while self.exams:
            self.exams.popitem()[1].close()


@dataclass(slots=True)
class Work:
    """What is known of one candidate so far."""

    seconds: dict[str, float] = field(default_factory=dict)
    stage: Stage = "generated"
    mode: Mode = "native"
    source: str = ""
    ended: bool = False  # by its own doing, before it gave all results
    log: str = ""
    findings: Findings = field(default_factory=Findings)
    remarks: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    def verdict(
        self,
        status: Status,
        reason: str,
        versions: dict[str, str],
        evidence: Sequence[str] = (),
        timing: Timing | None = None,
    ) -> Verdict:
        """The verdict with everything gathered on the way."""
        cases = tuple(result for _, result in sorted(self.findings.results.items()))
        known = (*self.findings.evidence, *self.remarks, *evidence)
        return Verdict(
            status=status,
            stage=self.stage,
            mode=self.mode,
            reason=reason,
            evidence=known,
            cases=cases,
            timing=timing,
            log=self.log[:LOG_LIMIT],
            seconds={name: round(value, 6) for name, value in self.seconds.items()},
            versions=versions,
            checked=labels.counted({**self.findings.checked, **self.checked}, cases),
            labels=labels.noticed(status, reason, known, cases),
        )
