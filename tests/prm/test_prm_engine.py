# SPDX-License-Identifier: Apache-2.0
"""The reward model in the real engine: learnt task by task, the same for any number of workers and
after any interruption, and with a say in what later tasks try."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from doubles import CELL, POOL, Lab, ScriptedModel, ToldVerifier, fenced, kernel

from kernelcoder import ledger as ledgers
from kernelcoder.budget import Account, Caps
from kernelcoder.engine.calling import Caller, Unreachable
from kernelcoder.engine.learning import Learner
from kernelcoder.engine.search import TaskRun
from kernelcoder.history import rng_of
from kernelcoder.ledger import Ledger
from kernelcoder.methods import lats
from kernelcoder.models import TransportError
from kernelcoder.records import Reply, Request

OPTIONS = lats.Options(100, 150, 3, 60, 4, True, False, True)


def by_sign(request: Request) -> str:
    """Drafts are about equally fast. Refining one that is `open` gains a little, one that is `dead`
    nothing; children are as their parents."""
    rng = rng_of(request.key)
    seen = re.findall(
        r"^// outcome: verified ([\d.]+)\n// (open|dead)", request.messages[-1].content, re.M
    )
    if request.role == "draft" or not seen:
        speed, sign = rng.uniform(1.0, 1.4), rng.choice(["open", "dead"])
    else:
        speed, sign = float(seen[-1][0]), seen[-1][1]
        speed *= 1.03 if sign == "open" else 0.99
    return fenced(kernel(f"verified {speed:.3f}", f"{sign} {request.key[:8]}"))


class Faltering(ScriptedModel):
    """Answers so many requests and is gone then."""

    left = 10**9

    def complete(self, request: Request) -> Reply:
        if self.left <= 0:
            raise TransportError("gone", retryable=False)
        self.left -= 1
        return super().complete(request)


def run(folder: Path, workers: int = 2, model: ScriptedModel | None = None) -> Ledger:
    """The four tasks of the pool in their order, 48 attempts each, window 4."""
    model = model or ScriptedModel(by_sign)
    lab = Lab(folder, lats, OPTIONS, model, ToldVerifier(), 48, 4, workers)
    setting, stop = lab.setting(), threading.Event()
    with Ledger(folder / CELL / "ledger.jsonl") as ledger:
        if not ledger.events:
            ledger.append("control", {"op": "open", "cell": CELL, "guarantee": "G1"})
        caller = Caller(model, 0, stop)
        learner = Learner(setting, ledger, caller)
        assert learner.sequential
        for task in POOL:
            lessons = learner.lessons(task)
            mine = Account("task", Caps())
            TaskRun(setting, task, ledger, mine, caller, stop, lambda *_: None, lessons).run()
            learner.observe(task)
    return ledger


def told(ledger: Ledger) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    """What was asked and learnt, wherever it stands in the ledger."""
    return {
        (event.kind, event.task or event.data["after"], event.ordinal): event.data
        for event in ledger.events
        if event.kind in ("ask", "learn")
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return run(tmp_path_factory.mktemp("whole"))


def test_workers_change_nothing_that_is_learnt(whole: Ledger, tmp_path: Path) -> None:
    wide = told(run(tmp_path, workers=8))
    assert sum(kind == "learn" for kind, _, _ in wide) == len(POOL)
    assert wide == told(whole)


def test_an_interrupted_cell_learns_the_same(whole: Ledger, tmp_path: Path) -> None:
    for calls in (70, 10**9):
        model = Faltering(by_sign)
        model.left = calls
        if calls < 10**9:
            with pytest.raises(Unreachable):
                run(tmp_path, model=model)
        else:
            assert told(run(tmp_path, model=model)) == told(whole)


def share_open(ledger: Ledger, task: str) -> float:
    """Share of the refinements that work on an open kernel."""
    made = ledgers.attempts(ledger.events, task, ledger.dir)
    parents = [made[one.proposal.parents[0]].candidate for one in made if one.proposal.parents]
    return sum("// open" in one.source for one in parents if one) / len(parents)


def test_what_was_learnt_steers_later_tasks(whole: Ledger, tmp_path: Path) -> None:
    learnt = [event.data["snapshot"] for event in whole.events if event.kind == "learn"]
    last = json.loads(ledgers.read_blob(whole.dir, learnt[-1]))
    gained = last["evaluation"]["gained"]
    assert last["evaluation"]["weight"] > 0.4 and gained["brier"] < gained["brier_constant"]
    name = POOL[-1].id
    alone = Lab(tmp_path, lats, OPTIONS, ScriptedModel(by_sign), ToldVerifier(), 48, 4)
    alone_run = alone.run(task=POOL[-1])
    assert share_open(whole, name) > share_open(alone_run, name) + 0.1
