# SPDX-License-Identifier: Apache-2.0
"""The attempts of one task, each in a worker thread: write, call, cut, judge.

Every step that stands in the ledger already is read instead of done, so an attempt that was cut
short goes on where it ended.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from kernelcoder import corruption
from kernelcoder import ledger as ledgers
from kernelcoder.engine.asides import Asides
from kernelcoder.engine.asking import Asked, Setting, request_of
from kernelcoder.engine.calling import Caller, Stopped
from kernelcoder.engine.routing import answer
from kernelcoder.history import random_key
from kernelcoder.ledger import Ledger
from kernelcoder.prompts import extract
from kernelcoder.prompts.fences import fenced
from kernelcoder.records import Attempt, Candidate, Reply, Usage, Verdict, to_json
from kernelcoder.steps import Work
from kernelcoder.task import Task

Watch = Callable[[str, Attempt, bool], None]  # task, attempt, whether it was made just now
Rows = dict[int, dict[str, Any]]


class Attempts:
    """Runs the attempts that a search asks for; ``rows`` are what the ledger has of them, kept up
    to date. Setting ``abort`` ends what has not begun its next step."""

    def __init__(
        self,
        setting: Setting,
        task: Task,
        ledger: Ledger,
        caller: Caller,
        stop: threading.Event,
        watch: Watch,
        window: int,
        rows: Rows,
    ) -> None:
        self._setting, self._task, self._ledger = setting, task, ledger
        self._caller, self._stop, self._watch = caller, stop, watch
        self._window, self._rows = window, rows
        self.abort = threading.Event()
        self._futures: list[Future[Attempt]] = []
        self._cut_known: list[threading.Event] = []

    def submit(self, pool: ThreadPoolExecutor, ordinal: int, asked: Asked) -> None:
        """Start the next ordinal."""
        self._cut_known.append(threading.Event())
        self._futures.append(pool.submit(self._attempt, ordinal, asked))

    def results(self, count: int) -> list[Attempt]:
        """The first ``count`` attempts, waited for; raises what an attempt raised."""
        return [future.result() for future in self._futures[:count]]

    def recipe(self, asked: Asked) -> Any:
        """The module of the step recipe that writes an attempt."""
        return self._recipe(asked)[0]

    def _recipe(self, asked: Asked) -> tuple[Any, Any]:
        name = asked.proposal.step or self._setting.recipe
        return self._setting.recipes[name]

    def _attempt(self, ordinal: int, asked: Asked) -> Attempt:
        fresh = "verdict" not in self._rows[ordinal]
        try:
            self._check()
            io = Asides(
                self._setting,
                self._ledger,
                self._caller,
                self._task,
                ordinal,
                asked.proposal.key,
                self._rows[ordinal].setdefault("step", []),
                self._check,
                asked.proposal.arm,
            )
            work = self._call(ordinal, asked, io)
            candidate = self._cut(ordinal, asked, work, io)
            self._rows[ordinal]["step"] = list(io.steps) or self._rows[ordinal]["step"]
        finally:
            self._cut_known[ordinal].set()
        self._judge(ordinal, candidate)
        attempt = ledgers.attempt_of(
            self._ledger.dir, self._setting.backend, ordinal, self._rows[ordinal]
        )
        self._watch(self._task.id, attempt, fresh)
        return attempt

    def _check(self) -> None:
        if self._stop.is_set() or self.abort.is_set():
            raise Stopped

    def _write(self, kind: str, ordinal: int, data: Mapping[str, Any]) -> None:
        event = self._ledger.append(kind, data, self._task.id, ordinal)
        self._rows[ordinal][kind] = event.data

    def _call(self, ordinal: int, asked: Asked, io: Asides) -> Work | None:
        """Have the recipe prepare, and ask for the kernel; the prepared work. None where nothing
        is left to be done with it, or where the source is given."""
        row = self._rows[ordinal]
        if asked.work is None:
            if "call" not in row:
                text = fenced(asked.given, self._setting.backend_module.LANGUAGE)
                usage = Usage(0, 0, 0, 0, 0.0)
                self._reply(ordinal, asked.request.digest, Reply(text, "given", usage, "given", 0))
            return None
        if "candidate" in row:
            return None
        recipe, options = self._recipe(asked)
        if "call" in row and not hasattr(recipe, "finish"):
            return None
        work: Work = recipe.prepare(asked.work, io, options)
        if "call" not in row:
            same = work is asked.work
            request = asked.request if same else request_of(self._setting, work)
            arm = asked.proposal.arm
            reply, replayed, said = answer(self._setting, self._caller, arm, request)
            said = {**said, "notes": list(work.notes)} if work.notes else said
            prompt = "" if same else json.dumps(to_json(request.messages), indent=1)
            self._reply(ordinal, request.digest, reply, replayed, prompt, said)
        return work

    def _reply(
        self,
        ordinal: int,
        request: str,
        reply: Reply,
        replayed: bool = False,
        prompt: str = "",
        said: Mapping[str, Any] | None = None,
    ) -> None:
        data = {
            **(said or {}),
            "request": request,
            "reply": self._ledger.blob(reply.text),
            "sent": self._ledger.blob(reply.sent),
            "served": reply.served,
            "finish": reply.finish,
            "usage": to_json(reply.usage),
            "latency_s": reply.latency_s,
            "replayed": replayed,
        }
        if prompt and request != self._rows[ordinal]["ask"]["request"]:
            data["prompt"] = self._ledger.blob(prompt)
        self._write("call", ordinal, data)

    def _cut(self, ordinal: int, asked: Asked, work: Work | None, io: Asides) -> Candidate | None:
        """The candidate in the reply; where the recipe made another of it, ``cut`` keeps the one
        that the model wrote; where it was damaged on purpose, ``intact`` the one that was."""
        setting, row = self._setting, self._rows[ordinal]
        language = setting.backend_module.LANGUAGE
        if "candidate" not in row:
            written, note = extract(
                ledgers.read_blob(self._ledger.dir, row["call"]["reply"]), language
            )
            source = written
            if written is not None and work is not None:
                recipe, options = self._recipe(asked)
                finish = getattr(recipe, "finish", None)
                source = finish(work, written, io, options) if finish else written
            whole, kind = source, ""
            if source is not None and corruption.struck(asked.proposal.key, setting.corrupt):
                source, kind = corruption.corrupt(source, language)
            found = None if source is None else Candidate(source, language, setting.backend)
            data = {
                "candidate": found.sha if found else None,
                "source": self._ledger.blob(found.source) if found else None,
                "language": language,
                "note": note,
            }
            if whole != written:
                data["cut"] = self._ledger.blob(written or "")
            if kind:
                data |= {"corrupted": kind, "intact": self._ledger.blob(whole or "")}
            self._write("candidate", ordinal, data)
        if row["candidate"]["candidate"] is None:
            return None
        text = ledgers.read_blob(self._ledger.dir, row["candidate"]["source"])
        return Candidate(text, language, setting.backend)

    def _judge(self, ordinal: int, candidate: Candidate | None) -> None:
        if "verdict" in self._rows[ordinal]:
            return
        first = self._original(ordinal, candidate) if candidate else None
        if first is not None:
            verdict_data = self._rows[first]["verdict"]["verdict"]
            self._write("verdict", ordinal, {"verdict": verdict_data, "duplicate_of": first})
            return
        self._check()
        if candidate is None:
            note = self._rows[ordinal]["candidate"]["note"]
            verdict = Verdict("no_candidate", "generated", note or "no kernel in the reply")
        else:
            verdict = self._verify(candidate, self._best(ordinal))
        data = to_json(verdict) | {"log": self._ledger.blob(verdict.log)}
        self._write("verdict", ordinal, {"verdict": data, "duplicate_of": None})

    def _best(self, ordinal: int) -> float | None:
        """The best search speedup among the attempts that were visible when this one was asked for:
        the same whoever was faster since."""
        visible = self._futures[: max(0, ordinal - self._window + 1)]
        speeds = [future.result().speedup(self._setting.baseline) for future in visible]
        return max((speed for speed in speeds if speed is not None), default=None)

    def _verify(self, candidate: Candidate, best: float | None) -> Verdict:
        """The verdict on the cell's holdouts of this task. The verifier tries again by itself after
        a fault of its own; what still ends in ``infra_error`` is recorded and quarantined."""
        setting = self._setting
        key = random_key(setting.holdout_key, self._task.id)
        return setting.verifier.verify(
            self._task, candidate, key, timing=setting.timing, incumbent=best
        )

    def _original(self, ordinal: int, candidate: Candidate) -> int | None:
        """The first earlier attempt with this very candidate and a verdict on it. Waits for
        earlier ordinals, so that which one counts as the first does not depend on timing."""
        for earlier in range(ordinal):
            self._cut_known[earlier].wait()
            cut = self._rows[earlier].get("candidate")
            if cut is None or cut["candidate"] != candidate.sha:
                continue
            if self._futures[earlier].result().verdict.status != "infra_error":
                return earlier
        return None
