# SPDX-License-Identifier: Apache-2.0
"""How fast a verified kernel is: interleaved ratios to baselines, by a clock it cannot reach.

A *round* runs every contestant once over the same pages, in random order, each on new inputs; its
time is its process's CPU time as the kernel of the system accounts it, for native kernels read by
the judge while the process stands still before and after. The *search* timing is one process and
one baseline, and ends early where the decision at hand is made. The *final* timing (finals.py)
repeats blocks of rounds in fresh slots and fresh processes, also on shapes nobody has seen.
"""

from __future__ import annotations

import math
import random
import statistics
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kernelcoder.history import random_key, rng_of
from kernelcoder.records import CaseTiming, Timing
from kernelcoder.task import Case, Task
from kernelcoder.verify import Finalist, VerifyOptions, heldout, oracle, rounds
from kernelcoder.verify.arena import Contestant, Times, Unfair
from kernelcoder.verify.builder import Builder
from kernelcoder.verify.compile import Built, Compiler
from kernelcoder.verify.contest import Contest
from kernelcoder.verify.drift import Usual
from kernelcoder.verify.finals import Finals
from kernelcoder.verify.intervals import median_interval, pairs_ratio
from kernelcoder.verify.probing import Probe, machine_key
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.roofline import Roofs
from kernelcoder.verify.totals import Floor, case_timing, combine, regime

__all__ = ["CALLS", "EARLY", "Outcome", "Timer", "regime"]

# Calls per round: enough in a hot round to rise above the clock's grain, one in a cold round.
CALLS = {"hot": 8, "cold": 1}
EARLY = "stopped early: slower than the best so far"
_MOST_KEPT = 6


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a search timing: a timing, or the problem and the status it amounts to.

    ``checked`` counts timed rounds, wild rounds and spot checks of timed outputs."""

    timing: Timing | None
    problem: str = ""
    status: str = ""
    checked: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where to time: who starts the contestants, which times are impossible, and by regime how many
    calls a batch has."""

    contest: Contest
    floor: Floor
    calls: Mapping[str, int]


@dataclass(slots=True)
class _Search:
    """One search timing under way: what it must beat, and what is known so far."""

    built: Built
    rng: random.Random
    incumbent: float | None
    highest: list[float] = field(default_factory=list)  # upper ends of finished cases, as logs
    early: bool = False
    notes: list[str] = field(default_factory=list)
    checked: dict[str, int] = field(default_factory=dict)

    def lost(self, logs: Sequence[float]) -> bool:
        """Whether even the upper end over all cases, this last one included, is below the best."""
        if self.incumbent is None:
            return False
        ends = [*self.highest, median_interval(logs)[2]]
        self.early = statistics.fmean(ends) < math.log(self.incumbent)
        return self.early


def processor(options: VerifyOptions, cache: Path, builder: Builder) -> Ground:
    """This machine's processor."""
    compiler = Compiler(cache, options.compile_timeout_seconds)
    roofs = Roofs(cache / "roofs.json", machine_key(compiler), Probe(compiler).measure)
    return Ground(Contest(options, cache, builder), Floor(roofs, options.threads), CALLS)


