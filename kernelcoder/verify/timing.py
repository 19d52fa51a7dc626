# SPDX-License-Identifier: Apache-2.0
"""How fast a verified kernel is: interleaved ratios to baselines, by a clock it cannot reach.

A *round* runs every contestant once over the same pages, in random order, each on new inputs; its
time is its process's CPU time as the kernel of the system accounts it, for native kernels read by
the judge while the process stands still before and after. The *search* timing is one process and
one baseline. The *final* timing repeats blocks of rounds in fresh slots and fresh processes: the
block is the unit of its interval, because where a process happens to lie in memory biases it by 1-2
% however often one repeats.
"""

from __future__ import annotations

import math
import random
import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kernelcoder.history import random_key, rng_of
from kernelcoder.records import CaseTiming, Ratio, Timing
from kernelcoder.task import Case, Task
from kernelcoder.verify import Finalist, VerifyOptions, oracle
from kernelcoder.verify.builder import Builder
from kernelcoder.verify.compile import Built, Compiler
from kernelcoder.verify.contest import Arena, Contest, Contestant, Unfair
from kernelcoder.verify.intervals import blocks_ratio, median_interval, pairs_ratio
from kernelcoder.verify.probing import Probe, machine_key
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.roofline import Roofs
from kernelcoder.verify.slots import SlotError

