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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Literal, Self

from kernelcoder import cells, config, matrix, paths, registry
from kernelcoder.budget import Account, caps_of, share
from kernelcoder.engine import search
from kernelcoder.engine.asking import Setting
from kernelcoder.engine.calling import Caller, Stopped, Unreachable
from kernelcoder.engine.learning import Learner
from kernelcoder.errors import BROKEN, CANNOT_RUN, DONE, INTERRUPTED, CannotRun, Error, Problem
from kernelcoder.ledger import Held, Ledger
from kernelcoder.matrix import Cell
from kernelcoder.models import Model
from kernelcoder.progress import Progress
from kernelcoder.prompts import TEMPLATES_DIGEST
from kernelcoder.recordings import Recordings
from kernelcoder.task import Task
from kernelcoder.verify import Verifier, VerifyOptions

State = Literal["done", "unfinished", "broken", "held", "cannot run", "interrupted"]
SEEDED = frozenset({"recipe", "replay", "embedded"})
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
    measured time that a method could act on). ``G1``: replaying the recorded replies does."""
    provider = registry.model_id(cell.model, cell.values).partition(":")[0]
    return "G2" if provider in SEEDED and not cell.values["VERIFY_TIMING"] else "G1"


class Runner:
    """Runs cells one after another; a context manager that closes models and verifiers."""

    def __init__(self, progress: Progress, workers: int = 0) -> None:
        self.stop = threading.Event()
        self._progress = progress
        self._workers = workers_of(workers)
        self._recordings = Recordings(paths.results() / "calls")
        self._models: dict[tuple[str, Any], Model] = {}
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
        with Ledger(cell_dir / "ledger.jsonl") as ledger:
            if ledger.torn:
                self._progress.line(f"dropped a torn last line of {ledger.torn} bytes")
            budget, caps = int(cell.values["BUDGET"]), caps_of(cell.values)
            again = search.reopenable(ledger.events, budget, caps)
            maker = cells.Maker(_verify_version(), TEMPLATES_DIGEST, tuple(names))
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
        caller = Caller(setting.model, setting.retries, _Either(self.stop, stop))
        account = Account("cell", caps_of(cell.values))
        timer = _deadline(cell, stop)
        learner = Learner(setting, ledger)

        def one(name: str) -> None:
            self._one_task(setting, cell, ledger, account, caller, stop, learner, name, len(names))

        parallel = 1 if learner.sequential else self._workers
        note = ""
        try:
            _in_pool(one, names, parallel, self.stop, stop)
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

    def _one_task(
        self,
        setting: Setting,
        cell: Cell,
        ledger: Ledger,
        account: Account,
        caller: Caller,
        stop: threading.Event,
        learner: Learner,
        name: str,
        count: int,
    ) -> None:
        task = self._task(cell, name)
        mine = Account("task", share(account.caps, count), account)
        run = search.TaskRun(
            setting,
            task,
            ledger,
            mine,
            caller,
            _Either(self.stop, stop),
            self._progress.attempt,
            learner.context(task),
        )
        self._progress.task_begins(task.id)
        run.run()
        learner.observe(task)
        ended = ledger.events_of(task.id)[-1].data
        self._progress.task_ends(task.id, str(ended.get("why", "")))

    def _setting(self, cell: Cell, secret: str) -> Setting:
        values = cell.values
        backend = registry.module("BACKEND", cell.backend)
        options = config.fill(VerifyOptions, values, "VERIFY")
        model_options = registry.options("MODEL", cell.model, values)
        return Setting(
            method=cell.method,
            policy=registry.module("METHOD", cell.method),
            options=registry.options("METHOD", cell.method, values),
            memory=registry.module("MEMORY", cell.memory),
            memory_options=registry.options("MEMORY", cell.memory, values),
            model_id=registry.model_id(cell.model, values),
            model=self._model(cell, model_options),
            backend=cell.backend,
            backend_module=backend,
            verifier=self._verifier(cell.backend, backend, options, values),
            recordings=self._recordings,
            holdout_key=secret,
            seed=cell.seed,
            budget=int(values["BUDGET"]),
            window=int(values["SEARCH_WINDOW"]),
            fewshot=int(values["FEWSHOT"]),
            temperature=int(values["TEMPERATURE_PERCENT"]) / 100,
            max_tokens=int(values["MAX_TOKENS"]),
            retries=int(values["RUN_RETRIES"]),
            timing=options.timing and backend.probe().mode == "native",
            baseline=options.baseline,
            workers=self._workers,
        )

    def _model(self, cell: Cell, options: Any) -> Model:
        provider = registry.module("MODEL", cell.model, cell.values)
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

    def _task(self, cell: Cell, task_id: str) -> Task:
        key = (cell.suite, task_id)
        if key not in self._tasks:
            name = task_id.partition("/")[2]
            self._tasks[key] = registry.module("SUITE", cell.suite).load(name)
        return self._tasks[key]


class _Either(threading.Event):
    """Set when either of two events is: the whole run's, or the cell's own."""

    def __init__(self, run: threading.Event, cell: threading.Event) -> None:
        super().__init__()
        self._both = (run, cell)

    def is_set(self) -> bool:
        return any(one.is_set() for one in self._both)

    def wait(self, timeout: float | None = None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            left = 0.2 if end is None else min(0.2, end - time.monotonic())
            if left <= 0:
                break
            self._both[0].wait(left)
        return self.is_set()


def _deadline(cell: Cell, stop: threading.Event) -> threading.Timer:
    """Sets ``stop`` after BUDGET_MINUTES of this session; 0 is never."""
    minutes = int(cell.values["BUDGET_MINUTES"])
    timer = threading.Timer(minutes * 60, stop.set)
    timer.daemon = True
    if minutes:
        timer.start()
    return timer


def _in_pool(
    one: Callable[[str], None],
    names: Sequence[str],
    workers: int,
    run_stop: threading.Event,
    cell_stop: threading.Event,
) -> None:
    """Run all names; the first exception stops the rest of the cell and is raised. Ctrl-C stops the
    whole run; either way everything under way is finished and recorded before this returns."""
    pool = ThreadPoolExecutor(max(1, workers), "task")
    futures: list[Future[None]] = [pool.submit(one, name) for name in names]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
    except KeyboardInterrupt:
        run_stop.set()
        raise
    finally:
        if any(
            future.done() and not future.cancelled() and future.exception() for future in futures
        ):
            cell_stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    errors = [future.exception() for future in futures if not future.cancelled()]
    for kind in (Exception, Unreachable, Stopped):  # the cause before its consequences
        for error in errors:
            secondary = isinstance(error, (Unreachable, Stopped)) and kind is Exception
            if isinstance(error, kind) and not secondary:
                raise error


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


def _verify_version() -> str:
    from kernelcoder.verify import service

    return str(service.VERIFY_VERSION)