class Timer:
    """Times kernels one at a time (the lease), keeping benches of the last few tasks."""

    def __init__(
        self,
        options: VerifyOptions,
        cache: Path,
        builder: Builder,
        tasks: int = 2,
        ground: Ground | None = None,
    ) -> None:
        """``tasks`` is how many tasks are searched at a time: so many benches are worth keeping.
        ``ground`` is by default this machine's processor."""
        oracle.quiet_torch()
        self._kept = max(2, min(tasks, _MOST_KEPT))
        self._options = options
        self._lease = threading.Lock()
        ground = ground or processor(options, cache, builder)
        self._contest, self._floor, self._calls = ground.contest, ground.floor, ground.calls
        self._benches: dict[str, list[Bench]] = {}
        self._usual = Usual()
        self._finals = Finals(options, self._contest, self._floor, self._usual)

    def close(self) -> None:
        """End every process and release shared memory."""
        with self._lease:
            for benches in self._benches.values():
                for bench in benches:
                    bench.close()
            self._benches.clear()
            self._contest.close()

    def search(self, task: Task, built: Built, key: str, incumbent: float | None = None) -> Outcome:
        """Quick timing of one verified kernel against the primary baseline. ``incumbent`` is the
        best speedup of this task so far: a kernel that is clearly slower is not timed further, its
        ratio keeping the wider interval it then has."""
        rng = rng_of(random_key(key, built.sha, "search timing"))
        search = _Search(built, rng, incumbent)
        with self._lease:
            try:
                benches = self._open(task, rng)
                # Cold cases first: they have few rounds anyway, so that stopping early saves the
                # many of the hot one.
                order = sorted(benches, key=lambda bench: regime(bench.case) == "hot")
                found = {
                    bench.name: self._search_case(bench, search, bench is order[-1])
                    for bench in order
                }
            except Unfair as unfair:
                return Outcome(None, unfair.problem, unfair.status, search.checked)
        notes = (*self._contest.notes(benches), *search.notes, *([EARLY] if search.early else []))
        cases = [found[bench.name] for bench in benches]
        return Outcome(combine("search", cases, notes), checked=search.checked)

    def _open(self, task: Task, rng: random.Random) -> list[Bench]:
        """Benches of the task's timing cases; the least recently used task's are closed."""
        name = f"{task.id}:{task.digest}"
        if name in self._benches:
            self._benches[name] = self._benches.pop(name)
        else:
            while len(self._benches) >= self._kept:
                for bench in self._benches.pop(next(iter(self._benches))):
                    self._forget(bench)
            self._benches[name] = [self._bench(task, case, rng) for case in task.timing]
            if self._options.measure_compile:
                for bench in self._benches[name]:
                    self._contest.precompile(bench)
        return self._benches[name]

    def _bench(self, task: Task, case: Case, rng: random.Random) -> Bench:
        return Bench(task, case, self._calls[regime(case)], rng)

    def _forget(self, bench: Bench) -> None:
        self._contest.forget(bench)
        self._usual.forget(bench.name)
        bench.close()

    def _search_case(self, bench: Bench, search: _Search, last: bool) -> CaseTiming:
        """Time one case; a baseline far off its usual time means once more."""
        for again in (False, True):
            done, primary = self._visit(bench, search, last)
            times = rounds.medians(done)
            if primary not in times or primary == "reference":
                break
            alone = self._contest.alone.get((bench.name, primary))
            factor = self._usual.off(bench.name, primary, times[primary], alone)
            self._usual.add(bench.name, primary, times[primary])
            if factor == 1.0:
                break
            if again:
                what = f"{primary} took {factor:.2f} times its usual time beside this kernel"
                search.notes.append(f"{bench.case.name}: {what}, twice")
        logs = [math.log(times[primary] / times["candidate"]) for times in done if primary in times]
        if logs:
            search.highest.append(median_interval(logs)[2])
        ratios = {primary: pairs_ratio(logs)} if logs else {}
        return case_timing(bench, self._floor, [times["candidate"] for times in done], ratios)

    def _visit(self, bench: Bench, search: _Search, last: bool) -> tuple[list[Times], str]:
        primary = self._options.baseline
        entrants = [Contestant("candidate", search.built)]
        with self._contest.enter(bench, entrants, [primary]) as arena:
            if primary not in (*arena.baselines, *arena.children):
                primary = "reference" if "reference" in arena.children else ""
            plan = rounds.SEARCH[regime(bench.case)]
            done = rounds.run(
                arena, plan, search.rng, primary, search.lost if last and primary else None
            )
            arena.fair()
        counts = {
            "timed_rounds": len(done),
            "wild_rounds": arena.wild_rounds,
            "spot_checks": arena.spot_checks,
        }
        for name, count in counts.items():
            search.checked[name] = search.checked.get(name, 0) + count
        return done, primary

    def final(
        self, task: Task, builds: Sequence[tuple[str, Built]], key: str, unseen_too: bool = True
    ) -> list[Finalist]:
        """Re-time finalists in fresh slots against all baselines, on the timed shapes and, apart,
        on held-out ones."""
        rng = rng_of(random_key(key, task.id, "final timing"))
        unseen: list[Bench] = []
        with self._lease:
            try:
                benches = self._open(task, rng)
                seen = task.timing if unseen_too else ()
                variants = [heldout.case_of(task, case, rng) for case in seen]
                unseen += [self._bench(task, case, rng) for case in variants if case is not None]
                return self._finals.run(task, builds, benches, unseen, rng)
            finally:
                for bench in unseen:
                    self._forget(bench)