# Calls per round: enough in a hot round to rise above the clock's grain, one in a cold round.
CALLS = {"hot": 8, "cold": 1}
_SEARCH_PAIRS = (8, 24)
# Wall seconds after which a case (search) or a block (final) stops early, once it has the least
# number of rounds: precision is wasted on a kernel many times slower than its baseline.
_PATIENCE = {"search": 2.0, "final": 1.0}
# Six pairs are the fewest whose range is a 95 % interval of their median.
_LEAST_ROUNDS = {"search": 6, "final": 1}
_BLOCK_ROUNDS = {"hot": 12, "cold": 3}
# Rounds that do not count: a fresh process first meets its page tables and branch predictors.
_WARM_ROUNDS = {"hot": 4, "cold": 1}
_GOOD_ENOUGH = 0.02
# A kernel may look this much faster than the measured roof before it is called impossible: roofs
# measured on a busy machine are too low, never too high, and a hot working set may lie in a faster
# cache than the one it was measured in.
_IMPOSSIBLE = {"hot": 3.0, "cold": 1.5}
_MOST_KEPT = 6
_FAULTS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a search timing: a timing, or the problem and the status it amounts to."""

    timing: Timing | None
    problem: str = ""
    status: str = ""


class Timer:
    """Times kernels one at a time (the lease), keeping benches of the last few tasks."""

    def __init__(
        self, options: VerifyOptions, cache: Path, builder: Builder, tasks: int = 2
    ) -> None:
        """``tasks`` is how many tasks are searched at a time: so many benches are worth keeping."""
        oracle.quiet_torch()
        self._kept = max(2, min(tasks, _MOST_KEPT))
        self._options = options
        self._lease = threading.Lock()
        self._contest = Contest(options, cache, builder)
        self._benches: dict[str, list[Bench]] = {}
        compiler = Compiler(cache, options.compile_timeout_seconds)
        self._roofs = Roofs(cache / "roofs.json", machine_key(compiler), Probe(compiler).measure)

    def close(self) -> None:
        """End every process and release shared memory."""
        with self._lease:
            for benches in self._benches.values():
                for bench in benches:
                    bench.close()
            self._benches.clear()
            self._contest.close()

    def search(self, task: Task, built: Built, key: str) -> Outcome:
        """Quick timing of one verified kernel against the primary baseline."""
        rng = rng_of(random_key(key, built.sha, "search timing"))
        with self._lease:
            try:
                benches = self._open(task, rng)
                cases = [self._search_case(bench, built, rng) for bench in benches]
            except Unfair as unfair:
                return Outcome(None, unfair.problem, unfair.status)
        return Outcome(_combine("search", cases, self._contest.notes(benches)))

    def _open(self, task: Task, rng: random.Random) -> list[Bench]:
        """Benches of the task's timing cases; the least recently used task's are closed."""
        name = f"{task.id}:{task.digest}"
        if name in self._benches:
            self._benches[name] = self._benches.pop(name)
        else:
            while len(self._benches) >= self._kept:
                for bench in self._benches.pop(next(iter(self._benches))):
                    self._contest.forget(bench)
                    bench.close()
            self._benches[name] = [
                Bench(task, case, CALLS[regime(case)], rng) for case in task.timing
            ]
            if self._options.measure_compile:
                for bench in self._benches[name]:
                    self._contest.precompile(bench)
        return self._benches[name]

    def _search_case(self, bench: Bench, built: Built, rng: random.Random) -> CaseTiming:
        primary = self._options.baseline
        candidate = Contestant("candidate", built)
        logs: list[float] = []
        seconds: list[float] = []
        with self._contest.enter(bench, [candidate], [primary]) as arena:
            primary = arena.baselines[0] if arena.baselines else ""
            least, most = _SEARCH_PAIRS
            start = time.monotonic()
            self._warm(arena, rng, start)
            while len(seconds) < (most if regime(bench.case) == "hot" else least):
                times = arena.round(rng)
                seconds.append(times["candidate"])
                if primary in times:
                    logs.append(math.log(times[primary] / times["candidate"]))
                if len(seconds) >= least and logs and _settled(logs):
                    break
                if _impatient("search", len(seconds), start):
                    break
            arena.fair()
        ratios = {primary: pairs_ratio(logs)} if logs else {}
        return self._case_timing(bench, seconds, ratios)

    def _warm(self, arena: Arena, rng: random.Random, start: float) -> None:
        """Rounds that do not count; none beyond a quarter of a second."""
        for _ in range(_WARM_ROUNDS[regime(arena.bench.case)]):
            arena.round(rng)
            if time.monotonic() - start > 0.25:
                break

    def _case_timing(
        self, bench: Bench, seconds: Sequence[float], ratios: dict[str, Ratio]
    ) -> CaseTiming:
        """One case's record; raises Unfair if the time lies below the roofline floor."""
        task, case = bench.task, bench.case
        middle = statistics.median(seconds)
        nbytes, flops = task.bytes(case), task.flops(case)
        fraction = self._roofs.roof(bench.working_set).bound(nbytes, flops) / middle
        limit = _IMPOSSIBLE[regime(case)]
        if fraction > limit:
            fraction = self._roofs.roof(bench.working_set, again=True).bound(nbytes, flops) / middle
        if fraction > limit:
            raise Unfair(
                f"{case.name}: {middle * 1e6:.1f} us per call is {fraction:.2f} times what this"
                " machine's measured bandwidth and peak allow; the work cannot have been done",
                "cheating",
            )
        shape = tuple(case.shapes[task.inputs[0].name])
        return CaseTiming(case.name, shape, case.dtype, regime(case), middle, ratios, fraction)

    def final(self, task: Task, builds: Sequence[tuple[str, Built]], key: str) -> list[Finalist]:
        """Re-time finalists in fresh slots against all baselines.

        With several finalists even blocks select and odd blocks are reported, so that picking the
        luckiest does not flatter the report; a lone finalist needs no selection and reports all."""
        rng = rng_of(random_key(key, task.id, "final timing"))
        runs = {sha: _Run() for sha, _ in builds}
        with self._lease:
            for block in range(self._options.retime_blocks):
                order = list(builds)
                rng.shuffle(order)
                for bench in self._open(task, rng):
                    for sha, built in order:
                        if not runs[sha].problem:
                            self._block(bench, built, runs[sha], block, rng)
            return [self._finalist(task, sha, runs[sha], len(builds)) for sha, _ in builds]

    def _block(self, bench: Bench, built: Built, run: _Run, block: int, rng: random.Random) -> None:
        """One block of one finalist on one case: fresh slots, a few rounds, all baselines."""
        wanted = ["eager", "reference"] + (["compile"] if self._options.measure_compile else [])
        rounds = []
        try:
            with self._contest.enter(
                bench, [Contestant("candidate", built)], wanted, fresh=True
            ) as arena:
                start = time.monotonic()
                self._warm(arena, rng, start)
                for _ in range(_BLOCK_ROUNDS[regime(bench.case)]):
                    rounds.append(arena.round(rng))
                    if _impatient("final", len(rounds), start):
                        break
                arena.fair()
        except Unfair as unfair:
            run.problem = unfair.problem
            return
        except SlotError as fault:
            run.faults += 1  # ours, not the candidate's: once more in new slots
            if run.faults > _FAULTS:
                run.problem = f"it could not be timed: {fault}"
                return
            self._block(bench, built, run, block, rng)
            return
        run.blocks.setdefault(bench.case.name, {})[block] = rounds

    def _finalist(self, task: Task, sha: str, run: _Run, rivals: int) -> Finalist:
        if run.problem:
            return Finalist(sha, None, None, run.problem)
        blocks = range(self._options.retime_blocks)
        try:
            if rivals == 1:
                return Finalist(sha, None, self._timing(task, run, list(blocks)))
            even, odd = [b for b in blocks if b % 2 == 0], [b for b in blocks if b % 2]
            return Finalist(sha, self._timing(task, run, even), self._timing(task, run, odd))
        except Unfair as unfair:
            return Finalist(sha, None, None, unfair.problem)

    def _timing(self, task: Task, run: _Run, blocks: list[int]) -> Timing:
        """Timing from some blocks: per case and over the cases, by baseline."""
        cases = []
        benches = self._benches[f"{task.id}:{task.digest}"]
        for bench in benches:
            by_block = run.blocks[bench.case.name]
            seconds = [times["candidate"] for block in blocks for times in by_block[block]]
            ratios = {
                name: blocks_ratio(run.means(bench.case.name, name, blocks))
                for name in run.baselines(blocks)
            }
            cases.append(self._case_timing(bench, seconds, ratios))
        speedup = {}
        for name in run.baselines(blocks):
            per_case = [run.means(case.case, name, blocks) for case in cases]
            speedup[name] = blocks_ratio(
                [statistics.fmean(values) for values in zip(*per_case, strict=True)]
            )
        return _combine("final", cases, self._contest.notes(benches), speedup)


