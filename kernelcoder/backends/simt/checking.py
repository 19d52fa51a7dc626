# SPDX-License-Identifier: Apache-2.0
"""Running the checked build of a candidate whose cases are all right: a few small ones, once.

The checked build sees data races, missing barriers, accesses outside of a buffer by a byte and
reads of what nobody wrote. It is several times slower, so it runs on one or two cases per dtype."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from kernelcoder.verify import deaths
from kernelcoder.verify.census import Finding
from kernelcoder.verify.child import EXIT_WANTS
from kernelcoder.verify.oracle import Sheet
from kernelcoder.verify.slots import Died, Limits, Slot, TimedOut

if TYPE_CHECKING:
    from kernelcoder.verify.exam import Exam

ELEMENTS = 1 << 13  # of one case: enough for several blocks, little enough for a second
PER_DTYPE = 2
_POISON = 0xFF


def chosen(sheet: Sheet) -> list[int]:
    """Indices of the cases to run: per dtype, of the small ones, that with the longest row (blocks
    of several warps) and the largest of another layout where there is one."""

    def size(index: int) -> int:
        case = sheet.cases[index]
        return max(math.prod(shape) for shape in case.shapes.values())

    def row(index: int) -> int:
        return max(shape[-1] for shape in sheet.cases[index].shapes.values() if shape)

    small = sorted((i for i in range(len(sheet.cases)) if 0 < size(i) <= ELEMENTS), key=size)
    found: dict[str, dict[str, int]] = {}
    for index in sorted(small, key=row, reverse=True):
        case = sheet.cases[index]
        found.setdefault(case.dtype, {case.layout: index})
    for index in reversed(small):
        case = sheet.cases[index]
        layouts = found.setdefault(case.dtype, {})
        if len(layouts) < PER_DTYPE:
            layouts.setdefault(case.layout, index)
    return sorted(index for layouts in found.values() for index in layouts.values())


def check(
    exam: Exam,
    slot: Slot,
    limits: Limits,
    library: Path,
    source: str,
    seconds: float,
    complete: bool = True,
) -> Finding:
    """What the checked build sees; ends the slot's child. ``source`` is the candidate's. One that
    lacks kernels fails, unless it was never run on all cases (not ``complete``)."""
    sheet, ran = exam.sheet, 0
    child = slot.start(library, exam.regions, limits)
    try:
        child.loaded(seconds)
        for index in chosen(sheet):
            exam.regions.poison(_POISON, range(index, index + 1))
            child.run(index, 1, timeout=seconds)
            ran += 1
    except Died as died:
        if not complete and died.exit.kind == "exited" and died.exit.code == EXIT_WANTS:
            return Finding("", (), _checked(ran))
        cause = deaths.explain(died.exit, sheet.task, True, source)
        return Finding(f"{cause.text}, seen by the checked build", (), _checked(ran), cause.status)
    except TimedOut as late:
        deaths.from_outside(late.exit)
        slow = "the checked build took too long: races were not looked for in all cases"
        return Finding("", (slow,), _checked(ran))
    finally:
        child.finish()
    return Finding("", (), _checked(ran))


def _checked(cases: int) -> dict[str, int]:
    return {"cases under the checked build": cases}
