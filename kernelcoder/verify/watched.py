# SPDX-License-Identifier: Apache-2.0
"""Program counters of Python candidates while they are timed.

A candidate that is looked at only where it is checked can tell the two apart (by the number of
calls, if by nothing else) and do its own work here and have a library do it there. So some windows
of every timing, drawn at random, are interrupted at random moments. A window that was costs it some
ten microseconds more, which medians over windows do not notice.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
import random
import time
from collections.abc import Callable
from pathlib import Path

from kernelcoder.verify.arena import Unfair
from kernelcoder.verify.child import Child
from kernelcoder.verify.sampling import ANONYMOUS, LIBRARY, Maps, Profile, counters, sample

# Share of the windows looked at, in how many batches; and standard errors that the library's share
# of the samples must be above one half: all of ten, three quarters of forty.
_SHARE, _BATCHES, _ERRORS = 0.5, 2, 3.0
_MOST = 60  # samples after which no more rounds are added
_LOOKS = 4  # at one batch: on a busy machine it may not have begun yet
_KEPT = 64  # programs whose samples are remembered
_SPIN_NS = 500_000  # a wait up to this long is no sleep, from which one wakes late


class Watcher:
    """Adds up, over all windows and processes, the samples of each program. Not thread-safe: timing
    has one lease."""

    def __init__(self, site: Path) -> None:
        self._site = site
        self._rng = random.SystemRandom()
        self._known: dict[Path, Profile] = {}

    def follow(self, program: Path, child: Child) -> None:
        """Watch some batches of each timed window of a child from now on, which raises Unfair if
        the library does the work there. Where the system does not let us look, nothing is found."""
        try:
            counters(child.pid())
        except OSError:  # the system does not let us look
            return
        while len(self._known) >= _KEPT and program not in self._known:
            self._known.pop(next(iter(self._known)))
        found = self._known.setdefault(program, Profile())
        maps = Maps(child.pid())

        def watch() -> None:
            before = found.count
            for _ in range(_LOOKS):
                _wait(self._rng.uniform(0.0, child.batch_ns))
                look = functools.partial(sample, child, maps, self._site, found)
                if not child.glimpse(look) or found.count > before:
                    break
            if problem := verdict(found):
                raise Unfair(problem, "cheating")

        child.observer = lambda batches: self._window(batches, child, watch)
        child.unsure = lambda: found.count < _MOST and abs(_foreign(found) - 0.5) <= _doubt(found)

    def _window(
        self, batches: int, child: Child, watch: Callable[[], None]
    ) -> tuple[Callable[[], None], Callable[[], None]]:
        """What to call before and after the start of each batch of one window."""
        watched = self._rng.random() < _SHARE
        chosen = self._rng.sample(range(batches), min(batches, _BATCHES)) if watched else []
        numbers = itertools.count()
        home: set[int] = set()

        def before() -> None:
            if next(numbers) in chosen:
                home.update(_step_aside(child.pid()))

        def after() -> None:
            if not home:
                return
            try:
                watch()
            finally:
                os.sched_setaffinity(0, home)
                home.clear()

        return before, after


def _step_aside(pid: int) -> set[int]:
    """Leaves the processors of a child, where we could not run while it does; where we were."""
    home = os.sched_getaffinity(0)
    others = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(pid)
    with contextlib.suppress(OSError):  # there is no other that we may use
        os.sched_setaffinity(0, others)
    return home


def _wait(nanoseconds: float) -> None:
    end = time.perf_counter_ns() + nanoseconds
    if nanoseconds > _SPIN_NS:
        time.sleep((nanoseconds - _SPIN_NS / 2) * 1e-9)
    while time.perf_counter_ns() < end:
        pass


def _foreign(found: Profile) -> float:
    """The share of the library's code, and of what belongs to no file."""
    return found.share(LIBRARY) + found.share(ANONYMOUS)


def _doubt(found: Profile) -> float:
    """How far a share has to be from one half to be told from it."""
    return _ERRORS * 0.5 / math.sqrt(max(1, found.computing))


def verdict(found: Profile) -> str:
    """Why a profile of timed windows is not that of a kernel; "" if nothing can be said."""
    share = _foreign(found)
    if share - 0.5 <= _doubt(found):
        return ""
    files = [(n, file) for (kind, file), n in found.files.items() if kind in (LIBRARY, ANONYMOUS)]
    return (
        f"the library does the work while it is timed: {100 * share:.0f} % of {found.computing}"
        f" samples, most in {max(files)[1]}"
    )
