# SPDX-License-Identifier: Apache-2.0
"""An outside for memories that answers as scripted, finished tasks made by hand, and a stream of
tasks through the real engine."""

from __future__ import annotations

import dataclasses
import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from doubles import CELL, POOL, Lab, ToldVerifier, verdict

from kernelcoder.budget import Account, Caps
from kernelcoder.engine.asking import Stream
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.learning import Learner
from kernelcoder.engine.search import TaskRun
from kernelcoder.history import random_key, rng_of
from kernelcoder.ledger import Ledger
from kernelcoder.memory import Finished, Query
from kernelcoder.methods import best_of_n
from kernelcoder.models import recipe_words
from kernelcoder.records import Attempt, Candidate, Message, Proposal, Request, Sampling, Usage
from kernelcoder.task import Task

Script = Callable[[str, Sequence[Message], Mapping[str, Any]], str]


class ScriptedIO:
    """Answers ``script(purpose, messages, data)`` and remembers what it was asked."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[tuple[str, Sequence[Message], Mapping[str, Any], float]] = []

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
        self.asked.append((purpose, tuple(messages), data or {}, temperature))
        return self.script(purpose, messages, data or {})

    def verify(self, task: Task, source: str) -> Any:
        raise AssertionError("these memories judge nothing")

    def rng(self, purpose: str) -> random.Random:
        return rng_of(random_key("scripted", purpose))

    def count(self, purpose: str) -> int:
        return sum(one[0] == purpose for one in self.asked)


def silent(purpose: str, messages: Sequence[Message], data: Mapping[str, Any]) -> str:
    return "I have nothing to say."


def by_recipe(purpose: str, messages: Sequence[Message], data: Mapping[str, Any]) -> str:
    """What the recipe proposer answers."""
    sampling = Sampling(0.0, 100, 1)
    key = random_key(purpose, json.dumps(data))
    return recipe_words.answer(
        Request("recipe:v1", tuple(messages), sampling, key, "", purpose, data)
    )


def items(*contents: str, **more: str) -> str:
    """An answer with one item per content."""
    found = [
        {"title": f"Lesson {one.split()[0]}", "description": "When it applies.", "content": one}
        for one in contents
    ]
    return json.dumps({"items": [{**one, **more} for one in found]})


def tried(
    ordinal: int,
    source: str,
    status: str = "verified",
    speed: float | None = 1.0,
    role: Any = "draft",
    parents: tuple[int, ...] = (),
    log: str = "",
) -> Attempt:
    found = verdict(status, speed if status == "verified" else None)
    if log:
        found = dataclasses.replace(found, log=log)
    return Attempt(
        ordinal, Proposal(role, parents), Candidate(source, "cpp", "fake"), found, Usage()
    )


def finished(task: Task, *attempts: Attempt, where: str = "cell", **more: Any) -> Finished:
    return Finished(task, "fake", "cpp", "eager", tuple(attempts), None, where, **more)


def query(task: Task, role: str = "draft", **more: Any) -> Query:
    return Query(task, role, "fake", "cpp", **more)


def run(
    folder: Path,
    memory: Any,
    options: Any,
    model: Any,
    tasks: Sequence[Task] = POOL,
    held_out: frozenset[str] = frozenset(),
    upto: int | None = None,
    budget: int = 2,
    verifier: ToldVerifier | None = None,
) -> Ledger:
    """The tasks of one cell with a memory, ``budget`` drafts each."""
    judge = verifier or ToldVerifier()
    lab = Lab(folder, best_of_n, best_of_n.Options(False), model, judge, budget=budget)
    setting = dataclasses.replace(
        lab.setting(), memory=memory, memory_options=options, stream=Stream(held_out=held_out)
    )
    stop = threading.Event()
    with Ledger(folder / CELL / "ledger.jsonl") as ledger:
        if not ledger.events:
            ledger.append("control", {"op": "open", "cell": CELL, "guarantee": "G1"})
        caller = Caller(model, 0, stop)
        learner = Learner(setting, ledger, caller, Account("cell", Caps()))
        by_name = {task.id: task for task in tasks}
        for name in learner.order(list(by_name))[:upto]:
            task, mine = by_name[name], Account("task", Caps())
            lessons = learner.lessons(task)
            watch = lambda *_: None  # noqa: E731
            TaskRun(setting, task, ledger, mine, caller, stop, watch, lessons).run()
            learner.observe(task)
    return ledger
