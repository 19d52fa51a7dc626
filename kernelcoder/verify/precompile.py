# SPDX-License-Identifier: Apache-2.0
"""Compiling torch.compile baselines ahead of need, in a process of its own.

The first compile of a process takes about ten seconds and each further one about one. While a
search is still going, a second baseline process compiles the same functions for the same shapes
into the shared compile cache; the timed process then only loads them.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kernelcoder.verify.baselines import BaselineFailed, Baselines

_PATIENCE_SECONDS = 180.0


class Precompiler:
    """A thread with a baseline process. Failures are left for the timed process to tell."""

    def __init__(self, cache: Path, threads: int) -> None:
        self._process = Baselines(cache, threads, nice=5)
        self._jobs: queue.Queue[tuple[str, str, tuple[int, int], Any, Any] | None] = queue.Queue()
        self._done: dict[str, threading.Event] = {}
        self._closing = False
        self._thread: threading.Thread | None = None

    def add(
        self,
        name: str,
        task: str,
        fds: tuple[int, int],
        layout: Sequence[Any],
        scalars: Sequence[Any],
    ) -> None:
        """Queue one region; its descriptors are duplicated, so the caller may close its own."""
        if name in self._done:
            return
        self._done[name] = threading.Event()
        self._jobs.put((name, task, (os.dup(fds[0]), os.dup(fds[1])), layout, scalars))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="precompile", daemon=True)
            self._thread.start()

    def wait(self, name: str) -> None:
        """Block until a queued region is compiled (or given up); at once for an unknown one."""
        if name in self._done:
            self._done[name].wait(_PATIENCE_SECONDS)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            name, task, fds, layout, scalars = job
            try:
                if not self._closing:
                    self._process.map(name, fds, layout, scalars)
                    self._process.prepare(name, task, "compile")
                    self._process.drop(name)
            except BaselineFailed:
                pass  # the timed process meets the same failure and reports it
            finally:
                for fd in fds:
                    os.close(fd)
                self._done[name].set()
        self._process.close()

    def close(self) -> None:
        """Stop: the compile under way is cut short, queued ones are dropped."""
        self._closing = True
        if self._thread is not None:
            self._jobs.put(None)
            self._process.kill()
            self._thread.join()
            self._thread = None
