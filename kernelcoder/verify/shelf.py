# SPDX-License-Identifier: Apache-2.0
"""A folder of compiled objects that does not grow for ever: the least recently used go first.

Several processes may share one. Nothing locks: a file that was used a little while ago is never
removed, so whoever has just looked one up still finds it; and if not (a clock was set), it is
compiled again.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

LIMIT = 1 << 30  # bytes; an object has 16 to 40 KB
_KEEP = 0.8  # of the limit, after clearing out
_RECENT = 900.0  # seconds within which a file counts as in use
_NOTED = 300.0  # a use is noted if the last one noted is older than this
_EVERY = 256  # additions from one look at the folder to the next


class Shelf:
    """``folder`` and everything below it, at most ``limit`` bytes but for what is in use and what
    is added between two looks. Thread-safe."""

    def __init__(self, folder: Path, limit: int = LIMIT, recent: float = _RECENT) -> None:
        self._folder, self._limit, self._recent = folder, limit, recent
        self._lock = threading.Lock()
        self._added = _EVERY - 1  # so that the first addition looks

    def has(self, path: Path) -> bool:
        """Whether a file is there; if so, it counts as used now."""
        try:
            last = path.stat().st_mtime
        except OSError:
            return False
        now = time.time()
        if not now - _NOTED < last <= now:
            with contextlib.suppress(OSError):
                os.utime(path)
        return True

    def added(self) -> None:
        """After each addition: looks now and then, and clears out if it has become too much."""
        with self._lock:
            self._added += 1
            due = self._added >= _EVERY
            self._added = 0 if due else self._added
        if due:
            self.clear_out()

    def clear_out(self) -> int:
        """Removes the files used longest ago until what remains is well below the limit; returns
        how many."""
        files, total = [], 0
        for path in self._folder.rglob("*"):
            with contextlib.suppress(OSError):
                info = path.stat()
                if path.is_file():
                    files.append((info.st_mtime, info.st_size, path))
                    total += info.st_size
        if total <= self._limit:
            return 0
        removed, oldest_kept = 0, time.time() - self._recent
        for used, size, path in sorted(files):
            if total <= self._limit * _KEEP or used > oldest_kept:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                removed += 1
            total -= size
        return removed
