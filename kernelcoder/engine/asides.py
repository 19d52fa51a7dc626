# SPDX-License-Identifier: Apache-2.0
"""The recorded outside of one attempt or of one lesson: :class:`kernelcoder.io.IO` on a ledger.

Each thing done is a ``step`` event. When a run is resumed the recorded steps answer first, in
their order; one that would now be another raises :class:`~kernelcoder.engine.asking.Diverged`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kernelcoder import ledger as ledgers
from kernelcoder.budget import stage_seconds
from kernelcoder.engine.asking import Diverged, Setting, model_of
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.routing import answer
from kernelcoder.errors import Problem
from kernelcoder.history import random_key, rng_of
from kernelcoder.ledger import Ledger
from kernelcoder.records import (
    Candidate,
    Message,
    Request,
    Sampling,
    Usage,
    Verdict,
    from_json,
    to_json,
)
from kernelcoder.task import Task


class Asides:
    """The steps of one owner: an attempt (``ordinal``) of a task, or what is learnt from it.

    ``key`` is the owner's random key, ``recorded`` its steps so far as the ledger has them;
    ``ask`` answers a request, ``known`` are the tasks learnt from before. Not thread-safe: an owner
    takes one step at a time. Passes on whatever ``ask`` raises (``Unreachable``, ``Stopped``)."""

    def __init__(
        self,
        setting: Setting,
        ledger: Ledger,
        caller: Caller,
        task: Task,
        ordinal: int | None,
        key: str,
        recorded: Sequence[Mapping[str, Any]],
        check: Callable[[], None] = lambda: None,
        arm: str = "",
        known: Mapping[str, Task] | None = None,
    ) -> None:
        self._arm, self._known = arm, known or {}
        self._setting, self._ledger, self._caller = setting, ledger, caller
        self._task, self._ordinal, self._key = task, ordinal, key
        self._recorded, self._check = list(recorded), check
        self._next = 0
        self.steps: list[Mapping[str, Any]] = []

    def ask(
        self,
        purpose: str,
        messages: Sequence[Message],
        *,
        temperature: float = 0.7,
        max_tokens: int = 1024,
        data: Mapping[str, Any] | None = None,
        shared: str = "",
    ) -> str:
        """The model's text; see :class:`kernelcoder.io.IO`."""
        own = (self._key, purpose, self._next)
        key = random_key(shared) if shared else random_key(*own)
        request = Request(
            model=model_of(self._setting, self._arm),
            messages=tuple(messages),
            sampling=Sampling(temperature, max_tokens, int(key[:8], 16) & 0x7FFFFFFF),
            key=key,
            task=self._task.id,
            role=purpose,
            recipe=dict(data or {}),
        )
        found = self._earlier("ask", "request", request.digest)
        if found is None:
            self._check()
            reply, replayed, said = answer(self._setting, self._caller, self._arm, request)
            prompt = json.dumps(to_json(request.messages), indent=1)
            found = self._write(
                "ask",
                purpose,
                {
                    "prompt": self._ledger.blob(prompt),
                    "request": request.digest,
                    "reply": self._ledger.blob(reply.text),
                    "sent": self._ledger.blob(reply.sent),
                    "served": reply.served,
                    "finish": reply.finish,
                    "usage": to_json(reply.usage),
                    "latency_s": reply.latency_s,
                    "replayed": replayed,
                    **said,
                },
            )
        return ledgers.read_blob(self._ledger.dir, found["reply"])

    def verify(self, task: Task, source: str, fresh: str = "") -> Verdict:
        """The verdict on a source; see :class:`kernelcoder.io.IO`."""
        setting = self._setting
        candidate = Candidate(source, setting.backend_module.LANGUAGE, setting.backend)
        found = self._earlier("verify", "candidate", candidate.sha)
        if found is None:
            self._check()
            key = random_key(setting.holdout_key, task.id, *([fresh] if fresh else []))
            verdict = setting.verifier.verify(task, candidate, key, timing=setting.timing)
            found = self._write(
                "verify",
                "verify",
                {
                    "task": task.id,
                    **({"fresh": fresh} if fresh else {}),
                    "candidate": candidate.sha,
                    "source": self._ledger.blob(source),
                    "verdict": to_json(verdict) | {"log": self._ledger.blob(verdict.log)},
                    "seconds": stage_seconds(verdict.seconds),
                },
            )
        return ledgers.verdict_of(self._ledger.dir, found)

    def task(self, name: str) -> Task | None:
        """A task by its id; see :class:`kernelcoder.io.IO`."""
        return self._task if name == self._task.id else self._known.get(name)

    def rng(self, purpose: str) -> random.Random:
        """The generator of a purpose; see :class:`kernelcoder.io.IO`."""
        return rng_of(random_key(self._key, purpose, "rng"))

    @property
    def usage(self) -> Usage:
        """What all steps so far used, recorded ones included."""
        spent = [from_json(Usage, one["usage"]) for one in self.steps if one["what"] == "ask"]
        return sum(spent, Usage(0, 0, 0, 0, 0.0))

    def _earlier(self, what: str, name: str, value: str) -> Mapping[str, Any] | None:
        """The recorded step in this place, None beyond them; another step than then diverges."""
        if self._next >= len(self._recorded):
            return None
        found = self._recorded[self._next]
        if found["what"] != what or found.get(name) != value:
            at = "" if self._ordinal is None else f" ordinal {self._ordinal}"
            where = f"{self._ledger.dir.name} {self._task.id}{at} step {self._next}"
            then = f"recorded {found['what']} {found['purpose']} {found.get(name)!r}"
            raise Diverged(where, [Problem("step", f"{then}, now {what} {value!r}")])
        self._next += 1
        self.steps.append(found)
        return found

    def _write(self, what: str, purpose: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        body = {"what": what, "purpose": purpose, "index": self._next, **data}
        event = self._ledger.append("step", body, self._task.id, self._ordinal)
        self._next += 1
        self.steps.append(event.data)
        return event.data
