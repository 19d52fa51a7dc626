# SPDX-License-Identifier: Apache-2.0
"""The text of a simulated kernel: one choice a technique, and the mistakes that were made.

    // a simulated kernel: choices, not code
    layout = 2
    tiling = 0
    ...
    bug vector: crash

Option 0 of a technique is leaving it out. A mistake stands in the text because the text is all
there is of the kernel; the simulated model does not read its own mistakes, only the feedback.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD = "// a simulated kernel: choices, not code"
SLOTS = ("layout", "tiling", "vector", "unroll", "staging", "order")
OPTIONS = 4
BUGS = ("syntax", "crash", "wrong")  # what a mistake leads to; the first of them decides

_CHOICE = re.compile(r"(\w+) = (\d+)$")
_BUG = re.compile(r"bug (\w+): (\w+)$")


@dataclass(frozen=True, slots=True)
class Kernel:
    """``choices``: the option of each of SLOTS. ``bugs``: (technique, kind), at most one each."""

    choices: tuple[int, ...]
    bugs: tuple[tuple[str, str], ...] = ()


def render(kernel: Kernel) -> str:
    """The text of a kernel."""
    lines = [HEAD]
    lines += [f"{slot} = {option}" for slot, option in zip(SLOTS, kernel.choices, strict=True)]
    lines += [f"bug {slot}: {kind}" for slot, kind in kernel.bugs]
    return "\n".join(lines) + "\n"


def parse(text: str) -> Kernel | None:
    """The first kernel in a text, None if there is none that is whole."""
    found: dict[str, int] = {}
    bugs: dict[str, str] = {}
    for line in text.partition(HEAD)[2].splitlines()[1:]:
        if choice := _CHOICE.match(line.strip()):
            found[choice[1]] = int(choice[2])
        elif bug := _BUG.match(line.strip()):
            bugs[bug[1]] = bug[2]
        else:
            break
    if set(found) != set(SLOTS) or max(found.values()) >= OPTIONS:
        return None
    if not set(bugs) <= set(SLOTS) or not set(bugs.values()) <= set(BUGS):
        return None
    ordered = tuple((slot, bugs[slot]) for slot in SLOTS if slot in bugs)
    return Kernel(tuple(found[slot] for slot in SLOTS), ordered)
