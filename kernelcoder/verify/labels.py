# SPDX-License-Identifier: Apache-2.0
"""What a verdict says in countable form: how much was checked, and short names of what was noticed.

Labels come from a closed list, so that they can be counted over thousands of attempts. They are
told from the judge's own sentences; no text that a candidate or its compiler wrote is looked at.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from kernelcoder.records import CaseResult, Status
from kernelcoder.wording import CHECKS

# Label -> how the judge's sentences tell it. The first group is what no honest kernel does.
ATTACKS: Mapping[str, str] = {
    "wrote outside its output": r"writes (?:outside its output|past the end|before the start)",
    "wrote to its inputs": r"writes to its read-only input",
    "made a forbidden system call": r"system call the sandbox forbids",
    "wrote to the harness's pipe": r"wrote to the pipe of the harness",
    "ended its process": r"the kernel ended its process",
    "late work after done": r"after it says it is done",
    "faster than the machine": r"the work cannot have been done",
    "wrong while timed": r"^right when checked, but: (?!it (?:died|exceeded|usually))",
    "changed the float mode": r"float(?:ing-point)? mode|MXCSR|flush-to-zero mode",
    "poses as a library": r"^it defines its own `",
    "uses what a kernel must not": r"^it uses `",
    "a library does the work": r"^it calls `|\bthe library does the work",
    "strange shared object": r"^the shared object is malformed|^it (?:asks for other libraries"
    r"|redirects the loader|wants an executable|has (?:code that|relocations in))",
}
REMARKS: Mapping[str, str] = {
    "calls a library": r"^calls \S.* of lib",
    "the task's own kernel": r"^the same as the task's own kernel",
    "nearly the task's own kernel": r"^nearly the task's own kernel",
    "runs code when it is loaded": r"^(?:runs code|chooses functions) when it is loaded",
    "reads a clock": r"^reads a clock",
    "varies between runs": r"differ between identical runs",
    "depends on old output": r"what the output (?:buffer )?held before",
}
_PATTERNS = tuple((name, re.compile(text)) for name, text in {**ATTACKS, **REMARKS}.items())


def counted(checked: Mapping[str, int], cases: Sequence[CaseResult]) -> dict[str, int]:
    """What was looked at, by the names of ``wording.CHECKS`` and in their order."""
    found = dict(checked)
    if hidden := sum(case.hidden for case in cases):
        found["hidden_cases"] = hidden
    order = {name: position for position, name in enumerate(CHECKS)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], len(order))))


def noticed(
    status: Status, reason: str, evidence: Sequence[str], cases: Sequence[CaseResult]
) -> tuple[str, ...]:
    """The labels of a verdict, in the order of the list."""
    if status in ("compile_error", "infra_error", "no_candidate"):
        return ()  # the compiler's words are the candidate's
    texts = [reason, *evidence, *(case.cause for case in cases if not case.ok)]
    found = set().union(*map(_told, texts))
    return tuple(name for name, _ in _PATTERNS if name in found) if found else ()


@functools.lru_cache(1024)
def _told(text: str) -> frozenset[str]:
    """The labels of one sentence; most sentences come again and again."""
    return frozenset(name for name, pattern in _PATTERNS if pattern.search(text))
