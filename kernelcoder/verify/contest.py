# SPDX-License-Identifier: Apache-2.0
"""Who runs in a timing round, and the rounds themselves.

A candidate and the reference solution run in the sandboxed child of a slot of their own; eager and
compiled PyTorch run in the baseline process. All map the same pages. Of native kernels the judge
reads the clock from outside, the CPU time the kernel of the system accounts to a process; the
baseline process is ours and reads its own.
"""

from __future__ import annotations

import contextlib
import functools
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.baselines import BaselineFailed, Baselines
from kernelcoder.verify.builder import Builder
from kernelcoder.verify.compile import Built
from kernelcoder.verify.precompile import Precompiler
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.slots import Child, Died, Limits, Slot, TimedOut, Window

# CPU time after "done" that is typical, not once: a kernel still busy when it claims to have
# finished. It gains nothing by it, since time counts up to the freeze; it is dishonest all the
# same. On a busy machine being stopped alone costs 20-40 us.
_LATE_NS, _LATE_SHARE = 150_000, 0.05
_NULL_WINDOWS = 25
_TRIALS = 3
_SLOW_NS = 20_000_000


class Unfair(Exception):
    """The candidate cannot be timed: it died, gave a wrong timed output, or defied the clock.

    ``status`` is the verdict it amounts to."""

    def __init__(self, problem: str, status: str) -> None:
        super().__init__(problem)
        self.problem, self.status = problem, status


@dataclass(frozen=True, slots=True)
class Contestant:
    """A compiled kernel that takes part under a name."""

    name: str
    built: Built


