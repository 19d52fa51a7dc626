# SPDX-License-Identifier: Apache-2.0
"""Keeps our own compiling and checking off the machine while finalists are timed.

Another process on the other half of a core slows a kernel without costing it CPU time on any clock.
We cannot silence the neighbors, but we can be quiet ourselves.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Quiet:
    """Many may be busy at once; whoever wants to be alone waits for them and holds off new ones."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._busy = 0
        self._alone = False

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Work that makes noise. Must not ask to be alone inside."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Work that needs silence; one at a time."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._alone = True
            self._changed.wait_for(lambda: self._busy == 0)
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()
