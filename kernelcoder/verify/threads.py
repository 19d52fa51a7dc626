# SPDX-License-Identifier: Apache-2.0
"""What a run of several threads is charged, from the accounts the system keeps per thread.

The sum over threads would make parallel work worthless; the busiest thread alone could be fooled by
passing work from thread to thread. The charge is the largest of

- the CPU time of the busiest thread,
- the CPU time of all threads divided by those allowed, and
- four fifths of the wall time,

but never more than the CPU time of all threads. Work done in series takes as long on the wall as
all its threads together, so hiding it gains at most a quarter, whatever it is divided into. What
threads wait for a processor on a busy machine is in the wall time and stays there: it cannot be
told from outside whether somebody else worked meanwhile, and taking it off let serial work hide. So
parallel kernels are measured well on a quiet machine, and on a busy one charged up to their sum.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

# Waking and joining threads is latency that busy machines stretch: so much of the wall is no news.
WALL_SHARE = 0.8
# thread id -> nanoseconds on a processor
Accounts = Mapping[int, int]


def read(pid: int) -> dict[int, int]:
    """Accounts of all living threads of a process, exact while it stands still (Linux; else {})."""
    found = {}
    for task in Path(f"/proc/{pid}/task").glob("[0-9]*"):
        account = _account(task)
        if account is not None:
            found[int(task.name)] = account
    return found


def _account(task: Path) -> int | None:
    try:
        on = (task / "schedstat").read_text().split()[0]
    except (OSError, IndexError):  # it ended, or the system keeps no such accounts
        return None
    return int(on)


def charge(
    before: Accounts,
    after: Accounts,
    total_ns: int,
    wall_ns: int,
    allowed: int,
) -> int:
    """Nanoseconds charged for a run of ``total_ns`` CPU and ``wall_ns`` wall time between two
    readings. Without accounts, or with one thread allowed, all of ``total_ns``."""
    if allowed <= 1 or not after:
        return total_ns
    spent = [on - before.get(thread, 0) for thread, on in after.items()]
    # Threads that ended take their accounts along; together they did what is missing.
    ended = max(0, total_ns - sum(spent))
    share, wall = -(-total_ns // allowed), int(WALL_SHARE * wall_ns)
    return min(total_ns, max(*spent, -(-ended // allowed), share, wall))


def own() -> dict[int, int]:
    """Accounts of this process."""
    return read(os.getpid())
