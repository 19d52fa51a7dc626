# SPDX-License-Identifier: Apache-2.0
"""A model whose provider fails on purpose: seeded faults at a rate, for testing what lies above.

Every call of a request draws its fate from the plan's seed, the request and how often that request
was asked before, so the same faults hit the same requests whatever the threads do. Faults are what
providers really do:

- ``429`` and ``503``: refused, with and without a time to wait;
- ``timeout``: nothing comes;
- ``slow``: the reply comes late, and is right;
- ``truncated`` and ``malformed``: a body that breaks off, a body that is no JSON;
- ``wrong_model``: another model answers, with another text;
- ``duplicate``: the reply to an earlier request comes again.

Everything but ``slow`` has to be noticed by whoever asks; none may become an attempt.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kernelcoder.errors import Error
from kernelcoder.history import random_key, rng_of
from kernelcoder.models import Model, TransportError, openai_wire
from kernelcoder.records import Reply, Request

FAULTS = (
    "429",
    "503",
    "timeout",
    "slow",
    "truncated",
    "malformed",
    "wrong_model",
    "duplicate",
)
IMPOSTOR = "chaos/impostor"


@dataclass(frozen=True, slots=True)
class Plan:
    """``percent`` of calls fail, each in one of ``faults`` with equal chances; ``delay_s`` is how
    long a slow reply and a time-out take."""

    percent: int
    seed: int
    faults: tuple[str, ...]
    delay_s: float

    def fault(self, request: str, call: int) -> str:
        """The fault of the ``call``-th call (from 0) of a request digest, "" for none."""
        rng = rng_of(random_key(self.seed, "chaos", request, call))
        return rng.choice(self.faults) if rng.random() * 100 < self.percent else ""


def faults_of(text: str) -> tuple[str, ...]:
    """The faults a comma list names, ``all`` being all. An :class:`Error` names unknown ones."""
    named = tuple(part.strip() for part in text.split(",") if part.strip())
    if named == ("all",):
        return FAULTS
    if unknown := [one for one in named if one not in FAULTS] or ([""] if not named else []):
        fix = f"a comma list of {', '.join(FAULTS)}; or all"
        raise Error(f"no such fault: {', '.join(unknown) or '(none named)'}", "faults", fix)
    return named


class Chaos:
    """``model`` behind a failing provider. ``struck`` counts the faults. Thread-safe."""

    def __init__(
        self, model: Model, plan: Plan, sleep: Callable[[float], Any] = time.sleep
    ) -> None:
        self.concurrency = model.concurrency
        self.answers_for: str = getattr(model, "answers_for", "")
        self.struck: Counter[str] = Counter()
        self._model, self._plan, self._sleep = model, plan, sleep
        self._calls: Counter[str] = Counter()
        self._last: tuple[str, Reply] | None = None
        self._guard = threading.Lock()

    def complete(self, request: Request) -> Reply:
        """The model's reply, or what becomes of it."""
        digest = request.digest
        with self._guard:
            fault = self._plan.fault(digest, self._calls[digest])
            self._calls[digest] += 1
            earlier = self._last
            if fault == "duplicate" and (earlier is None or earlier[0] == digest):
                fault = "503"  # there is nothing yet that could come again
            if fault:
                self.struck[fault] += 1
        if fault in ("429", "503", "timeout"):
            self._refuse(fault)
        if fault == "duplicate" and earlier is not None:
            return earlier[1]
        reply = self._model.complete(request)
        if fault == "slow":
            self._sleep(self._plan.delay_s)
        elif fault == "wrong_model":
            text = "```\nnot what was asked for\n```"
            return dataclasses.replace(reply, text=text, served=IMPOSTOR, id="")
        elif fault in ("truncated", "malformed"):
            openai_wire.parse(broken(fault, json.dumps({"text": reply.text}).encode()))
        # Local models do not number their answers; a duplicate is told by its number.
        reply = reply if reply.id else dataclasses.replace(reply, id=f"chaos-{digest[:32]}")
        with self._guard:
            self._last = (digest, reply)
        return reply

    def close(self) -> None:
        """End the model."""
        self._model.close()

    def _refuse(self, fault: str) -> None:
        if fault == "timeout":
            self._sleep(self._plan.delay_s)
            raise TransportError("no reply in time (injected)", retryable=True)
        wait = self._plan.delay_s if fault == "429" else None
        raise TransportError(f"HTTP {fault} (injected)", retryable=True, retry_after_s=wait)


def broken(fault: str, body: bytes) -> bytes:
    """A body that breaks off half way (``truncated``) or is no JSON (``malformed``)."""
    return body[: len(body) // 2] if fault == "truncated" else b"<html>" + body