@dataclass(slots=True)
class Arena:
    """One bench with everyone inside, ready for rounds."""

    bench: Bench
    children: dict[str, Child]
    idle_ns: int
    baselines: list[str]
    process: Baselines
    timeout: float
    count: int
    lost: Callable[[str, BaselineFailed], None]
    _turn: int = 0
    _windows: list[Window] = field(default_factory=list)

    def round(self, rng: random.Random) -> dict[str, float]:
        """CPU seconds per call of every contestant, in random order, each on new inputs of its own
        in the same pages."""
        names = [*self.children, *(name for name in self.baselines if name not in self.children)]
        # alternate direction, so that whoever follows whom is balanced whatever the draw
        rng.shuffle(names)
        self._turn += 1
        times: dict[str, float] = {}
        for name in names if self._turn % 2 else reversed(names):
            try:
                times[name] = self._once(name)
            except BaselineFailed as failure:
                self.lost(name, failure)
        return times

    def fair(self) -> None:
        """Raise Unfair if the candidate usually worked on after its done token (clock forger)."""
        if not self._windows:
            return
        after = statistics.median(window.late_cpu_ns for window in self._windows)
        busy = statistics.median(window.cpu_ns for window in self._windows)
        if after > max(_LATE_NS, _LATE_SHARE * busy):
            what = f"usually computes for another {after / 1000:.0f} us after it says it is done"
            raise Unfair(f"it {what}", "cheating")

    def _once(self, name: str) -> float:
        bench, count = self.bench, self.count
        if name in self.children:
            raw = self._native(name, count)
            # What go, done and the freeze cost the child; never more than half, whatever it says.
            spent = max(raw - self.idle_ns, raw // 2)
        else:
            bench.refresh(count)
            spent = self.process.window(bench.name, bench.task.id, name, count)
        return spent * 1e-9 / count

    def _prepare(self, count: int) -> None:
        self.bench.refresh(count)
        self.bench.poison()

    def _native(self, name: str, count: int) -> int:
        """Run one native contestant and check what it wrote. Only the candidate can be unfair: a
        reference that fails is a baseline less."""
        try:
            window = self.children[name].run(
                0, count, timeout=self.timeout, prepare=functools.partial(self._prepare, count)
            )
        except (TimedOut, Died) as end:
            if name == "reference":
                self.children.pop(name).finish()
                raise BaselineFailed(f"the task's own kernel ended: {end}") from end
            if isinstance(end, TimedOut):
                raise Unfair("it exceeded its time limit while being timed", "timeout") from end
            how = f"{end.exit.kind} {end.exit.code}"
            raise Unfair(f"it died while being timed ({how})", "crashed") from end
        if name == "reference":
            return window.cpu_ns
        if name == "candidate":
            self._windows.append(window)
            if window.cpu_ns < _SLOW_NS // 2:
                # It was slow at first only: from now on like any other kernel.
                self.count = self.bench.count
        if problem := self.bench.wrong(self.bench.choose(count)):
            raise Unfair(problem, "incorrect")
        return window.cpu_ns


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

    def notes(self, benches: Sequence[Bench]) -> tuple[str, ...]:
        """How the numbers were made, and which baselines of these benches are missing and why."""
        how = "CPU time, interleaved rounds, fresh inputs per call; baseline allocator warmed"
        names = {bench.name for bench in benches}
        missing = {kind: why for (name, kind), why in self._failures.items() if name in names}
        return (how, *(f"no {kind} baseline: {why}" for kind, why in sorted(missing.items())))

    def limits(self) -> Limits:
        """Limits of a timed child."""
        options = self._options
        return Limits(
            memory_mb=options.memory_mb,
            cpu_seconds=options.timeout_seconds * 8,
            threads=options.threads,
        )

    def _slot(self, name: str, fresh: bool) -> Slot:
        if fresh and name in self._slots:
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
    ) -> Iterator[Arena]:
        """Start a child per contestant and ready the baselines that can be had.

        ``fresh`` execs new slots, hence a new address-space layout."""
        present = [kind for kind in baselines if kind != "reference" and self._ready(bench, kind)]
        children: dict[str, Child] = {}
        timeout = float(self._options.timeout_seconds)
        try:
            for contestant in contestants:
                self._enter(children, contestant.name, contestant.built, bench, fresh)
            # One call first: several calls of a very slow kernel would take minutes, for nothing.
            first = children[contestants[0].name]
            trials = [first.run(0, 1, timeout=timeout, prepare=_nothing) for _ in range(_TRIALS)]
            count = 1 if min(trial.cpu_ns for trial in trials) > _SLOW_NS else bench.count
            if "reference" in baselines:
                self._enter_reference(children, bench, fresh)
            idle_ns = self._idle(bench, count)
            yield Arena(bench, children, idle_ns, present, self._process, timeout, count,
                        functools.partial(self._lost, bench))  # fmt: skip
        except (Died, TimedOut) as end:
            raise Unfair(f"it did not survive being started for timing: {end}", "crashed") from end
        finally:
            for child in children.values():
                child.finish()

    def _enter(
        self, children: dict[str, Child], name: str, built: Built, bench: Bench, fresh: bool
    ) -> Child:
        """Start one compiled kernel in its slot; it is among ``children`` from the start on."""
        if built.path is None:
            raise Unfair(f"{name} is not compiled", "incorrect")
        child = self._slot(name, fresh).start(built.path, bench.regions, self.limits())
        children[name] = child
        child.loaded(float(self._options.timeout_seconds))
        return child

    def _enter_reference(self, children: dict[str, Child], bench: Bench, fresh: bool) -> None:
        """Start the task's own kernel; without one, or if it fails, there is no such baseline."""
        solution = bench.task.solutions.get(self._builder.backend, "")
        if not solution:
            return
        try:
            self._enter(children, "reference", self._builder.build(solution), bench, fresh)
        except (Died, TimedOut, Unfair) as failure:
            children.pop("reference", None)
            self._lost(bench, "reference", BaselineFailed(str(failure)))

    def _idle(self, bench: Bench, count: int) -> int:
        """CPU nanoseconds that a window over this bench costs a kernel that does nothing: measured
        in a child of our own, because a candidate could make its own empty windows look dear."""
        if count not in self._least:
            built = self._builder.build(self._builder.null)
            children: dict[str, Child] = {}
            try:
                child = self._enter(children, "null", built, bench, fresh=False)
                windows = [child.run(0, count, prepare=_nothing) for _ in range(_NULL_WINDOWS)]
            finally:
                for child in children.values():
                    child.finish()
            # A constant of the machine, which a busy moment can only make look larger.
            self._least[count] = min(window.cpu_ns for window in windows)
        return self._least[count]

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
            except BaselineFailed as failure:
                self._lost(bench, kind, failure)
        return key not in self._failures

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
        for kept in (self._prepared, self._failures):
            for key in [key for key in kept if key[0] == bench.name]:
                kept.pop(key)
        with contextlib.suppress(BaselineFailed):
            self._process.drop(bench.name)

    def close(self) -> None:
        """End slots and the baseline process."""
        for slot in self._slots.values():
            slot.close()
        self._slots.clear()
        self._precompiler.close()
        self._process.close()


def _nothing() -> None:
    """Prepares a timed run whose inputs do not matter."""
