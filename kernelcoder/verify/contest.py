# SPDX-License-Identifier: Apache-2.0
"""Who takes part in a timing: starts the children, readies the baselines, and says what is missing.

A candidate and the reference solution run in the sandboxed child of a slot of their own; eager and
compiled PyTorch run in the baseline process. All map the same pages and run on the same processors;
the judge, where there are enough, on another.
"""

from __future__ import annotations

import contextlib
import functools
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.verify import VerifyOptions, deaths
from kernelcoder.verify.arena import SLOW_NS, Arena, Contestant, Unfair, parts_of
from kernelcoder.verify.baselines import BaselineFailed, Baselines
from kernelcoder.verify.builder import Builder
from kernelcoder.verify.compile import Built
from kernelcoder.verify.placing import Places
from kernelcoder.verify.precompile import Precompiler
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.slots import Child, Died, Limits, Slot, SlotError, TimedOut, Window

__all__ = ["Arena", "Contest", "Contestant", "Unfair"]

_NULL_WINDOWS = 25
_TRIALS = 3
_FIRST_WINDOWS = 3
_INSPECT_SECONDS = 1.0
# Slots of a candidate and of the reference solution, by whether they have changed places.
_SEATS = {False: {"candidate": "one", "reference": "two"},
          True: {"candidate": "two", "reference": "one"}}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where children are started: the bench, who is in already, which slot is whose."""

    bench: Bench
    children: dict[str, Child]
    fresh: bool
    seats: Mapping[str, str]
    limits: Limits


class Contest:
    """Keeps the baseline process, the slots and the compiled reference solutions."""

    def __init__(self, options: VerifyOptions, cache: Path, builder: Builder) -> None:
        self._options, self._builder = options, builder
        self._process = Baselines(cache, options.threads)
        self._precompiler = Precompiler(cache, options.threads)
        self._slots: dict[str, Slot] = {}
        # (bench, baseline) -> the life of the baseline process it was readied in
        self._prepared: dict[tuple[str, str], int] = {}
        self._failures: dict[tuple[str, str], str] = {}
        self._least: dict[int, int] = {}
        self._places = Places(options.threads)
        # (bench, baseline) -> seconds per call when it was alone, before any candidate
        self.alone: dict[tuple[str, str], float] = {}

    def notes(self, benches: Sequence[Bench]) -> tuple[str, ...]:
        """How the numbers were made, and which baselines of these benches are missing and why."""
        clock = "CPU time" if self._options.threads == 1 else "time of the busiest thread"
        how = f"{clock}, interleaved rounds, fresh inputs per call; baseline allocator warmed"
        names = {bench.name for bench in benches}
        missing = {kind: why for (name, kind), why in self._failures.items() if name in names}
        return (how, *(f"no {kind} baseline: {why}" for kind, why in sorted(missing.items())))

    def _limits(self, core: int) -> Limits:
        options = self._options
        return Limits(
            memory_mb=options.memory_mb,
            cpu_seconds=options.timeout_seconds * 8,
            threads=options.threads,
            core=core,
        )

    def _slot(self, name: str, fresh: bool) -> Slot:
        if fresh and self._builder.renews and name in self._slots:
            self._slots.pop(name).close()
        if name not in self._slots:
            self._slots[name] = self._builder.slot()
        return self._slots[name]

    @contextlib.contextmanager
    def enter(
        self,
        bench: Bench,
        contestants: Sequence[Contestant],
        baselines: Sequence[str],
        fresh: bool = False,
        swapped: bool = False,
    ) -> Iterator[Arena]:
        """Start a child per contestant and ready the baselines that can be had.

        ``fresh`` execs new slots, hence a new address-space layout; ``swapped`` gives the candidate
        the slot of the reference solution and the other way round."""
        core = self._places.next()
        present = [kind for kind in baselines if kind != "reference" and self._ready(bench, kind)]
        if present:
            self._places.bind(self._process.pid, core)
        children: dict[str, Child] = {}
        timeout = float(self._options.timeout_seconds)
        entry = _Entry(bench, children, fresh, _SEATS[swapped], self._limits(core))
        try:
            for contestant in contestants:
                self._enter(entry, contestant.name, contestant.built)
            # One call first: several calls of a very slow kernel would take minutes, for nothing.
            first = children[contestants[0].name]
            trials = _tried(first, timeout)
            count = 1 if min(trial.cpu_ns for trial in trials) > SLOW_NS else bench.count
            if "reference" in baselines:
                self._enter_reference(entry)
            timed = [child.pid() for child in children.values()]
            timed += [self._process.pid] if present else []
            timed += [self._slots[entry.seats.get(name, name)].pid for name in children]
            with self._places.judge_there(core), self._places.first_of_all(timed):
                idle_ns = self._idle(entry)
                lost = functools.partial(self._lost, bench)
                threads = self._options.threads
                arena = Arena(
                    bench, children, idle_ns, present, self._process, timeout, count, threads, lost
                )
                if count == bench.count:
                    arena.parts = parts_of(min(trial.cpu_ns for trial in trials) * count, arena)
                yield arena
                _inspect(arena, first)
        except (Died, TimedOut) as end:
            deaths.from_outside(end.exit)
            raise Unfair(f"it did not survive being started for timing: {end}", "crashed") from end
        finally:
            for child in children.values():
                child.finish()

    def _enter(self, entry: _Entry, name: str, built: Built) -> Child:
        """Start one compiled kernel in its slot; it is among the children from the start on."""
        if built.path is None:
            raise Unfair(f"{name} is not compiled", "incorrect")
        slot = self._slot(entry.seats.get(name, name), entry.fresh)
        child = slot.start(built.path, entry.bench.regions, entry.limits)
        entry.children[name] = child
        child.loaded(float(self._options.timeout_seconds))
        # A child's stop wakes its slot: on another processor that costs the child 20-40 us more.
        self._places.bind(slot.pid, entry.limits.core)
        return child

    def _enter_reference(self, entry: _Entry) -> None:
        """Start the task's own kernel; without one, or if it fails, there is no such baseline."""
        solution = entry.bench.task.solutions.get(self._builder.backend, "")
        if not solution:
            return
        try:
            child = self._enter(entry, "reference", self._builder.build(solution))
            # As many first calls as the candidate had: where rounds are few, later ones would pay.
            _tried(child, float(self._options.timeout_seconds))
        except (Died, TimedOut, Unfair) as failure:
            entry.children.pop("reference", None)
            self._lost(entry.bench, "reference", BaselineFailed(str(failure)))

    def _idle(self, entry: _Entry) -> int:
        """CPU nanoseconds that a window over this bench costs a kernel that does nothing: measured
        in a child of our own, because a candidate could make its own empty windows look dear."""
        bench = entry.bench
        if bench.count not in self._least:
            built = self._builder.build(self._builder.null)
            mine = _Entry(bench, {}, False, {}, entry.limits)
            try:
                child = self._enter(mine, "null", built)
                windows = [
                    child.run(0, bench.count, prepare=bench.refresh) for _ in range(_NULL_WINDOWS)
                ]
            except (Died, TimedOut) as end:
                raise SlotError(f"a kernel that does nothing ended: {end}") from end
            finally:
                for child in mine.children.values():
                    child.finish()
            # A constant of the machine, which a busy moment can only make look larger.
            least = sorted(window.cpu_ns for window in windows)
            self._least[bench.count] = least[_NULL_WINDOWS // 10]
        return self._least[bench.count]

    def _ready(self, bench: Bench, kind: str) -> bool:
        """Map the bench into the baseline process and compile there, once; note a failure."""
        key = (bench.name, kind)
        if key in self._failures:
            return False
        # A baseline process that had to be started again knows nothing of what was readied before.
        if self._prepared.get(key) != self._process.lives:
            if kind == "compile":
                self._precompiler.wait(bench.name)
            try:
                self._process.map(
                    bench.name, bench.fds, bench.layout(), [list(bench.scalars)] * bench.count
                )
                self._process.prepare(bench.name, bench.task.id, kind)
                self._prepared[key] = self._process.lives
                self._seen_alone(bench, kind)
            except BaselineFailed as failure:
                self._lost(bench, kind, failure)
        return key not in self._failures

    def _seen_alone(self, bench: Bench, kind: str) -> None:
        """Time a baseline before any candidate has run beside it."""
        spent = []
        for _ in range(_FIRST_WINDOWS):
            bench.refresh()
            spent.append(self._process.window(bench.name, bench.task.id, kind, bench.count))
        self.alone[bench.name, kind] = statistics.median(spent) * 1e-9 / bench.count

    def _lost(self, bench: Bench, kind: str, failure: BaselineFailed) -> None:
        """Go on without a baseline for this bench, and say so."""
        why = (str(failure).splitlines() or ["no reason given"])[0]
        self._failures[(bench.name, kind)] = f"{bench.task.id}: {why[:200]}"

    def precompile(self, bench: Bench) -> None:
        """Start compiling a bench's torch.compile baseline in the background."""
        scalars = [list(bench.scalars)] * bench.count
        self._precompiler.add(bench.name, bench.task.id, bench.fds, bench.layout(), scalars)

    def forget(self, bench: Bench) -> None:
        """Release what the baseline process holds of a bench."""
        for key in [*self._prepared, *self._failures, *self.alone]:
            if key[0] == bench.name:
                self._prepared.pop(key, None)
                self._failures.pop(key, None)
                self.alone.pop(key, None)
        with contextlib.suppress(BaselineFailed):
            self._process.drop(bench.name)

    def close(self) -> None:
        """End slots and the baseline process."""
        for slot in self._slots.values():
            slot.close()
        self._slots.clear()
        self._precompiler.close()
        self._process.close()


def _inspect(arena: Arena, candidate: Child) -> None:
    """More rounds like any other, which do not count, if its observer has seen too little."""
    rng, end = random.Random(), time.monotonic() + _INSPECT_SECONDS
    while candidate.unsure() and time.monotonic() < end:
        arena.round(rng)


def _tried(child: Child, timeout: float) -> list[Window]:
    """The first calls of a child, of one call each."""
    return [child.run(0, 1, timeout=timeout, prepare=_nothing) for _ in range(_TRIALS)]


def _nothing() -> None:
    """Prepares a timed run whose inputs do not matter."""
