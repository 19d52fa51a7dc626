# SPDX-License-Identifier: Apache-2.0
"""The rounds of a timing: everyone once over the same pages, each on new inputs.

Of native kernels the judge reads the clock from outside, the CPU time the kernel of the system
accounts to a process (with several threads allowed, see threads.py); the baseline process is ours
and reads its own.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field

from kernelcoder.verify import deaths, threads
from kernelcoder.verify.baselines import BaselineFailed, Baselines
from kernelcoder.verify.compile import Built
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.slots import Child, Died, TimedOut, Window

# CPU time after "done" that is typical, not once: a kernel still busy when it claims to have
# finished. It gains nothing by it, since time counts up to the freeze; it is dishonest all the
# same. On a busy machine being stopped alone costs 20-40 us.
_LATE_NS, _LATE_SHARE = 150_000, 0.05
# A call that takes this long is alone in its window.
SLOW_NS = 20_000_000


# CPU time a window should have, and the most batches it takes to get there.
_WINDOW_NS, _MOST_PARTS = 1_000_000, 8
# Share of batches, beside one of each window, whose outputs are looked at.
_CHECKED = 0.25


# Seconds per call of each contestant in one batch.
Times = dict[str, float]


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
    """One bench with everyone inside, ready for rounds.

    A window is ``parts`` batches on one clock, each batch on new inputs: long enough for the clock,
    small enough for the cache. ``count`` is how many calls a batch of the candidate has: one while
    it is very slow, else as many as everybody's. ``restarts`` counts how often either changed: what
    was measured before then is not to be compared with what comes after."""

    bench: Bench
    children: dict[str, Child]
    idle_ns: int
    baselines: list[str]
    process: Baselines
    timeout: float
    count: int
    threads: int
    lost: Callable[[str, BaselineFailed], None]
    parts: int = 1
    restarts: int = 0
    wild_rounds: int = 0
    spot_checks: int = 0
    _turn: int = 0
    _windows: list[Window] = field(default_factory=list)

    def round(self, rng: random.Random) -> list[Times]:
        """CPU seconds per call of every contestant, batch by batch of their windows. They take
        turns in random order, each on new inputs of its own in the same pages."""
        names = [*self.children, *(name for name in self.baselines if name not in self.children)]
        # alternate direction, so that whoever follows whom is balanced whatever the draw
        rng.shuffle(names)
        self._turn += 1
        found: dict[str, list[float]] = {}
        for name in names if self._turn % 2 else reversed(names):
            try:
                found[name] = self._once(name, rng)
            except BaselineFailed as failure:
                self.lost(name, failure)
        # Where windows have just become longer they differ; that round will not count.
        batches = min(map(len, found.values()), default=0)
        return [{name: spent[k] for name, spent in found.items()} for k in range(batches)]

    def wild_round(self, rng: random.Random) -> None:
        """The candidate once on values of another family, checked like any other and not counted:
        what it costs depends on the values. It cannot tell which round this is."""
        self.wild_rounds += 1
        count = self._count("candidate")  # more from the next window on, if this one was fast
        self._native("candidate", rng, self.bench.run_wild)
        if count == self.bench.count:  # else the one call was looked at
            for call in range(self.bench.count):
                self._check(call, 1)

    def fair(self) -> None:
        """Raise Unfair if the candidate usually worked on after its done token (clock forger)."""
        if not self._windows:
            return
        after = statistics.median(window.late_cpu_ns for window in self._windows)
        busy = statistics.median(window.cpu_ns for window in self._windows)
        if after > max(_LATE_NS, _LATE_SHARE * busy):
            what = f"usually computes for another {after / 1000:.0f} us after it says it is done"
            raise Unfair(f"it {what}", "cheating")

    def _once(self, name: str, rng: random.Random) -> list[float]:
        """Seconds per call in each batch of one window."""
        bench = self.bench
        if name in self.children:
            count = self._count(name)
            # What go and done cost the child (the last batch has the freeze and the first its end,
            # about the same again); never more than half, whatever it says.
            return [
                max(raw - self.idle_ns, raw // 2) * 1e-9 / count
                for raw in self._native(name, rng, bench.refresh)
            ]
        between, spent = self._between(name, rng, bench.refresh, 0, bench.count), []
        for number in range(self.parts):
            between(number)
            spent.append(self.process.window(bench.name, bench.task.id, name, bench.count))
        between(self.parts)
        return [nanoseconds * 1e-9 / bench.count for nanoseconds in spent]

    def _count(self, name: str) -> int:
        return self.count if name == "candidate" else self.bench.count

    def _native(self, name: str, rng: random.Random, renew: Callable[[], None]) -> tuple[int, ...]:
        """Run one native contestant and check what it wrote: nanoseconds charged for each batch.
        Only the candidate can be unfair: a reference that fails is a baseline less."""
        count, parts = self._count(name), self.parts
        first = rng.randrange(self.bench.count - count + 1)
        batch = self._between(name, rng, renew, first, count)
        try:
            window, charged = self._run(self.children[name], first, count, batch)
        except (TimedOut, Died) as end:
            deaths.from_outside(end.exit)
            if name == "reference":
                self.children.pop(name).finish()
                raise BaselineFailed(f"the task's own kernel ended: {end}") from end
            if isinstance(end, TimedOut):
                raise Unfair("it exceeded its time limit while being timed", "timeout") from end
            how = f"{end.exit.kind} {end.exit.code}"
            raise Unfair(f"it died while being timed ({how})", "crashed") from end
        if name == "candidate":
            self._windows.append(window)
            self._lengthen(window.cpu_ns // parts, count)
        batch(parts)
        return charged

    def _between(
        self, name: str, rng: random.Random, renew: Callable[[], None], first: int, count: int
    ) -> Callable[[int], None]:
        """What the judge does before each batch of a window: look at the one before, give new
        inputs, poison the outputs; after the last one only the look. It is the same for everybody,
        since the judge's work leaves its traces in the caches of whoever comes next."""
        parts = self.parts
        # One batch of each window is looked at in any case, drawn beforehand, so that none is safe.
        chosen = rng.randrange(parts)

        def between(number: int) -> None:
            if number and (number - 1 == chosen or rng.random() < _CHECKED):
                self._look(name, first, count)
            if number < parts:
                renew()
                self.bench.poison()

        return between

    def _look(self, name: str, first: int, count: int) -> None:
        """Compare a batch with the oracle; of a trusted baseline the result is not used."""
        if name in self.baselines or name == "reference":
            self.bench.wrong(self.bench.choose(first, count))
        else:
            self._check(first, count)

    def _check(self, first: int, count: int) -> None:
        self.spot_checks += 1
        if problem := self.bench.wrong(self.bench.choose(first, count)):
            raise Unfair(problem, "incorrect")

    def _lengthen(self, batch_ns: int, count: int) -> None:
        """Longer windows for a candidate that was slow at first only: it is like any other now."""
        if count < self.bench.count and batch_ns < SLOW_NS // 2:
            self.count = self.bench.count
            self.restarts += 1
        elif count == self.bench.count and (more := parts_of(batch_ns, self)) >= 2 * self.parts:
            self.parts = more
            self.restarts += 1

    def _run(
        self, child: Child, first: int, count: int, batch: Callable[[int], None]
    ) -> tuple[Window, tuple[int, ...]]:
        """One window of a child, ``batch`` preparing each of its parts, and what each is charged.
        Together they are the whole window's CPU time: work put off is charged to a later part."""
        if self.threads <= 1:
            numbers = iter(range(self.parts))
            window = child.run(
                first,
                count,
                timeout=self.timeout,
                prepare=lambda: batch(next(numbers)),
                parts=self.parts,
            )
            return window, window.parts_ns
        return self._run_threads(child, first, count, batch)

    def _run_threads(
        self, child: Child, first: int, count: int, batch: Callable[[int], None]
    ) -> tuple[Window, tuple[int, ...]]:
        """The same where several threads are allowed: one batch, charged by threads.py."""
        before: dict[int, int] = {}

        def prepare() -> None:
            batch(0)
            before.update(threads.read(child.pid()))  # it stands still

        window = child.run(first, count, timeout=self.timeout, prepare=prepare)
        after = threads.read(child.pid())  # it stands still again
        charged = threads.charge(before, after, window.cpu_ns, window.wall_ns, self.threads)
        return window, (charged,)


def parts_of(batch_ns: int, arena: Arena) -> int:
    """Batches that make a window long enough. With several threads allowed one: between batches
    threads could work while no wall clock runs."""
    if arena.threads > 1:
        return 1
    return max(1, min(_MOST_PARTS, -(-_WINDOW_NS // max(1, batch_ns - arena.idle_ns))))
