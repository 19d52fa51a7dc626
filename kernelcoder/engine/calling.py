# SPDX-License-Identifier: Apache-2.0
"""Asking a model until it answers: retries with full-jitter exponential back-off.

A transport failure says nothing about a kernel: it is waited out or ends the run, never a verdict.
What a provider is owed (limits, pauses) and which replies count is its line's
(``kernelcoder/models/plane``).
"""

from __future__ import annotations

import dataclasses
import random
import threading
from collections.abc import Callable, Mapping

from kernelcoder.models import Model, TransportError
from kernelcoder.models.plane.failures import Kind, Lost
from kernelcoder.models.plane.lines import Line
from kernelcoder.records import Reply, Request

FIRST_S, LONGEST_S = 1.0, 60.0
REFUSED = "refused"  # how a reply ends that says why the provider would not take the request


class Unreachable(Exception):
    """The model did not answer for all the retries, or never will (wrong key, no recording)."""


class Stopped(Exception):
    """The run is ending; nothing more is to be started."""


class Caller:
    """Asks one model with bounded concurrency, and those in ``others`` (by the model id of a
    request) through callers of their own. Thread-safe.

    After the first request that stays unanswered the others are not tried again and again:
    ``broken`` keeps its reason and every later ask raises at once. Every call whose reply cannot
    be used is told to the line's ``note``."""

    def __init__(
        self,
        model: Model,
        retries: int,
        stop: threading.Event,
        wait: Callable[[float], bool] | None = None,
        others: Mapping[str, Caller] | None = None,
        line: Line | None = None,
    ) -> None:
        self._others, self._line = others or {}, line or Line()
        self._model, self._retries, self._stop = self._line.model(model), retries, stop
        self._asked = str(getattr(model, "answers_for", ""))  # replies of another are played back
        self._wait = wait or stop.wait
        self._gate = threading.BoundedSemaphore(max(1, model.concurrency))
        self._jitter = random.Random()  # waiting times only; results never depend on it
        self.broken = ""

    def ask(self, request: Request) -> Reply:
        """The reply, one that was cut off at its limit asked for once more where the line says so.
        Raises :class:`Unreachable` or :class:`Stopped`."""
        if request.model in self._others:
            return self._others[request.model].ask(request)
        with self._gate:
            reply = self._answered(request)
            if reply.finish != "length" or not self._line.times:
                return reply
            limit = request.sampling.max_tokens * self._line.times
            self._lost(request, "truncated", f"cut off; asked again with {limit} tokens", reply)
            sampling = dataclasses.replace(request.sampling, max_tokens=limit)
            again = self._answered(dataclasses.replace(request, sampling=sampling))
            # Both are charged to the attempt, whichever holds the kernel.
            return dataclasses.replace(again, usage=reply.usage + again.usage)

    def _answered(self, request: Request) -> Reply:
        """The first reply that counts."""
        for tried in range(self._retries + 1):
            self._admitted(request)
            try:
                reply = self._model.complete(request)
                self._line.inbox.check(self._asked or request.model, request, reply)
            except TransportError as problem:
                if problem.refused:
                    self._line.breaker.good()
                    return Reply(str(problem), REFUSED, problem.usage, "", 0.0)
                self._failed(request, problem, tried)
                delay = self.delay(tried, problem.retry_after_s)
            else:
                self._line.breaker.good()
                self._line.limits.settle(request, _tokens(reply))
                return reply
            if self._wait(delay):
                raise Stopped
        raise AssertionError("the loop above returns or raises")

    def _admitted(self, request: Request) -> None:
        """Wait until the request may be sent."""
        self._check()
        while (pause := self._line.breaker.wait_s()) > 0:
            self._pause(pause)
        if (pause := self._line.limits.enter(request)) > 0:
            self._pause(pause)

    def _pause(self, seconds: float) -> None:
        if self._wait(seconds):
            raise Stopped
        self._check()

    def _check(self) -> None:
        if self._stop.is_set():
            raise Stopped
        if self.broken:
            raise Unreachable(self.broken)

    def _failed(self, request: Request, problem: TransportError, tried: int) -> None:
        """Note a call that failed; raises :class:`Unreachable` where it was the last."""
        self._line.breaker.bad()
        kind: Kind = "transient" if problem.retryable else "permanent"
        lost = Lost(request.model, request.task, request.digest, kind, str(problem), problem.usage)
        self._line.note(lost)
        if not problem.retryable or tried == self._retries:
            times = "once" if tried == 0 else f"{tried + 1} times"
            self.broken = f"{problem} (asked {times})"
            raise Unreachable(self.broken) from problem

    def _lost(self, request: Request, kind: Kind, why: str, reply: Reply) -> None:
        digest = request.digest
        lost = Lost(request.model, request.task, digest, kind, why, reply.usage, charged=True)
        self._line.note(lost)

    def delay(self, tried: int, asked_s: float | None) -> float:
        """Seconds before the next try: uniform in [0, min(60, 2^tried)], at least what the server
        asked for."""
        spread = self._jitter.uniform(0.0, min(LONGEST_S, FIRST_S * 2.0**tried))
        return spread if asked_s is None else asked_s + min(spread, FIRST_S)


def _tokens(reply: Reply) -> int | None:
    sent, made = reply.usage.input_tokens, reply.usage.output_tokens
    return None if sent is None or made is None else sent + made
