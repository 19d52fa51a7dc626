# SPDX-License-Identifier: Apache-2.0
"""A cell with a router over scripted models. Not a test itself."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doubles import CELL, POOL, Lab, ScriptedModel, ToldVerifier, fenced, kernel

from kernelcoder.budget import Account, Caps
from kernelcoder.engine.learning import Learner
from kernelcoder.engine.routes import Route, Routes
from kernelcoder.engine.routing import caller_of
from kernelcoder.engine.search import TaskRun
from kernelcoder.history import rng_of
from kernelcoder.ledger import Ledger
from kernelcoder.methods import refine
from kernelcoder.models import TransportError
from kernelcoder.records import Request, Usage
from kernelcoder.routing import lints
from kernelcoder.task import Task

DEFAULT = lints.Options(30, 98, 5, 2)


def writes(right: float, name: str) -> Callable[[Request], str]:
    """A model that is right with this chance, by the request's key, and signs its kernels."""

    def script(request: Request) -> str:
        rng = rng_of(request.key)
        outcome = "verified 1.0" if rng.random() < right else "incorrect"
        return fenced(kernel(outcome, f"{name} {rng.random()}"))

    return script


def scripted(right: float, name: str, tokens: int = 10) -> ScriptedModel:
    return ScriptedModel(writes(right, name), usage=Usage(tokens, tokens, cost_usd=0.001))


def dead(model: ScriptedModel, times: int = 1000) -> ScriptedModel:
    """The model, silent for so many calls."""
    model.failures = [TransportError("no route to host", retryable=False)] * times
    return model


@dataclass
class RoutedCell:
    """Arms named after their models, ``bad/one_shot`` and ``good/one_shot`` unless given."""

    folder: Path
    router: Any = lints
    options: Any = DEFAULT
    models: dict[str, ScriptedModel] = field(
        default_factory=lambda: {"bad": scripted(0.1, "bad"), "good": scripted(0.9, "good")}
    )
    budget: int = 12
    window: int = 1
    workers: int = 2
    caps: Caps = Caps()
    verifier: ToldVerifier = field(default_factory=ToldVerifier)
    policy: Any = refine
    policy_options: Any = refine.Options(2, False, 3)

    def setting(self) -> Any:
        first = next(iter(self.models))
        lab = Lab(
            self.folder,
            self.policy,
            self.policy_options,
            self.models[first],
            self.verifier,
            budget=self.budget,
            window=self.window,
            workers=self.workers,
            retries=0,
        )
        arms = {
            f"{name}/one_shot": Route(f"scripted:{name}", model, "one_shot")
            for name, model in self.models.items()
        }
        return dataclasses.replace(
            lab.setting(),
            model_id=f"scripted:{first}",
            routes=Routes(self.router, self.options, arms),
        )

    def run(self, tasks: Sequence[Task] = POOL[:1]) -> Ledger:
        """The tasks one after another, learning between them; the ledger stays open."""
        setting, stop = self.setting(), threading.Event()
        with Ledger(self.folder / CELL / "ledger.jsonl") as ledger:
            if not ledger.events:
                ledger.append("control", {"op": "open", "cell": CELL, "guarantee": "G1"})
            caller = caller_of(setting, stop)
            learner = Learner(setting, ledger, caller, Account("cell", Caps()))
            by_name = {task.id: task for task in tasks}
            for name in learner.order(list(by_name)):
                task, account = by_name[name], Account("task", self.caps)
                lessons = learner.lessons(task)
                args = (setting, task, ledger, account, caller, stop, lambda *_: None, lessons)
                TaskRun(*args).run()
                learner.observe(task)
        return ledger


def arms_of(ledger: Ledger) -> list[str]:
    """The model of the arm of every ask, in order."""
    asks = [event.data["proposal"] for event in ledger.events if event.kind == "ask"]
    return [proposal["arm"].partition("/")[0] for proposal in asks]
