# SPDX-License-Identifier: Apache-2.0
"""On which processors a timing runs, and before whom.

A process that moves between processors finds the cache of the new one empty. Left to the scheduler,
identical kernels differ by 5-9 % per block of rounds; kept in place, by less than half of that. One
that is interrupted by others finds less of its data again, so whoever is timed goes first where
the system lets us say so (real-time priority needs root).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

# Real-time priorities. The judge must be able to interrupt a kernel that never returns.
_TIMED, _JUDGE = 1, 2


def allowed() -> tuple[int, ...]:
    """The processors this process may use, in order; empty where the system does not say."""
    usable = getattr(os, "sched_getaffinity", None)
    return tuple(sorted(usable(0))) if usable else ()


class Places:
    """Hands out processors: all contestants of a timing and the judge share one set of ``threads``
    neighbors, another one each time. Where there is only one such set nobody is bound."""

    def __init__(self, threads: int, cores: tuple[int, ...] | None = None) -> None:
        self._cores = allowed() if cores is None else cores
        fits = set(self._cores)
        # A set of neighbors is what a child's limits can say: first, first + 1, ...
        self._firsts = [
            core
            for core in self._cores
            if len(self._cores) > threads and all(core + i in fits for i in range(threads))
        ]
        self._threads, self._turn = threads, 0

    def next(self) -> int:
        """The first processor of the next set, -1 for none."""
        if not self._firsts:
            return -1
        self._turn += 1
        return self._firsts[self._turn % len(self._firsts)]

    def members(self, first: int) -> set[int]:
        """The set that starts at ``first``; all processors for -1."""
        return set(self._cores) if first < 0 else {first + i for i in range(self._threads)}

    @contextlib.contextmanager
    def judge_there(self, first: int) -> Iterator[None]:
        """Keeps the calling thread on the set that starts at ``first``: what it writes then comes
        from the caches of the processor that reads it. From another processor's it took two to
        three times as long, and scattered with everything else that moved."""
        if first < 0:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.members(first))
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    @contextlib.contextmanager
    def first_of_all(self, pids: Sequence[int]) -> Iterator[None]:
        """Real-time priority for all threads of these processes and for the calling thread, so that
        the rest of the machine waits while they run; without the right to it nothing changes.

        None of them runs for long: the judge waits for each in turn and kills what exceeds its
        time, and the system keeps a twentieth of every second for everybody else."""
        if not hasattr(os, "sched_setscheduler"):
            yield
            return
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        raised = [tid for pid in pids for tid in _threads(pid)]
        for tid in raised:
            _schedule(tid, os.SCHED_FIFO, os.sched_param(_TIMED))
        _schedule(0, os.SCHED_FIFO, os.sched_param(_JUDGE))
        try:
            yield
        finally:
            for tid in (0, *raised):
                _schedule(tid, *before)

    def bind(self, pid: int, first: int) -> None:
        """Binds every thread of a process of ours; one that has ended is none of our concern."""
        if not self._cores:
            return
        for tid in _threads(pid):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(tid, self.members(first))


def _threads(pid: int) -> list[int]:
    return [int(task.name) for task in Path(f"/proc/{pid}/task").glob("[0-9]*")]


def _schedule(tid: int, policy: int, priority: os.sched_param) -> None:
    """Changes one thread (0: the caller's); one that has ended, or no right to it, is ignored."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(tid, policy, priority)
