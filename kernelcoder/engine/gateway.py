# SPDX-License-Identifier: Apache-2.0
"""Models behind one door: routed by name, recorded, within a budget, over the lines of the plane.

A request that names a ``seed`` is the same question whenever it is asked, and answered from the
recordings once it was answered; without a seed every request is a new sample. Only what is paid
counts against the caps: a recorded reply costs nothing again.
"""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernelcoder.budget import Account, Amount
from kernelcoder.engine.calling import REFUSED, Caller, Unreachable
from kernelcoder.history import random_key
from kernelcoder.models.plane.failures import Lost
from kernelcoder.recordings import Recordings
from kernelcoder.records import Message, Reply, Request, Sampling, Usage

_ROLES = ("system", "developer", "user", "assistant")
_CHARACTERS_A_TOKEN = 4


class Refused(Exception):
    """A request that gets no reply: HTTP ``status``, ``code`` for programs, a sentence."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code = status, code


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply, to which request, and whether it was recorded before."""

    request: Request
    reply: Reply
    replayed: bool


class Gateway:
    """``callers`` by model id, ``names`` what clients call them (a member's name or its id).
    Thread-safe."""

    def __init__(
        self,
        callers: Mapping[str, Caller],
        names: Mapping[str, str],
        recordings: Recordings,
        account: Account,
        max_tokens: int,
    ) -> None:
        self._callers, self.names, self._recordings = callers, dict(names), recordings
        self._account, self._max_tokens = account, max_tokens
        self._guard = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def note(self, lost: Lost) -> None:
        """Count a call of a model whose reply could not be used."""
        with self._guard:
            self.lost[lost.why] += 1

    def status(self) -> dict[str, Any]:
        """What was asked, answered and spent since the start, as JSON data."""
        spent = self._account.spent
        with self._guard:
            return {
                "models": self.names,
                **{name: self.counts[name] for name in ("asked", "replayed", "refused")},
                "lost": dict(self.lost),
                "tokens": spent.tokens,
                "usd": spent.usd,
            }

    def request(self, body: Mapping[str, Any]) -> Request:
        """The request in the body of a chat completion. Raises :class:`Refused`."""
        model = self.names.get(str(body.get("model")))
        if model is None:
            known = ", ".join(sorted(self.names))
            raise Refused(404, "model_not_found", f"no model {body.get('model')!r}; {known}")
        try:
            messages = tuple(_message(one) for one in body["messages"])
            limit = body.get("max_completion_tokens") or body.get("max_tokens") or self._max_tokens
            warmth = 1.0 if body.get("temperature") is None else float(body["temperature"])
            seed = body.get("seed")
            drawn = secrets.token_hex(16) if seed is None else int(seed)
            sampling = Sampling(warmth, int(limit), 0 if seed is None else int(seed))
            more = dict(body.get("metadata") or {})
        except (KeyError, TypeError, ValueError) as problem:
            raise Refused(400, "invalid_request", f"cannot be read: {problem!r}") from None
        if not messages or sampling.max_tokens < 1:
            raise Refused(400, "invalid_request", "no messages, or no token to answer with")
        key = random_key("gateway", drawn)
        task, role = str(more.get("task", "")), str(more.get("role", "draft"))
        return Request(model, messages, sampling, key, task, role)

    def answer(self, request: Request) -> Answered:
        """The reply. Raises :class:`Refused` where the budget, the provider or the request say no,
        and ``Stopped`` at the end of the run."""
        self._count("asked")
        if (known := self._recordings.lookup(request.digest)) is not None:
            self._count("replayed")
            return self._whole(Answered(request, known, True))
        held = self._account.reserve(Amount(1, _most(request)))
        if isinstance(held, str):
            self._count("refused")
            raise Refused(429, "insufficient_quota", f"the gateway's budget is spent: {held}")
        caller, spent = self._callers[request.model], False
        try:
            reply, replayed = self._recordings.get(request, caller.ask)
            if not replayed:
                self._account.commit(held, Amount(1, _tokens(reply.usage), reply.usage.cost_usd))
                spent = True
        except Unreachable as problem:
            caller.broken = ""  # whoever asks next may find it back
            raise Refused(502, "unreachable", str(problem)) from None
        finally:
            if not spent:
                self._account.refund(held)
        return self._whole(Answered(request, reply, replayed))

    def _whole(self, answered: Answered) -> Answered:
        if answered.reply.finish == REFUSED:
            raise Refused(400, "content_filter", answered.reply.text)
        return answered

    def _count(self, what: str) -> None:
        with self._guard:
            self.counts[what] += 1


def _message(data: Mapping[str, Any]) -> Message:
    role, content = str(data["role"]), data["content"]
    if role not in _ROLES:
        raise ValueError(f"the role {role!r}")
    if not isinstance(content, str):  # parts of text; pictures are nothing for a kernel
        content = "".join(part["text"] for part in content)
    role = "system" if role == "developer" else role
    return Message(role, content)  # type: ignore[arg-type]


def _most(request: Request) -> int:
    prompt = sum(len(one.content) for one in request.messages)
    return prompt // _CHARACTERS_A_TOKEN + request.sampling.max_tokens


def _tokens(usage: Usage) -> int | None:
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens + usage.output_tokens
