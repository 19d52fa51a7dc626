# SPDX-License-Identifier: Apache-2.0
"""Token buckets: so many requests and so many tokens a minute, for all that ask one provider.

A bucket holds at most one minute's worth and fills evenly. What is taken may exceed what is there:
the debt is the time to wait, so that callers are let through in the order in which they came.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kernelcoder.records import Request

_CHARACTERS_A_TOKEN = 4  # of English and code; too few are put right by settle()


class Bucket:
    """``per_minute`` units; 0 is no limit. Thread-safe. ``clock`` gives seconds."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._most, self._clock = per_minute / 60.0, float(per_minute), clock
        self._there, self._seen = self._most, clock()
        self._guard = threading.Lock()

    def take(self, units: float) -> float:
        """Take ``units`` (negative gives back); the seconds to wait before they may be used."""
        if not self._most:
            return 0.0
        with self._guard:
            now = self._clock()
            self._there = min(self._most, self._there + (now - self._seen) * self._rate)
            self._seen = now
            self._there = min(self._most, self._there - units)
            return max(0.0, -self._there / self._rate)


class Limits:
    """The limits of one provider."""

    def __init__(
        self, requests: int = 0, tokens: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._requests, self._tokens = Bucket(requests, clock), Bucket(tokens, clock)

    def enter(self, request: Request) -> float:
        """Book a request with all the tokens it may take; the seconds to wait before it is sent."""
        return max(self._requests.take(1), self._tokens.take(_estimate(request)))

    def settle(self, request: Request, tokens: int | None) -> None:
        """Put the estimate right once the server said how many tokens it was."""
        if tokens is not None:
            self._tokens.take(tokens - _estimate(request))


def _estimate(request: Request) -> int:
    prompt = sum(len(message.content) for message in request.messages)
    return prompt // _CHARACTERS_A_TOKEN + request.sampling.max_tokens
