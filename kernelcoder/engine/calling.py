# SPDX-License-Identifier: Apache-2.0
"""Asking a model until it answers: retries with full-jitter exponential back-off.

A transport failure says nothing about a kernel: it is waited out or ends the run, never a verdict.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from kernelcoder.models import Model, TransportError
from kernelcoder.records import Reply, Request

FIRST_S, LONGEST_S = 1.0, 60.0


class Unreachable(Exception):
    """The model did not answer for all the retries, or never will (wrong key, no recording)."""


class Stopped(Exception):
    """The run is ending; nothing more is to be started."""


class Caller:
    """Asks one model with bounded concurrency. Thread-safe.

    After the first request that stays unanswered the others are not tried again and again:
    ``broken`` keeps its reason and every later ask raises at once."""

    def __init__(
        self,
        model: Model,
        retries: int,
        stop: threading.Event,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        self._model, self._retries, self._stop = model, retries, stop
        self._wait = wait or stop.wait
        self._gate = threading.BoundedSemaphore(max(1, model.concurrency))
        self._jitter = random.Random()  # waiting times only; results never depend on it
        self.broken = ""

    def ask(self, request: Request) -> Reply:
        """The reply. Raises :class:`Unreachable` or :class:`Stopped`."""
        with self._gate:
            for tried in range(self._retries + 1):
                if self._stop.is_set():
                    raise Stopped
                if self.broken:
                    raise Unreachable(self.broken)
                try:
                    return self._model.complete(request)
                except TransportError as problem:
                    if not problem.retryable or tried == self._retries:
                        times = "once" if tried == 0 else f"{tried + 1} times"
                        self.broken = f"{problem} (asked {times})"
                        raise Unreachable(self.broken) from problem
                    delay = self.delay(tried, problem.retry_after_s)
                if self._wait(delay):
                    raise Stopped
        raise AssertionError("the loop above returns or raises")

    def delay(self, tried: int, asked_s: float | None) -> float:
        """Seconds before the next try: uniform in [0, min(60, 2^tried)], at least what the server
        asked for."""
        spread = self._jitter.uniform(0.0, min(LONGEST_S, FIRST_S * 2.0**tried))
        return spread if asked_s is None else asked_s + min(spread, FIRST_S)
