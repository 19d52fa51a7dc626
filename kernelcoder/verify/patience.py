# SPDX-License-Identifier: Apache-2.0
"""How long a child may take: a time limit that a busy machine does not shorten."""

from __future__ import annotations

import select
import time
from collections.abc import Callable

# Seconds until we look at what a child does that has not answered, and between looks once it is
# late. Shares of a processor: below one it does not compute, below the other it lacks some.
_PROMPT, _SLICE = 0.05, 0.25
_IDLE, _STARVED = 0.02, 0.8
_MOST = 4  # times the limit, by the clock on the wall


def answered(poll: select.poll, cpu_ns: Callable[[], int], deadline: float) -> bool:
    """Whether there is an answer by ``deadline`` (of ``time.monotonic``); or later, up to four
    times as long, if the child computes and gets too little of the processor. ``cpu_ns`` tells its
    processor time. One that sleeps is late at the deadline."""
    left = max(0.0, deadline - time.monotonic())
    if poll.poll(min(left, _PROMPT) * 1000):
        return True
    left -= _PROMPT
    start, before = time.monotonic(), cpu_ns()
    wait = left
    while wait > 0:
        if poll.poll(wait * 1000):
            return True
        used, passed = (cpu_ns() - before) * 1e-9, time.monotonic() - start
        starved = _IDLE * passed < used < _STARVED * min(passed, left)
        wait = min(_SLICE, _MOST * left - passed) if starved else 0.0
    return False
