# SPDX-License-Identifier: Apache-2.0
"""Limits that are kept by looking: for what the system has no limit of its own.

Address space limits miss memory files and add nothing up over processes; macOS keeps none at all.
File size limits say nothing about the number of files. So somebody outside looks, often, and kills.
What can be used between two looks is not bounded; how far a limit was overrun is a matter of speed.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.verify import leftovers

INTERVAL = 0.02  # seconds between looks: at 10 GB/s this overruns by 200 MB


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder may hold: ``files`` entries of any kind and ``bytes`` of allocated blocks."""

    files: int
    bytes: int

    def exceeded(self, path: Path) -> str:
        """What is too much, "" if nothing. Looks at plain entries only: the sandbox lets nobody
        make folders, and one that stands there all the same is too much in itself."""
        count = size = 0
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    count += 1
                    if count > self.files:
                        return f"it made more than {self.files} files"
                    info = entry.stat(follow_symlinks=False)
                    if not stat.S_ISREG(info.st_mode):
                        return "it made something that is not a file"
                    size += info.st_blocks * 512
        except FileNotFoundError:
            return ""  # an entry that went while we looked: the next look sees the rest
        return f"its files exceed {self.bytes >> 20} MiB" if size > self.bytes else ""


def over_processes(slot: int, limit: int) -> Watchdog:
    """Kills everything below a process once it has more than ``limit`` resident bytes together.
    Ends by itself when nothing is below any more."""

    def read() -> int | None:
        return leftovers.resident_bytes(leftovers.descendants(slot)) or None

    return Watchdog(read, limit, lambda: _bite(slot))


def _bite(slot: int) -> None:
    leftovers.kill_below(slot)


class Watchdog:
    """Calls ``bite`` once if ``read()`` (bytes in use; None once there is nothing left to read)
    exceeds ``limit``, looking every ``interval`` seconds from a thread of its own."""

    def __init__(
        self,
        read: Callable[[], int | None],
        limit: int,
        bite: Callable[[], None],
        interval: float = INTERVAL,
    ) -> None:
        self._read, self._limit, self._bite, self._interval = read, limit, bite, interval
        self._over = threading.Event()
        self.bitten = False
        self.peak = 0
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.is_set():
            used = self._read()
            if used is None:
                return
            self.peak = max(self.peak, used)
            if used > self._limit:
                self.bitten = True
                self._bite()
                return
            self._over.wait(self._interval)

    def close(self) -> None:
        """Stops looking; returns when the thread has ended."""
        self._over.set()
        self._thread.join()

    def __enter__(self) -> Watchdog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
