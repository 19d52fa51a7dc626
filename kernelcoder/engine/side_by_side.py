# SPDX-License-Identifier: Apache-2.0
"""Tasks of a cell side by side, and the ways in which they are told to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from kernelcoder.engine.calling import Stopped, Unreachable


def stopping(stop: threading.Event) -> Callable[[], None]:
    """Raises ``Stopped`` once the event is set."""

    def check() -> None:
        if stop.is_set():
            raise Stopped

    return check


class Either(threading.Event):
    """Set when either of two events is: the whole run's, or the cell's own."""

    def __init__(self, run: threading.Event, cell: threading.Event) -> None:
        super().__init__()
        self._both = (run, cell)

    def is_set(self) -> bool:
        return any(one.is_set() for one in self._both)

    def wait(self, timeout: float | None = None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            left = 0.2 if end is None else min(0.2, end - time.monotonic())
            if left <= 0:
                break
            self._both[0].wait(left)
        return self.is_set()


def deadline(minutes: int, stop: threading.Event) -> threading.Timer:
    """Sets ``stop`` after so many minutes of this session; 0 is never."""
    timer = threading.Timer(minutes * 60, stop.set)
    timer.daemon = True
    if minutes:
        timer.start()
    return timer


def in_pool(
    one: Callable[[str], None],
    names: Sequence[str],
    workers: int,
    run_stop: threading.Event,
    cell_stop: threading.Event,
) -> None:
    """Run all names; the first exception stops the rest of the cell and is raised. Ctrl-C stops the
    whole run; either way everything under way is finished and recorded before this returns."""
    pool = ThreadPoolExecutor(max(1, workers), "task")
    futures: list[Future[None]] = [pool.submit(one, name) for name in names]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
    except KeyboardInterrupt:
        run_stop.set()
        raise
    finally:
        if any(
            future.done() and not future.cancelled() and future.exception() for future in futures
        ):
            cell_stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    errors = [future.exception() for future in futures if not future.cancelled()]
    for kind in (Exception, Unreachable, Stopped):  # the cause before its consequences
        for error in errors:
            secondary = isinstance(error, (Unreachable, Stopped)) and kind is Exception
            if isinstance(error, kind) and not secondary:
                raise error
