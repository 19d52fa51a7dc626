# SPDX-License-Identifier: Apache-2.0
"""Who runs in a timing round, and the rounds themselves.

A candidate and the reference solution run in the sandboxed child of a slot of their own; eager and
compiled PyTorch run in the baseline process. All map the same pages. The judge starts and stops the
clocks: the CPU time the kernel of the system accounts to a process, read from outside it.
"""

from __future__ import annotations

import contextlib
import functools
import platform
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from kernelcoder.verify import VerifyOptions
from kernelcoder.verify.baselines import BaselineFailed, Baselines
from kernelcoder.verify.compile import FLAGS, Built, Compiler
from kernelcoder.verify.precompile import Precompiler
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.regions import Call, Regions
from kernelcoder.verify.roofline import COPY_SOURCE, PEAK_ROUNDS, PEAK_SOURCE
from kernelcoder.verify.slots import Child, Died, Limits, Slot, TimedOut, Window

# CPU time after "done" that is typical, not once: a kernel still busy when it claims to have
# finished. It gains nothing by it, since time counts up to the freeze; it is dishonest all the
# same. On a busy machine being stopped alone costs 20-40 us.
_LATE_NS, _LATE_SHARE = 150_000, 0.05
_EMPTY_WINDOWS = 7
_ROOF_WINDOWS = 25
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
    overhead: dict[str, int]
    baselines: list[str]
    process: Baselines
    timeout: float
    count: int
    lost: Callable[[str, BaselineFailed], None]
    _turn: int = 0
    _windows: list[Window] = field(default_factory=list)

    def round(self, rng: random.Random) -> dict[str, float]:
        """CPU seconds per call of every contestant on the same fresh inputs, in random order."""
        names = [*self.children, *(name for name in self.baselines if name not in self.children)]
        # alternate direction, so that whoever follows whom is balanced whatever the draw
        rng.shuffle(names)
        self._turn += 1
        self.bench.refresh()
        times: dict[str, float] = {}
        for name in names if self._turn % 2 else reversed(names):
            try:
                times[name] = self._once(name)
            except BaselineFailed as failure:
                self.lost(name, failure)
        return times

    def late(self) -> None:
        """Raise Unfair if the candidate usually worked on after its done token (clock forger)."""
        after = statistics.median(window.late_cpu_ns for window in self._windows)
        if after > max(
            _LATE_NS, _LATE_SHARE * statistics.median(window.cpu_ns for window in self._windows)
        ):
            raise Unfair(
                f"it usually computes for another {after / 1000:.0f} us after it says it is done",
                "cheating",
            )

    def _once(self, name: str) -> float:
        if name in self.children:
            raw = self._native(name)
            # What go, done and the freeze cost the child; never more than half, whatever it says.
            spent = max(raw - self.overhead[name], raw // 2)
        else:
            bench = self.bench
            spent = self.process.window(bench.name, bench.task.id, name, self.count)
        return spent * 1e-9 / self.count

    def _native(self, name: str) -> int:
        check = self.bench.poison(self.count)
        try:
            window = self.children[name].run(0, self.count, touch=True, timeout=self.timeout)
        except TimedOut as late:
            raise Unfair("it exceeded its time limit while being timed", "timeout") from late
        except Died as death:
            raise Unfair(
                f"it died while being timed ({death.exit.kind} {death.exit.code})", "crashed"
            ) from death
        if name == "candidate":
            self._windows.append(window)
        if problem := self.bench.wrong(check):
            raise Unfair(problem, "incorrect")
        return window.cpu_ns


class Contest:
    """Keeps the baseline process, the slots and the compiled reference solutions."""

    def __init__(self, options: VerifyOptions, cache: Path, compiler: Compiler) -> None:
        self._options, self._compiler = options, compiler
        self._process = Baselines(cache)
        self._precompiler = Precompiler(cache)
        self._slots: dict[str, Slot] = {}
        self._prepared: dict[tuple[str, str], bool] = {}
        self._failures: dict[str, str] = {}

    def machine_key(self) -> str:
        """Processor, compiler and flags: what a measured roof is valid for."""
        model = platform.processor() or platform.machine()
        with contextlib.suppress(OSError):
            lines = Path("/proc/cpuinfo").read_text().splitlines()
            model = next(
                (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
                model,
            )
        return " | ".join((model, self._compiler.version, " ".join(FLAGS)))

    def notes(self) -> tuple[str, ...]:
        """How the numbers were made, and which baselines are missing and why."""
        how = "CPU time, interleaved rounds, fresh inputs per call; baseline allocator warmed"
        return (
            how,
            *(f"no {kind} baseline: {why}" for kind, why in sorted(self._failures.items())),
        )

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
            self._slots[name] = Slot()
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
        native = list(contestants)
        solution = bench.task.solutions.get("cpu", "")
        if "reference" in baselines and solution:
            native.append(Contestant("reference", self._compiler.build(solution)))
        present = [kind for kind in baselines if kind != "reference" and self._ready(bench, kind)]
        children: dict[str, Child] = {}
        try:
            for contestant in native:
                if contestant.built.path is None:
                    raise Unfair(f"{contestant.name} is not compiled", "compile_error")
                slot = self._slot(contestant.name, fresh)
                child = slot.start(contestant.built.path, bench.regions, self.limits())
                children[contestant.name] = child
                child.loaded(self._options.timeout_seconds)
            overhead = {name: _empty_window(child) for name, child in children.items()}
            # One call first: several calls of a very slow kernel would take minutes, for nothing.
            trial = children[native[0].name].run(0, 1, timeout=float(self._options.timeout_seconds))
            count = 1 if trial.cpu_ns > _SLOW_NS else bench.count
            yield Arena(
                bench,
                children,
                overhead,
                present,
                self._process,
                float(self._options.timeout_seconds),
                count,
                functools.partial(self._lost, bench),
            )
        except (Died, TimedOut) as end:
            raise Unfair(f"it did not survive being started for timing: {end}", "crashed") from end
        finally:
            for child in children.values():
                child.finish()

    def _ready(self, bench: Bench, kind: str) -> bool:
        """Map the bench into the baseline process and compile there, once; note a failure."""
        key = (bench.name, kind)
        if key not in self._prepared:
            if kind == "compile":
                self._precompiler.wait(bench.name)
            try:
                self._process.map(
                    bench.name, bench.fds, bench.layout(), [list(bench.scalars)] * bench.count
                )
                self._process.prepare(bench.name, bench.task.id, kind)
                self._prepared[key] = True
            except BaselineFailed as failure:
                self._lost(bench, kind, failure)
        return self._prepared[key]

    def _lost(self, bench: Bench, kind: str, failure: BaselineFailed) -> None:
        """Go on without a baseline for this bench, and say so."""
        self._failures[kind] = f"{bench.task.id}: {str(failure).splitlines()[0][:200]}"
        self._prepared[(bench.name, kind)] = False

    def precompile(self, bench: Bench) -> None:
        """Start compiling a bench's torch.compile baseline in the background."""
        scalars = [list(bench.scalars)] * bench.count
        self._precompiler.add(bench.name, bench.task.id, bench.fds, bench.layout(), scalars)

    def forget(self, bench: Bench) -> None:
        """Release what the baseline process holds of a bench."""
        self._prepared = {key: ok for key, ok in self._prepared.items() if key[0] != bench.name}
        with contextlib.suppress(BaselineFailed):
            self._process.drop(bench.name)

    def measure_roof(self, kind: str, size: int) -> float:
        """Best bytes/s of a copy over ``size`` bytes in all, or best flop/s in registers."""
        calls, shape = (4, (max(size // 32, 16),)) if kind == "copy" else (1, (16,))
        variants = (0.0, 1.0) if kind == "copy" else (float(PEAK_ROUNDS),)
        best = 0.0
        built = self._compiler.build(COPY_SOURCE if kind == "copy" else PEAK_SOURCE)
        if built.path is None:
            raise RuntimeError(f"the roofline kernel does not compile: {built.log}")
        for scalar in variants:
            x = torch.full(shape, 0.5)
            regions = Regions([Call((x,), ((shape, "f32"),), (scalar,)) for _ in range(calls)])
            child = self._slot("roof", fresh=True).start(built.path, regions, self.limits())
            try:
                child.loaded(30.0)
                empty = _empty_window(child)
                spent = (
                    min(
                        child.run(0, calls, touch=True, timeout=30.0).cpu_ns
                        for _ in range(_ROOF_WINDOWS)
                    )
                    - empty
                )
                seconds = max(spent, 1) * 1e-9
                width = float(regions.output(0)[1])
                work = 8.0 * shape[0] * calls if kind == "copy" else 2.0 * 12 * width * PEAK_ROUNDS
                best = max(best, work / seconds)
            finally:
                child.finish()
                regions.close()
        return best

    def close(self) -> None:
        """End slots and the baseline process."""
        for slot in self._slots.values():
            slot.close()
        self._slots.clear()
        self._precompiler.close()
        self._process.close()


def _empty_window(child: Child) -> int:
    """CPU nanoseconds of a window without calls: what go and done cost the child at the least."""
    return min(child.run(0, 0, touch=True).cpu_ns for _ in range(_EMPTY_WINDOWS))
