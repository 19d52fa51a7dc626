# SPDX-License-Identifier: Apache-2.0
"""Carries what is learnt through the tasks of a cell: the memory's snapshot, and the method's own.

What learns makes tasks depend on the ones before, so they then run in order. Task n sees what was
learnt up to task n - lag; tasks that are held out come last and teach nothing. Every new snapshot
is a ``learn`` event, every model call on the way to it a ``step``, and a resumed cell reads them
back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from kernelcoder import ledger as ledgers
from kernelcoder.budget import Account, Amount, Caps
from kernelcoder.engine import routing
from kernelcoder.engine.asides import Asides
from kernelcoder.engine.asking import Setting
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.lessons import Lessons
from kernelcoder.history import random_key
from kernelcoder.ledger import Ledger, canonical
from kernelcoder.memory import Finished
from kernelcoder.records import to_json
from kernelcoder.task import Task

OF_MEMORY, OF_METHOD, OF_ROUTER = "memory", "method", "router"


class Learner:
    """The learning of one cell. ``sequential`` is False where nothing learns."""

    def __init__(
        self,
        setting: Setting,
        ledger: Ledger,
        caller: Caller,
        account: Account | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._setting, self._ledger, self._caller = setting, ledger, caller
        self._account, self._check = account or Account("cell", Caps()), check
        self._learning = {
            OF_MEMORY: bool(getattr(setting.memory, "learns", True)),
            OF_METHOD: hasattr(setting.policy, "observe")
            and setting.policy.learns(setting.options),
            OF_ROUTER: setting.routes is not None and setting.routes.router.carries,
        }
        self.sequential = any(self._learning.values())
        self._last = ""  # the task after which everything learnt is frozen, for those that follow
        self._seen: list[str] = []  # tasks that taught, in their order
        self._tasks: dict[str, Task] = {}
        self._after: dict[tuple[str, str], object] = {}
        for event in ledger.events:
            if event.kind == "learn":
                text = ledgers.read_blob(ledger.dir, event.data["snapshot"])
                of = event.data.get("of", OF_MEMORY)
                self._after[of, event.data["after"]] = json.loads(text)

    def order(self, names: Sequence[str]) -> list[str]:
        """The tasks in the order in which they are to run: held-out ones last, each part as given,
        or shuffled by the seed."""
        stream, seed = self._setting.stream, self._setting.seed
        found = list(names)
        if stream.shuffle:
            found.sort(key=lambda name: random_key(seed, name, "order"))
        found.sort(key=lambda name: name in stream.held_out)
        teaching = [name for name in found if name not in stream.held_out]
        self._last = teaching[-1] if teaching and len(teaching) < len(found) else ""
        return found

    def lessons(self, task: Task) -> Lessons:
        """What a task sees."""
        frozen = task.id in self._setting.stream.held_out
        lag = 1 if frozen else self._setting.stream.lag
        visible = self._seen[: len(self._seen) + 1 - lag]
        last = visible[-1] if visible else ""
        return Lessons(
            self._setting.memory,
            self._setting.memory_options,
            self._after.get((OF_MEMORY, last)),
            self._after.get((OF_METHOD, last)),
            self._setting.withhold,
            self._after.get((OF_ROUTER, last)),
        )

    def observe(self, task: Task) -> None:
        """Learn from a finished task, once; tasks must be observed in their order."""
        if not self.sequential or task.id in self._setting.stream.held_out:
            return
        before = self._seen[-1] if self._seen else ""
        self._seen.append(task.id)
        self._tasks[task.id] = task
        for of, learning in self._learning.items():
            if learning:
                self._learn(of, task, before)

    def _learn(self, of: str, task: Task, before: str) -> None:
        setting, events = self._setting, self._ledger.events
        recorded = [
            event.data
            for event in events
            if event.kind == "step" and event.task == task.id and event.ordinal is None
        ]
        key = random_key(setting.seed, task.id, setting.method, "learn", of)
        where = (setting, self._ledger, self._caller, task, None, key)
        read = recorded if of == OF_MEMORY else ()
        io = Asides(*where, read, self._check, known=self._tasks)
        if (of, task.id) not in self._after:
            finished = self._finished(task)
            old = self._after.get((of, before))
            if of == OF_MEMORY:
                new = setting.memory.observe(old, finished, io, setting.memory_options)
            elif of == OF_METHOD:
                new = setting.policy.observe(old, finished.attempts, setting.options)
            else:
                new = self._routed(old, finished)
            self._after[of, task.id] = new
            cost = {"calls": len(io.steps), "usage": to_json(io.usage)}
            data = {"after": task.id, "of": of, "snapshot": self._ledger.blob(canonical(new))}
            self._ledger.append("learn", {**data, "cost": cost})
            recorded = list(io.steps)
        if of == OF_MEMORY:
            self._charge(recorded)

    def _routed(self, old: object, finished: Finished) -> object:
        """The router's snapshot: what its choices on this task came to."""
        assert self._setting.routes is not None
        task = finished.task.id
        rows = ledgers.rows(event for event in self._ledger.events if event.task == task)
        outcomes = routing.outcomes(finished.attempts, rows, finished.baseline)
        return routing.after(self._setting.routes, old, outcomes)

    def _charge(self, steps: Sequence[Any]) -> None:
        """Lessons cost what they cost, to the cell: no task of its own pays for them."""
        for step in steps:
            if step["what"] != "ask":
                self._account.charge(Amount(device_s=step["seconds"]))
                continue
            usage = ledgers.usage_of(step)
            known = usage.input_tokens is not None and usage.output_tokens is not None
            tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0) if known else None
            self._account.charge(Amount(tokens=tokens, usd=usage.cost_usd))

    def _finished(self, task: Task) -> Finished:
        events = [event for event in self._ledger.events if event.task == task.id]
        asks = {event.ordinal: event.data for event in events if event.kind == "ask"}
        selects = [event.data for event in events if event.kind == "select"]
        setting = self._setting
        return Finished(
            task=task,
            backend=setting.backend,
            language=setting.backend_module.LANGUAGE,
            baseline=setting.baseline,
            attempts=tuple(ledgers.attempts(self._ledger.events, task.id, self._ledger.dir)),
            chosen=selects[-1]["chosen"] if selects else None,
            where=self._ledger.dir.name,
            context={one: tuple(data["context"]) for one, data in asks.items() if one is not None},
            verify_version=setting.verify_version,
            last=task.id == self._last,
        )
