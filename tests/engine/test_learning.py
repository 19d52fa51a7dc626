# SPDX-License-Identifier: Apache-2.0
"""A memory's way through a cell: in order, once per task, and the same after resuming."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from doubles import CELL, POOL, Lab, ScriptedModel, ToldVerifier

from kernelcoder.budget import Account, Caps
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.learning import Learner
from kernelcoder.engine.search import TaskRun
from kernelcoder.ledger import Ledger
from kernelcoder.memory import ContextItem
from kernelcoder.methods import best_of_n
from kernelcoder.records import Attempt


def counting() -> ModuleType:
    """A memory that remembers how many attempts it saw, and shows that number."""
    module = ModuleType("kernelcoder.memory.counting")

    def provide(snapshot: object, task: str, role: str, options: object) -> tuple[ContextItem, ...]:
        if snapshot is None:
            return ()
        return (ContextItem("n", f"saw {snapshot}"), ContextItem("w", "unseen note", withheld=True))

    def observe(snapshot: object, finished: Sequence[Attempt], options: object) -> object:
        assert snapshot is None or isinstance(snapshot, int)
        return (snapshot or 0) + len(finished)

    module.provide, module.observe = provide, observe  # type: ignore[attr-defined]
    return module


def run(folder: Path, count: int, model: ScriptedModel) -> Ledger:
    lab = Lab(folder, best_of_n, best_of_n.Options(False), model, ToldVerifier(), budget=2)
    setting = dataclasses.replace(lab.setting(), memory=counting())
    stop = threading.Event()
    with Ledger(folder / CELL / "ledger.jsonl") as ledger:
        if not ledger.events:
            ledger.append("control", {"op": "open", "cell": CELL, "guarantee": "G1"})
        learner = Learner(setting, ledger)
        assert learner.sequential
        for task in POOL[:count]:
            caller, account = Caller(model, 0, stop), Account("task", Caps())
            TaskRun(
                setting, task, ledger, account, caller, stop, lambda *_: None, learner.context(task)
            ).run()
            learner.observe(task)
    return ledger


def test_each_task_sees_what_the_ones_before_it_taught(tmp_path: Path) -> None:
    model = ScriptedModel()
    ledger = run(tmp_path, 3, model)
    prompts = {request.task: request.messages[-1].content for request in model.requests}
    assert "saw" not in prompts["core/relu"]
    assert "[n] saw 2" in prompts["core/silu"]
    assert "[n] saw 4" in prompts["core/softmax"]
    assert "unseen note" not in prompts["core/softmax"]
    shown = [event.data["context"] for event in ledger.events if event.kind == "ask"]
    assert shown == [[]] * 2 + [["n", "withheld:w"]] * 4
    learnt = [event.data["after"] for event in ledger.events if event.kind == "learn"]
    assert learnt == ["core/relu", "core/silu", "core/softmax"]


def test_a_resumed_cell_knows_what_it_had_learnt(tmp_path: Path) -> None:
    model, again = ScriptedModel(), ScriptedModel()
    run(tmp_path, 2, model)
    ledger = run(tmp_path, 3, again)
    assert {request.task for request in again.requests} == {"core/softmax"}
    assert "[n] saw 4" in again.requests[0].messages[-1].content
    assert sum(event.kind == "learn" for event in ledger.events) == 3
