# SPDX-License-Identifier: Apache-2.0
"""An outside for the memory of skills that does as it is told, and skills made by hand.

Kernels here are texts such as ``relu block=256``. The told judge finds a kernel right if it begins
with the name of the task's operation and has no ``bug``; its speed is what ``speed=`` says.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from doubles import task as make_task
from doubles import verdict

from kernelcoder.history import random_key, rng_of
from kernelcoder.memory import Finished, Query
from kernelcoder.memory.skill import schema
from kernelcoder.memory.skill.compiling import closed
from kernelcoder.memory.skill.predicates import Predicate
from kernelcoder.memory.skill.schema import Check, Skill, Trial
from kernelcoder.memory.skills import Options
from kernelcoder.records import Attempt, Candidate, Message, Proposal, Usage, Verdict, sha256
from kernelcoder.task import Task

VERIFIER = "7"
CELL = "refine_skills_scripted_fake_core_s0-00000000"
BY_RECIPE = "refine_skills_recipe_fake_core_s0-00000000"
OPTIONS = Options(shown=2, probes=2, trials=4, sweep=0, compose=True, library="")


def judged(task: Task, source: str, timed: bool = True) -> Verdict:
    """The told judge."""
    words = source.split()
    if not words or words[0] != task.name:
        found = verdict("compile_error")
    elif "bug" in words:
        found = verdict("incorrect")
    else:
        speeds = [float(one.removeprefix("speed=")) for one in words if one.startswith("speed=")]
        found = verdict("verified", (speeds or [2.0])[0] if timed else None)
    return replace(found, versions={"verifier": VERIFIER})


@dataclass
class ToldIO:
    """Answers questions from a script, judges by :func:`judged` unless told otherwise."""

    answer: Callable[[str, Sequence[Message], Mapping[str, Any]], str] = lambda *_: ""
    judge: Callable[[Task, str], Verdict] = judged
    tasks: Mapping[str, Task] = field(default_factory=dict)
    asked: list[tuple[str, tuple[Message, ...], dict[str, Any]]] = field(default_factory=list)
    verified: list[tuple[str, str, str]] = field(default_factory=list)

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
        self.asked.append((purpose, tuple(messages), dict(data or {})))
        return self.answer(purpose, messages, data or {})

    def verify(self, task: Task, source: str, fresh: str = "") -> Verdict:
        self.verified.append((task.id, source, fresh))
        return self.judge(task, source)

    def task(self, name: str) -> Task | None:
        return self.tasks.get(name)

    def rng(self, purpose: str) -> random.Random:
        return rng_of(random_key("told", purpose))


def task(name: str = "relu", category: str = "activation") -> Task:
    """A task whose recipe data names its operation."""
    return replace(make_task(name, category), recipe={"family": "told", "expr": name})


def attempt(
    ordinal: int,
    source: str,
    on: Task,
    parents: tuple[int, ...] = (),
    given: bool = False,
    timed: bool = True,
) -> Attempt:
    """An attempt with the told judge's verdict on it."""
    role: Any = "probe" if given else "refine" if parents else "draft"
    proposal = Proposal(role, parents, given=sha256(source) if given else "")
    found = judged(on, source, timed)
    return Attempt(ordinal, proposal, Candidate(source, "cpp", "fake"), found, Usage())


def finished(
    on: Task,
    attempts: Sequence[Attempt],
    chosen: int | None = 0,
    where: str = CELL,
    context: Mapping[int, tuple[str, ...]] | None = None,
) -> Finished:
    """A task whose search has ended."""
    return Finished(
        on, "fake", "cpp", "eager", tuple(attempts), chosen, where, context=dict(context or {})
    )


def query(on: Task, role: str = "draft") -> Query:
    """What is wanted for a task."""
    return Query(on, role, "fake", "cpp", key="ab" * 32)


def skill(name: str = "fake-relu", **changes: Any) -> Skill:
    """A kernel skill with one closed slot, bound to the operation of the task."""
    base = Skill(
        id=name,
        version=1,
        kind="kernel",
        intent="an activation of every element, such as ReLU",
        backend="fake",
        language="cpp",
        preconditions=(
            Predicate("backend", "==", "fake"),
            Predicate("inputs", "==", ["x"]),
            Predicate("category", "==", "activation"),
        ),
        parameters=closed({"block": {"enum": [256, 512, 1024]}}),
        bind={"op": "recipe.expr"},
        defaults={"block": 256},
        template="${op} block=${block}\nhead\nbody\ntail\n",
        edits=(),
        postconditions=(Check("verdict", "verified"),),
        source="core/relu",
        source_sha=sha256("relu block=256\nhead\nbody\ntail\n"),
        provenance=(f"{CELL}/core/relu#0",),
    )
    return schema.sealed(replace(base, **changes))


def trial(number: int = 0, right: bool = True, task: str = "core/relu", **changes: Any) -> Trial:
    """Evidence of an instantiation of its own, by its number."""
    base = Trial(
        task=task,
        sha=sha256(f"{task} {number}"),
        params={"block": 256},
        status="verified" if right else "incorrect",
        outcome="pass" if right else "fail",
        verifier=VERIFIER,
        kind="source" if task == "core/relu" else "other",
    )
    return replace(base, **changes)


def seasoned(right: int, wrong: int = 0, tasks: int = 3, **changes: Any) -> Skill:
    """A skill with so many trials, spread over so many tasks, its own first."""
    names = ["core/relu", *(f"core/other{one}" for one in range(1, tasks))]
    trials = [trial(one, one < right, names[one % len(names)]) for one in range(right + wrong)]
    return skill(evidence=tuple(trials), **changes)
