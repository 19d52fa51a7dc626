# SPDX-License-Identifier: Apache-2.0
"""A circuit breaker: after failures in a row nobody asks for a while, then one asks for all.

Closed lets everybody through. After ``failures`` in a row it opens: nobody is sent for
``pause_s``. Then it is half open: one caller is let through, and its answer closes the breaker or
opens it for another pause. Source: Nygard, Release It!, 2007.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

POLL_S = 1.0  # how long to wait for the one that probes


class Breaker:
    """One provider's breaker; ``failures`` 0 never opens. Thread-safe. ``clock`` gives seconds."""

    def __init__(
        self,
        failures: int = 0,
        pause_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures, self._pause_s, self._clock = failures, pause_s, clock
        self._row, self._until, self._probing = 0, 0.0, False
        self._guard = threading.Lock()

    def wait_s(self) -> float:
        """0 lets the caller through (who must then report ``good`` or ``bad``); else the seconds
        after which to ask again."""
        with self._guard:
            if not self._open():
                return 0.0
            left = self._until - self._clock()
            if left > 0:
                return left
            if self._probing:
                return POLL_S
            self._probing = True
            return 0.0

    def good(self) -> None:
        """The provider answered."""
        with self._guard:
            self._row, self._probing = 0, False

    def bad(self) -> None:
        """The provider did not answer."""
        with self._guard:
            self._row += 1
            self._probing = False
            if self._open():
                self._until = self._clock() + self._pause_s

    def _open(self) -> bool:
        return bool(self._failures) and self._row >= self._failures