class _Run:
    """What the blocks of one finalist gave: case -> block -> rounds of {contestant: seconds}."""

    def __init__(self) -> None:
        self.blocks: dict[str, dict[int, list[dict[str, float]]]] = {}
        self.problem = ""
        self.faults = 0

    def baselines(self, blocks: Sequence[int]) -> list[str]:
        """Baselines present in every round of these blocks, on every case."""
        names = [set(times) for case in self.blocks.values() for b in blocks for times in case[b]]
        return sorted(set.intersection(*names) - {"candidate"}) if names else []

    def means(self, case: str, baseline: str, blocks: Sequence[int]) -> list[float]:
        """Per block, the median over its rounds of log(baseline / candidate)."""
        return [
            statistics.median(
                math.log(times[baseline] / times["candidate"]) for times in self.blocks[case][b]
            )
            for b in blocks
        ]


def regime(case: Case) -> str:
    """``hot`` or ``cold``: the first word of a timing case's name."""
    return case.name.split("-", 1)[0]


def _impatient(kind: str, rounds: int, start: float) -> bool:
    """Whether a slow kernel has had its share of time."""
    return rounds >= _LEAST_ROUNDS[kind] and time.monotonic() - start > _PATIENCE[kind]


def _settled(logs: Sequence[float]) -> bool:
    """Whether the interval of the median is within 2 % either way."""
    _, lo, hi = median_interval(logs)
    return (hi - lo) / 2 <= _GOOD_ENOUGH


def _combine(
    kind: str,
    cases: Sequence[CaseTiming],
    notes: tuple[str, ...],
    speedup: dict[str, Ratio] | None = None,
) -> Timing:
    """Over the cases: geometric mean of ratios and of roofline fractions, sum of seconds.

    Without block-wise ratios the interval is the geometric mean of the cases' ends, which is
    conservative."""
    if speedup is None:
        names = set.intersection(*(set(case.speedup) for case in cases)) if cases else set()
        speedup = {
            name: _mean_ratio([case.speedup[name] for case in cases]) for name in sorted(names)
        }
    fractions = [case.roofline_fraction for case in cases if case.roofline_fraction]
    return Timing(
        kind="search" if kind == "search" else "final",
        speedup=speedup,
        roofline_fraction=statistics.geometric_mean(fractions) if fractions else None,
        seconds=sum(case.seconds for case in cases),
        cases=tuple(cases),
        notes=notes,
    )


def _mean_ratio(ratios: Sequence[Ratio]) -> Ratio:
    def mean(values: Sequence[float]) -> float:
        return statistics.geometric_mean(values)

    return Ratio(
        mean([r.median for r in ratios]),
        mean([r.lo for r in ratios]),
        mean([r.hi for r in ratios]),
        min(r.n for r in ratios),
    )
