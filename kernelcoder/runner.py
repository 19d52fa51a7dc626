# SPDX-License-Identifier: Apache-2.0
"""Runs cells: opens models and verifiers once, tasks in a pool, and keeps one failure from another.

Cells run in the order given (seed-major). A cell that breaks leaves its traceback in its folder
and the next one runs; a cell another process holds, or one this machine cannot run, is skipped and
named at the end.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

from benchmarks import splits
from kernelcoder import arms, cells, config, matrix, paths, registry
from kernelcoder.budget import Account, caps_of, share
from kernelcoder.engine import allocating, search
from kernelcoder.engine.asking import Setting, Stream
from kernelcoder.engine.calling import Stopped, Unreachable
from kernelcoder.engine.learning import Learner
from kernelcoder.engine.routes import Route, Routes
from kernelcoder.engine.routing import caller_of
from kernelcoder.engine.side_by_side import Either, deadline, in_pool, stopping
from kernelcoder.engine.verdicts import SharedVerdicts, shared_secret
from kernelcoder.errors import BROKEN, CANNOT_RUN, DONE, INTERRUPTED, CannotRun, Error, Problem
from kernelcoder.ledger import Held, Ledger
from kernelcoder.matrix import Cell
from kernelcoder.models import Model
from kernelcoder.models.plane.failures import Lost
from kernelcoder.models.plane.lines import Plane
from kernelcoder.progress import Progress
from kernelcoder.prompts import TEMPLATES_DIGEST
from kernelcoder.recordings import Recordings
from kernelcoder.records import TIMED_MODES
from kernelcoder.stop_rules import rules_of
from kernelcoder.task import Task
from kernelcoder.verify import Verifier, VerifyOptions

State = Literal["done", "unfinished", "broken", "held", "cannot run", "interrupted"]
SEEDED = frozenset({"recipe", "replay", "embedded", "sim"})
CODES = {
    "done": DONE,
    "unfinished": BROKEN,
    "broken": BROKEN,
    "held": BROKEN,
    "cannot run": CANNOT_RUN,
    "interrupted": INTERRUPTED,
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended; ``note`` is one sentence, empty for a plain success."""

    cell: Cell
    state: State
    note: str = ""


def workers_of(asked: int) -> int:
    """RUN_WORKERS, 0 meaning the cores this process may use."""
    if asked:
        return asked
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def guarantee(cell: Cell) -> str:
    """``G2``: running again gives the identical ledger, times aside (a seeded local model, and no
    measured time that a method could act on; a simulated one is seeded as well). ``G1``: replaying
    the recorded replies does."""
    models = [cell.model, *(arm.model for arm in arms.arms(cell.values))]
    providers = {registry.model_id(one, cell.values).partition(":")[0] for one in models}
    clock = cell.values["VERIFY_TIMING"] and cell.backend != "sim"
    return "G2" if providers <= SEEDED and not clock else "G1"


