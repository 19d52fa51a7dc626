# SPDX-License-Identifier: Apache-2.0
"""Carries a memory through the tasks of a cell: what it provides, and what it learns after each.

A memory that learns makes tasks depend on the ones before, so they then run in order; every new
snapshot is a ``learn`` event, and a resumed cell reads them back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from kernelcoder import ledger as ledgers
from kernelcoder.engine.asking import Setting
from kernelcoder.ledger import Ledger, canonical
from kernelcoder.memory import ContextItem
from kernelcoder.task import Task


class Learner:
    """The memory of one cell. ``sequential`` is False only for the memory ``none``."""

    def __init__(self, setting: Setting, ledger: Ledger) -> None:
        self._setting, self._ledger = setting, ledger
        self.sequential = setting.memory.__name__.rpartition(".")[2] != "none"
        self._after: dict[str, object] = {}
        self._previous = ""
        for event in ledger.events:
            if event.kind == "learn":
                text = ledgers.read_blob(ledger.dir, event.data["snapshot"])
                self._after[event.data["after"]] = json.loads(text)

    def context(self, task: Task) -> Callable[[str], Sequence[ContextItem]]:
        """What the memory shows for a role, from the snapshot after the task before this one."""
        setting, snapshot = self._setting, self._after.get(self._previous)

        def provide(role: str) -> Sequence[ContextItem]:
            items: Sequence[ContextItem] = setting.memory.provide(
                snapshot, task.id, role, setting.memory_options
            )
            return items

        return provide

    def observe(self, task: Task) -> None:
        """Learn from a finished task, once; tasks must be observed in their order."""
        before, self._previous = self._after.get(self._previous), task.id
        if task.id in self._after or not self.sequential:
            return
        finished = ledgers.attempts(self._ledger.events, task.id, self._ledger.dir)
        memory, options = self._setting.memory, self._setting.memory_options
        self._after[task.id] = snapshot = memory.observe(before, finished, options)
        self._ledger.append(
            "learn", {"after": task.id, "snapshot": self._ledger.blob(canonical(snapshot))}
        )
