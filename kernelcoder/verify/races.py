# SPDX-License-Identifier: Apache-2.0
"""Repeats under other schedules, for kernels that may use threads.

A race shows when threads really run at the same time, or when one is interrupted between reading
and writing. So the hidden cases are run again: with all threads on one processor, where they can
only interrupt each other, and spread over all, several times. That finds races by chance, not by
proof: what never happened in any of the runs is not seen.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

RUNS = 4


def schedule(pid: int, turn: int) -> bool:
    """Put all threads of a frozen process on one processor (odd turns) or on all we may use; False
    where the system does not let us."""
    usable = getattr(os, "sched_getaffinity", None)
    if usable is None:
        return False
    cores = sorted(usable(0))
    chosen = {cores[turn // 2 % len(cores)]} if turn % 2 else set(cores)
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), chosen)
    except OSError:
        return False
    return True