class Runner:
    """Runs cells one after another; a context manager that closes models and verifiers."""

    def __init__(self, progress: Progress, workers: int = 0) -> None:
        self.stop = threading.Event()
        self._progress = progress
        self._workers = workers_of(workers)
        calls = paths.results() / "calls"
        self._recordings = {paid: Recordings(calls, paid) for paid in (True, False)}
        self._models: dict[tuple[str, Any], Model] = {}
        self._plane = Plane()
        self._verifiers: dict[Any, Verifier] = {}
        self._tasks: dict[tuple[str, str], Task] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for model in self._models.values():
            model.close()
        for verifier in self._verifiers.values():
            verifier.close()

    def run(self, chosen: Sequence[Cell]) -> list[Outcome]:
        """Every cell; never raises for what happens inside one. Ctrl-C ends cleanly."""
        outcomes: list[Outcome] = []
        for number, cell in enumerate(chosen, 1):
            try:
                outcomes.append(self._guarded(cell, number, len(chosen)))
            except KeyboardInterrupt:
                self.stop.set()
                outcomes.append(Outcome(cell, "interrupted", "make bench resumes"))
                break
        return outcomes

    def _guarded(self, cell: Cell, number: int, count: int) -> Outcome:
        """One cell with its errors turned into an outcome."""
        try:
            names = matrix.tasks(cell)
            self._progress.cell_begins(cell.id, number, count, len(names))
            outcome = self._run_cell(cell, names)
        except Held as held:
            outcome = Outcome(cell, "held", held.what)
        except CannotRun as lacking:
            outcome = Outcome(cell, "cannot run", lacking.what)
        except Error as error:
            outcome = Outcome(cell, "broken", str(error).removeprefix("error: "))
        # The boundary of a cell: a bug in one must not stop the others.
        except Exception as problem:  # noqa: BLE001
            outcome = Outcome(cell, "broken", self._keep_traceback(cell, problem))
        self._progress.cell_ends(outcome.state, outcome.note)
        return outcome

    def _keep_traceback(self, cell: Cell, problem: Exception) -> str:
        path = matrix.folder(cell) / "traceback.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(time.strftime("%Y-%m-%d %H:%M:%S\n"))
            traceback.print_exception(problem, file=stream)
        return f"{type(problem).__name__}: {problem} (traceback in {path})"

    def _run_cell(self, cell: Cell, names: Sequence[str]) -> Outcome:
        cell_dir = matrix.folder(cell)
        with Ledger(cell_dir / "ledger.jsonl", cells.language_model(cell)) as ledger:
            if ledger.torn:
                self._progress.line(f"dropped a torn last line of {ledger.torn} bytes")
            budget, caps = int(cell.values["BUDGET"]), caps_of(cell.values)
            again = search.reopenable(ledger.events, budget, caps, rules_of(cell.values))
            secret = ""
            if cell.values["RUN_SHARE_VERDICTS"]:
                secret = shared_secret(cell_dir.parent / "verdicts", cell.seed)
            maker = maker_of(cell, names, secret)
            moved = self._changed_tasks(cell, ledger)
            if ledger.closed and not again:
                meta = cells.read_meta(cell_dir) or {}
                cells.refuse(cell, [*cells.differing(meta, cell, maker), *moved])
                return Outcome(cell, "done", "was finished before; nothing repeated")
            cells.refuse(cell, moved)
            meta = cells.prepare(cell, maker)
            if more := cells.raised(meta["values"], cell.values):
                cells.allow(cell_dir, meta, more)
            self._open_event(cell, ledger, again)
            return self._search(cell, ledger, names, str(meta["holdout_key"]))

    def _changed_tasks(self, cell: Cell, ledger: Ledger) -> list[Problem]:
        """Tasks whose file is not the one their recorded search was judged by."""
        found = []
        known = set(registry.module("SUITE", cell.suite).names())
        for event in ledger.events:
            if event.kind != "control" or event.data["op"] != "task_begin":
                continue
            name = str(event.task)
            if name.partition("/")[2] not in known:
                found.append(Problem(name, "its file is gone since the cell was recorded"))
            elif self._task(cell, name).digest != event.data["digest"]:
                found.append(Problem(name, "its file was changed since the cell was recorded"))
        return found

    def _open_event(self, cell: Cell, ledger: Ledger, again: Sequence[str]) -> None:
        if ledger.events:
            ledger.append("control", {"op": "resume", "pid": os.getpid(), "reopened": list(again)})
            return
        opened = {"op": "open", "cell": cell.id, "guarantee": guarantee(cell)}
        ledger.append("control", opened)

    def _search(self, cell: Cell, ledger: Ledger, names: Sequence[str], secret: str) -> Outcome:
        """All tasks of an open cell. Whatever stops it leaves a ledger that can be continued."""
        setting = self._setting(cell, secret)
        stop = threading.Event()
        lines = self._plane.lines(cell.values, partial(_lost, ledger))
        caller = caller_of(setting, Either(self.stop, stop), lines)
        account = Account("cell", caps_of(cell.values))
        timer = deadline(int(cell.values["BUDGET_MINUTES"]), stop)
        either = Either(self.stop, stop)
        learner = Learner(setting, ledger, caller, account, stopping(either))

        by_headroom = bool(cell.values["ALLOCATOR_HEADROOM"])

        def begun(name: str) -> search.TaskRun:
            task = self._task(cell, name)
            mine, told = Account("task", share(account.caps, len(names)), account), learner.lessons
            watch = self._progress.attempt
            self._progress.task_begins(task.id)
            return search.TaskRun(setting, task, ledger, mine, caller, either, watch, told(task))

        def one(name: str) -> None:
            if not by_headroom:
                begun(name).run()
            why = str(ledger.events_of(name)[-1].data.get("why", ""))
            learner.observe(self._task(cell, name))
            self._progress.task_ends(name, why)

        parallel = 1 if learner.sequential else self._workers
        note = ""
        try:
            side = partial(in_pool, workers=parallel, run_stop=self.stop, cell_stop=stop)
            if by_headroom:
                size = int(cell.values["ALLOCATOR_SLICE"])
                runs = [begun(name) for name in names]
                allocating.rounds(runs, setting.budget, size, setting.baseline, side)
            side(one, learner.order(names))
        except Unreachable as problem:
            note = f"the model did not answer: {problem}"
            ledger.append("control", {"op": "infra", "what": note})
        except Stopped:
            if self.stop.is_set():
                raise KeyboardInterrupt from None
            note = f"BUDGET_MINUTES={cell.values['BUDGET_MINUTES']} are over"
        finally:
            timer.cancel()
        if note:
            return Outcome(cell, "unfinished", f"{note}; make bench resumes")
        ledger.append("control", {"op": "close"})
        return Outcome(cell, "done")

    def _setting(self, cell: Cell, secret: str) -> Setting:
        values = cell.values
        backend = registry.module("BACKEND", cell.backend)
        options = config.fill(VerifyOptions, values, "VERIFY")
        return Setting(
            method=cell.method,
            policy=registry.module("METHOD", cell.method),
            options=registry.options("METHOD", cell.method, values),
            memory=registry.module("MEMORY", cell.memory),
            memory_options=registry.options("MEMORY", cell.memory, values),
            model_id=registry.model_id(cell.model, values),
            model=self._model(cell.model, values),
            backend=cell.backend,
            backend_module=backend,
            verifier=self._shared(cell, self._verifier(cell.backend, backend, options, values)),
            recordings=self._recordings[cells.language_model(cell)],
            holdout_key=secret,
            seed=cell.seed,
            budget=int(values["BUDGET"]),
            window=int(values["SEARCH_WINDOW"]),
            fewshot=int(values["FEWSHOT"]),
            temperature=int(values["TEMPERATURE_PERCENT"]) / 100,
            max_tokens=int(values["MAX_TOKENS"]),
            retries=int(values["RUN_RETRIES"]),
            rules=rules_of(values),
            corrupt=int(values["CHAOS_CORRUPT_PERCENT"]),
            timing=options.timing and backend.probe().mode in TIMED_MODES,
            baseline=options.baseline,
            workers=self._workers,
            recipe=str(values.get("RECIPE", "one_shot")),
            recipes=_recipes(cell),
            withhold=int(values["STREAM_WITHHOLD_PERCENT"]) / 100,
            finalists=int(values["VERIFY_FINALISTS"]),
            verify_version=_verify_version(cell),
            stream=_stream(cell),
            routes=self._routes(cell),
        )

    def _routes(self, cell: Cell) -> Routes | None:
        """The cell's router with its arms, their models open."""
        found = arms.router(cell.values)
        if found is None:
            return None
        routes = {
            arm.name: Route(
                registry.model_id(arm.model, cell.values),
                self._model(arm.model, cell.values),
                arm.step,
            )
            for arm in arms.arms(cell.values)
        }
        return Routes(*found, routes)

    def _model(self, member: str, values: Mapping[str, Any]) -> Model:
        provider = registry.module("MODEL", member, values)
        options = registry.options("MODEL", member, values)
        key = (provider.__name__, options)
        if key not in self._models:
            workdir = paths.cache() / "models" / provider.__name__.rpartition(".")[2]
            workdir.mkdir(parents=True, exist_ok=True)
            self._models[key] = provider.open(options, workdir)
        return self._models[key]

    def _verifier(
        self, name: str, backend: Any, options: VerifyOptions, values: Mapping[str, Any]
    ) -> Verifier:
        known = hasattr(backend, "Options")
        own = (registry.options("BACKEND", name, values),) if known else ()
        key = (name, options, own)
        if key not in self._verifiers:
            folder = paths.cache()
            folder.mkdir(parents=True, exist_ok=True)
            self._verifiers[key] = backend.open_verifier(options, folder, self._workers, *own)
        return self._verifiers[key]

    def _shared(self, cell: Cell, verifier: Verifier) -> Verifier:
        """The verifier, behind the verdicts that other cells have had where they are shared."""
        if not cell.values["RUN_SHARE_VERDICTS"]:
            return verifier
        prefixes = ("VERIFY_", f"BACKEND_{cell.backend.upper()}_")
        options = [(k, v) for k, v in sorted(cell.values.items()) if k.startswith(prefixes)]
        folder = matrix.folder(cell).parent / "verdicts"
        return SharedVerdicts(verifier, folder, (cell.backend, _verify_version(cell), options))

    def _task(self, cell: Cell, task_id: str) -> Task:
        key = (cell.suite, task_id)
        if key not in self._tasks:
            name = task_id.partition("/")[2]
            self._tasks[key] = registry.module("SUITE", cell.suite).load(name)
        return self._tasks[key]


