# SPDX-License-Identifier: Apache-2.0
"""The shared memory in which one sheet of cases is sat."""

from __future__ import annotations

from kernelcoder.verify import oracle
from kernelcoder.verify.oracle import Sheet
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.scan import Scan

_SMALL = 1 << 18  # output elements in all, up to which everything runs in one go


class Exam:
    """The shared memory of one sheet: visible calls, hidden calls, hidden calls again with the
    other flush. Used by one slot at a time; outputs are poisoned before every pass."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        total, visible = len(sheet.cases), sheet.visible
        order = [*range(total), *range(visible, total)]
        calls = []
        for position, index in enumerate(order):
            late = bool((index + sheet.parity + (position >= total)) % 2)
            calls.append(_call(sheet, index, late))
        self.regions = Regions(calls)
        self.scan = Scan(sheet, self.regions)

    @property
    def in_one_go(self) -> bool:
        """Whether visible and hidden calls are one run: where all together are little work."""
        visible, total = self.sheet.visible, len(self.sheet.cases)
        return 0 < visible < total and self.scan.elements(range(total)) <= _SMALL

    def counted(self) -> int:
        """Output elements of the first run, the one whose operators a Python child counts."""
        visible, total = self.sheet.visible, len(self.sheet.cases)
        if not self.in_one_go:
            return self.scan.elements(range(visible))
        return self.scan.elements(range(total)) + self.scan.elements(range(visible, total))

    def close(self) -> None:
        """Release the shared memory."""
        self.regions.close()


def _call(sheet: Sheet, index: int, late: bool) -> Call:
    task, case = sheet.task, sheet.cases[index]
    outputs = tuple((tuple(case.shapes[arg.name]), case.dtype) for arg in task.outputs)
    return Call(
        sheet.inputs[index], outputs, oracle.scalars(task, case), "end" if late else "start"
    )
