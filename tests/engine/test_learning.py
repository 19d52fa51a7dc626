# SPDX-License-Identifier: Apache-2.0
"""A memory's way through a cell: in order, once per task, recorded, and the same after resuming."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from doubles import CELL, POOL, Lab, ScriptedModel, ToldVerifier, by_luck, kernel

from kernelcoder import ledger as ledgers
from kernelcoder.budget import Account, Caps
from kernelcoder.contents import content_digest
from kernelcoder.engine.asking import Diverged, Stream
from kernelcoder.engine.calling import Caller
from kernelcoder.engine.learning import Learner
from kernelcoder.engine.search import TaskRun
from kernelcoder.io import IO
from kernelcoder.ledger import Ledger
from kernelcoder.memory import ContextItem, Finished, Query, Seed
from kernelcoder.methods import best_of_n
from kernelcoder.records import Message, Request

TAUGHT = kernel("verified 3.0", "taught")


def memory(asks: int = 0, seeds: bool = False, says: str = "what of it?") -> ModuleType:
    """A memory that remembers how many attempts it saw, and shows that number."""
    module: Any = ModuleType("kernelcoder.memory.counting")

    def provide(snapshot: Any, query: Query, options: object) -> tuple[ContextItem, ...]:
        if snapshot is None:
            return ()
        shown = ContextItem("n", f"saw {snapshot['count']}")
        return (shown, ContextItem("w", "unseen note", withheld=True))

    def observe(snapshot: Any, finished: Finished, io: IO, options: object) -> object:
        words = [io.ask("extract", [Message("user", f"{says} {one}")]) for one in range(asks)]
        tried = io.verify(finished.task, TAUGHT).status if asks else ""
        assert finished.attempts and finished.where == CELL
        count = (snapshot or {"count": 0})["count"] + len(finished.attempts)
        return {"count": count, "words": words, "tried": tried}

    def seed(snapshot: Any, query: Query, options: object) -> tuple[Seed, ...]:
        return (Seed(TAUGHT, "seed", "from-afar"),) if snapshot else ()

    module.provide, module.observe = provide, observe
    if seeds:
        module.seeds = seed
    return module


def answers(request: Request) -> str:
    return "a lesson" if request.role == "extract" else by_luck(request)


@dataclasses.dataclass
class Cell:
    """One cell over the first ``count`` tasks of the pool."""

    folder: Path
    model: ScriptedModel = dataclasses.field(default_factory=lambda: ScriptedModel(answers))
    memory: ModuleType = dataclasses.field(default_factory=memory)
    stream: Stream = dataclasses.field(default_factory=Stream)
    withhold: float = 0.0
    account: Account = dataclasses.field(default_factory=lambda: Account("cell", Caps()))

    def run(self, count: int, upto: int | None = None) -> Ledger:
        lab = Lab(
            self.folder, best_of_n, best_of_n.Options(False), self.model, ToldVerifier(), budget=2
        )
        setting = dataclasses.replace(
            lab.setting(), memory=self.memory, stream=self.stream, withhold=self.withhold
        )
        stop = threading.Event()
        with Ledger(self.folder / CELL / "ledger.jsonl") as ledger:
            if not ledger.events:
                ledger.append("control", {"op": "open", "cell": CELL, "guarantee": "G1"})
            caller = Caller(self.model, 0, stop)
            learner = Learner(setting, ledger, caller, self.account)
            assert learner.sequential
            by_name = {task.id: task for task in POOL[:count]}
            for name in learner.order(list(by_name))[:upto]:
                task = by_name[name]
                mine = Account("task", Caps())
                lessons = learner.lessons(task)
                args = (setting, task, ledger, mine, caller, stop, lambda *_: None, lessons)
                TaskRun(*args).run()
                learner.observe(task)
        return ledger


def contexts(ledger: Ledger) -> list[list[str]]:
    return [event.data["context"] for event in ledger.events if event.kind == "ask"]


def prompts(model: ScriptedModel) -> dict[str, str]:
    kernels = [request for request in model.requests if request.role == "draft"]
    return {request.task: request.messages[-1].content for request in kernels}


def test_each_task_sees_what_the_ones_before_it_taught(tmp_path: Path) -> None:
    cell = Cell(tmp_path)
    ledger = cell.run(3)
    shown = prompts(cell.model)
    assert "saw" not in shown["core/relu"]
    assert "[n] saw 2" in shown["core/silu"]
    assert "[n] saw 4" in shown["core/softmax"]
    assert "unseen note" not in shown["core/softmax"]
    assert contexts(ledger) == [[]] * 2 + [["n", "withheld:w"]] * 4
    learnt = [event.data["after"] for event in ledger.events if event.kind == "learn"]
    assert learnt == ["core/relu", "core/silu", "core/softmax"]


def test_a_resumed_cell_knows_what_it_had_learnt(tmp_path: Path) -> None:
    Cell(tmp_path).run(2)
    again = Cell(tmp_path)
    ledger = again.run(3)
    assert {request.task for request in again.model.requests} == {"core/softmax"}
    assert "[n] saw 4" in again.model.requests[0].messages[-1].content
    assert sum(event.kind == "learn" for event in ledger.events) == 3


def test_lessons_are_recorded_and_charged_to_the_cell(tmp_path: Path) -> None:
    cell = Cell(tmp_path, memory=memory(asks=2))
    ledger = cell.run(1)
    steps = [event for event in ledger.events if event.kind == "step"]
    assert [one.data["what"] for one in steps] == ["ask", "ask", "verify"]
    assert all(one.ordinal is None and one.task == "core/relu" for one in steps)
    assert ledgers.read_blob(ledger.dir, steps[0].data["reply"]) == "a lesson"
    assert cell.account.spent.tokens == 60
    learn = next(event for event in ledger.events if event.kind == "learn")
    assert learn.data["cost"]["usage"]["output_tokens"] == 40


def test_a_lesson_killed_at_every_event_goes_on_and_pays_nothing_twice(tmp_path: Path) -> None:
    whole = Cell(tmp_path / "whole", memory=memory(asks=2))
    path = whole.run(2).dir / "ledger.jsonl"
    lines, digest = path.read_text().splitlines(keepends=True), content_digest(ledgers.read(path))
    for cut in range(2, len(lines)):
        folder = tmp_path / str(cut)
        (folder / CELL).mkdir(parents=True)
        (folder / CELL / "ledger.jsonl").write_text("".join(lines[:cut]))
        (folder / CELL / "blobs").symlink_to(path.parent / "blobs")
        cell = Cell(folder, memory=memory(asks=2))
        ledger = cell.run(2)
        assert content_digest(ledger.events) == digest, f"cut after {cut} events"
        recorded = sum('"request"' in line and '"reply"' in line for line in lines[:cut])
        assert sum(cell.model.calls.values()) == 8 - recorded


def test_a_lesson_that_would_ask_something_else_now_diverges(tmp_path: Path) -> None:
    ledger = Cell(tmp_path, memory=memory(asks=2)).run(1)
    path = ledger.dir / "ledger.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-2]))  # without the trial and the lesson
    with pytest.raises(Diverged, match="would ask something else"):
        Cell(tmp_path, memory=memory(asks=2, says="something else?")).run(1)


def test_seeds_are_tried_first_and_no_model_is_asked(tmp_path: Path) -> None:
    cell = Cell(tmp_path, memory=memory(seeds=True))
    ledger = cell.run(2)
    found = ledgers.attempts(ledger.events, "core/silu", ledger.dir)
    assert [one.proposal.role for one in found] == ["seed", "draft"]
    assert found[0].candidate is not None and found[0].candidate.source == TAUGHT
    assert found[0].usage.output_tokens == 0 and found[0].verdict.verified
    assert sum(cell.model.calls.values()) == 3
    again = Cell(tmp_path, memory=memory(seeds=True))
    assert content_digest(again.run(2).events) == content_digest(ledger.events)
    assert not again.model.requests


def test_a_lag_shows_what_was_known_earlier(tmp_path: Path) -> None:
    cell = Cell(tmp_path, stream=Stream(lag=2))
    cell.run(4)
    shown = prompts(cell.model)
    assert "saw" not in shown["core/silu"]
    assert "[n] saw 2" in shown["core/softmax"]
    assert "[n] saw 4" in shown["core/matmul"]


def test_held_out_tasks_come_last_see_all_and_teach_nothing(tmp_path: Path) -> None:
    held_out = frozenset({"core/relu", "core/softmax"})
    cell = Cell(tmp_path, stream=Stream(lag=2, held_out=held_out))
    ledger = cell.run(4)
    begun = [
        (event.task, event.data["part"])
        for event in ledger.events
        if event.data.get("op") == "task_begin"
    ]
    assert begun == [
        ("core/silu", "learn"),
        ("core/matmul", "learn"),
        ("core/relu", "evaluate"),
        ("core/softmax", "evaluate"),
    ]
    learnt = [event.data["after"] for event in ledger.events if event.kind == "learn"]
    assert learnt == ["core/silu", "core/matmul"]
    shown = prompts(cell.model)
    assert "[n] saw 4" in shown["core/relu"] and "[n] saw 4" in shown["core/softmax"]


def test_a_shuffled_stream_has_an_order_of_its_seed(tmp_path: Path) -> None:
    def order(seed: int) -> Sequence[str]:
        lab = Lab(tmp_path, best_of_n, best_of_n.Options(False), ScriptedModel(), ToldVerifier())
        setting = dataclasses.replace(lab.setting(), seed=seed, stream=Stream(shuffle=True))
        with Ledger(tmp_path / CELL / "ledger.jsonl") as ledger:
            learner = Learner(setting, ledger, Caller(lab.model, 0, threading.Event()))
            return learner.order([task.id for task in POOL])

    assert order(3) == order(3)
    assert len({tuple(order(seed)) for seed in range(20)}) > 5


def test_withholding_keeps_its_share_of_items_out_of_prompts(tmp_path: Path) -> None:
    def many(snapshot: Any, query: Query, options: object) -> tuple[ContextItem, ...]:
        return tuple(ContextItem(f"i{one}", f"note {one}") for one in range(200))

    source = memory()
    source.provide = many  # type: ignore[attr-defined]
    cell = Cell(tmp_path, memory=source, withhold=0.25)
    ledger = cell.run(1)
    for context, request in zip(contexts(ledger), cell.model.requests, strict=True):
        withheld = [name for name in context if name.startswith("withheld:")]
        assert 25 <= len(withheld) <= 75
        assert f"[{withheld[0].partition(':')[2]}] " not in request.messages[-1].content
    assert contexts(ledger)[0] != contexts(ledger)[1]
