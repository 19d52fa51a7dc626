# SPDX-License-Identifier: Apache-2.0
"""On which processors a timing runs.

A process that moves between processors finds the cache of the new one empty. Left to the scheduler,
identical kernels differ by 5-9 % per block of rounds; kept in place, by less than half of that.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def allowed() -> tuple[int, ...]:
    """The processors this process may use, in order; empty where the system does not say."""
    usable = getattr(os, "sched_getaffinity", None)
    return tuple(sorted(usable(0))) if usable else ()


class Places:
    """Hands out processors: all contestants of a timing share one set of ``threads`` neighbors,
    another one each time, and the judge keeps off them. With fewer than ``threads`` + 1 processors
    nobody is bound."""

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
    def judge_elsewhere(self, first: int) -> Iterator[None]:
        """Keeps the calling thread off the set that starts at ``first``: what it writes then always
        comes from another processor's cache, as the regime ``hot`` says."""
        if first < 0:
            yield
            return
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, set(self._cores) - self.members(first))
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)

    def bind(self, pid: int, first: int) -> None:
        """Binds every thread of a process of ours; one that has ended is none of our concern."""
        if not self._cores:
            return
        for task in Path(f"/proc/{pid}/task").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task.name), self.members(first))
