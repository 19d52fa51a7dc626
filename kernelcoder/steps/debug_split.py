# SPDX-License-Identifier: Apache-2.0
"""Debug-split: failing kernels go to a separate fixer, cold and with a prompt of its own.

The fixer sees the task, the contract, the failing kernel and its feedback, and nothing that asks
for speed: no notes, no earlier kernels, no strategy. All other roles are written as in one-shot.
It costs no extra call. Source: the coder and debugger of STARK (reference specification 1.9, M13).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from kernelcoder.io import IO
from kernelcoder.prompts import fill, question
from kernelcoder.steps import Work

calls = 0


@dataclass(frozen=True, slots=True)
class Options:
    """``temperature_percent``: how warm the fixer is."""

    temperature_percent: int


def prepare(work: Work, io: IO, options: Options) -> Work:
    """The work, or the fixer's prompt and temperature where a kernel is to be debugged."""
    if work.proposal.role != "debug":
        return work
    messages = question(
        work.parts, fill("steps/fixer"), fill("steps/fix", language=work.parts.language)
    )
    warmth = options.temperature_percent / 100
    return dataclasses.replace(work, messages=messages, temperature=warmth)