def _recipes(cell: Cell) -> dict[str, tuple[Any, Any]]:
    """The step recipes that proposals of a cell may name: its own, and those its method asks for
    (``STEPS``) or its router may choose, each with its options."""
    method = registry.module("METHOD", cell.method)
    names = {"one_shot", str(cell.values.get("RECIPE", "one_shot")), *getattr(method, "STEPS", ())}
    names |= {arm.step for arm in arms.arms(cell.values)}
    return {
        name: (
            registry.module("RECIPE", name),
            registry.options("RECIPE", name, cell.values),
        )
        for name in sorted(names)
    }


def _lost(ledger: Ledger, lost: Lost) -> None:
    """A call whose reply could not be used: the report's cost has it, no attempt does."""
    ledger.append("control", {"op": "infra", "what": lost.why, "lost": lost.data()})


def _stream(cell: Cell) -> Stream:
    """How the tasks of a cell follow each other, from ``STREAM_*``."""
    held_out: frozenset[str] = frozenset()
    if cell.values["STREAM_SPLIT"]:
        split = splits.load(cell.suite).of(matrix.tasks(cell))
        held_out = frozenset(f"{cell.suite}/{name}" for name in split.evaluate)
    return Stream(
        lag=int(cell.values["STREAM_LAG"]),
        shuffle=bool(cell.values["STREAM_SHUFFLE"]),
        held_out=held_out,
    )


def maker_of(cell: Cell, names: Sequence[str], secret: str = "") -> cells.Maker:
    """What a cell is made by and of here and now."""
    held_out = _stream(cell).held_out
    kept = tuple(name for name in names if name in held_out)
    return cells.Maker(_verify_version(cell), TEMPLATES_DIGEST, tuple(names), kept, secret)


def runnable(chosen: Sequence[Cell]) -> tuple[list[Cell], list[Outcome]]:
    """The cells this machine can run, and an outcome for each of the others."""
    good, rest = [], []
    for cell in chosen:
        found = matrix.availability(cell)
        if found.mode is None:
            rest.append(Outcome(cell, "cannot run", found.reason))
        else:
            good.append(cell)
    return good, rest


def _verify_version(cell: Cell) -> str:
    """The version of what judges a cell: of its backend, where that has a judge of its own."""
    backend = registry.module("BACKEND", cell.backend)
    if hasattr(backend, "VERIFY_VERSION"):
        return str(backend.VERIFY_VERSION)
    from kernelcoder.verify import service

    return str(service.VERIFY_VERSION)
