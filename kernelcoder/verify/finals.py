# SPDX-License-Identifier: Apache-2.0
"""Final timing of finalists: blocks of rounds in fresh slots, against every baseline.

A process's place in memory biases it however often one repeats, so the block is the unit of the
interval. Within a block candidate and reference solution change slots at half-time, which cancels
what a slot alone is to blame for; eager and compiled PyTorch, which have no slot, are balanced by
the random order within rounds. There are more blocks until the speedup is known (stopping.py).
Held-out shapes are timed in blocks of their own.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from kernelcoder.records import CaseTiming, Ratio, Timing
from kernelcoder.task import Task
from kernelcoder.verify import Finalist, VerifyOptions, rounds, stopping
from kernelcoder.verify.arena import Contestant, Times, Unfair
from kernelcoder.verify.compile import Built
from kernelcoder.verify.contest import Contest
from kernelcoder.verify.deaths import HarnessFailed
from kernelcoder.verify.drift import Usual
from kernelcoder.verify.intervals import blocks_ratio, mean_of, median_error
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.slots import SlotError
from kernelcoder.verify.totals import Floor, case_timing, combine, regime

_FAULTS = 2
# Blocks of a held-out case: it tells tuning from luck, it does not rank.
_UNSEEN_BLOCKS = 3
Halves = list[list[Times]]


@dataclass(slots=True)
class Run:
    """What the blocks of one finalist gave: bench name -> block -> batches of its two halves.
    ``spent`` are wall seconds, ``count`` the blocks that all timed cases have had."""

    blocks: dict[str, dict[int, Halves]] = field(default_factory=dict)
    problem: str = ""
    faults: int = 0
    spent: float = 0.0
    count: int = 0
    notes: list[str] = field(default_factory=list)

    def baselines(self, benches: Sequence[Bench], blocks: Sequence[int]) -> list[str]:
        """Baselines present in every round of these blocks, on every case."""
        names = [
            set(times)
            for bench in benches
            for block in blocks
            for half in self.blocks[bench.name][block]
            for times in half
        ]
        return sorted(set.intersection(*names) - {"candidate"}) if names else []

    def seconds(self, bench: Bench, blocks: Sequence[int]) -> list[float]:
        """Every counted time of the candidate."""
        halves = [half for block in blocks for half in self.blocks[bench.name][block]]
        return [times["candidate"] for half in halves for times in half]

    def ratio(self, bench: Bench, baseline: str, blocks: Sequence[int]) -> Ratio:
        """Of each block the mean over its halves of the median log(baseline / candidate); of all
        blocks blocks_ratio."""
        means, errors = [], []
        for block in blocks:
            logs = [
                [math.log(times[baseline] / times["candidate"]) for times in half]
                for half in self.blocks[bench.name][block]
            ]
            means.append(statistics.fmean(map(statistics.median, logs)))
            errors.append(math.hypot(*map(median_error, logs)) / len(logs))
        return blocks_ratio(means, errors)

    def overall(self, benches: Sequence[Bench], baseline: str, blocks: Sequence[int]) -> Ratio:
        """The mean over the cases."""
        return mean_of([self.ratio(bench, baseline, blocks) for bench in benches])


class Finals:
    """Re-times finalists of one task. The caller holds the timing lease."""

    def __init__(
        self, options: VerifyOptions, contest: Contest, floor: Floor, usual: Usual
    ) -> None:
        self._options, self._contest, self._floor, self._usual = options, contest, floor, usual
        self._wanted = ["eager", "reference"] + (["compile"] if options.measure_compile else [])

    def run(
        self,
        task: Task,
        builds: Sequence[tuple[str, Built]],
        benches: Sequence[Bench],
        heldout: Sequence[Bench],
        rng: random.Random,
    ) -> list[Finalist]:
        """With several finalists even blocks select and odd blocks are reported, so that picking
        the luckiest does not flatter the report; a lone finalist needs no selection and reports
        all. Every report carries the held-out cases."""
        runs = {sha: Run() for sha, _ in builds}
        going = list(builds)
        while going:
            for bench in benches:
                self._visit(bench, going, runs, rng, heldout=False)
            for sha, _ in going:
                runs[sha].count += 1
            going = [(sha, built) for sha, built in going if self._goes_on(sha, runs, benches)]
        for _ in range(self._unseen_blocks):
            for bench in heldout:
                self._visit(bench, builds, runs, rng, heldout=True)
        return [self._finalist(sha, runs[sha], benches, heldout, len(builds)) for sha, _ in builds]

    @property
    def _unseen_blocks(self) -> int:
        return min(_UNSEEN_BLOCKS, self._options.retime_blocks)

    def _visit(
        self,
        bench: Bench,
        builds: Sequence[tuple[str, Built]],
        runs: dict[str, Run],
        rng: random.Random,
        heldout: bool,
    ) -> None:
        """One more block of each finalist on one case, in random order."""
        order = list(builds)
        rng.shuffle(order)
        for sha, built in order:
            if not runs[sha].problem:
                start = time.monotonic()
                self._block(bench, built, runs[sha], rng, heldout)
                runs[sha].spent += time.monotonic() - start

    def _goes_on(self, sha: str, runs: dict[str, Run], benches: Sequence[Bench]) -> bool:
        """Whether a finalist gets another block; says where it stopped, and why."""
        run, options = runs[sha], self._options
        if run.problem or run.count < options.retime_blocks:
            return not run.problem
        so_far = {one: self._so_far(runs[one], benches) for one in runs}
        ratio = so_far.pop(sha)
        if ratio is None or stopping.beaten(ratio, [one for one in so_far.values() if one]):
            return False
        over = run.spent * (1 + 1 / run.count) > options.retime_seconds
        known = stopping.known(ratio, options.threads)
        if (known or over) and options.retime_seconds:
            said = stopping.sentence(ratio, options.threads, run.spent, over and not known)
            run.notes.append(said)
        return not (known or over)

    def _so_far(self, run: Run, benches: Sequence[Bench]) -> Ratio | None:
        """The speedup over the primary baseline, or another if that is missing, by all blocks."""
        blocks = range(run.count)
        if run.problem or not (names := run.baselines(benches, blocks)):
            return None
        primary = self._options.baseline
        return run.overall(benches, primary if primary in names else names[-1], blocks)

    def _block(
        self, bench: Bench, built: Built, run: Run, rng: random.Random, heldout: bool
    ) -> None:
        """One block of one finalist on one case: fresh slots, two halves, all baselines. A fault of
        ours or a baseline far off its usual time: once more."""
        wanted = self._wanted
        if heldout and self._options.baseline != "compile":
            wanted = [kind for kind in wanted if kind != "compile"]  # compiling takes long
        longer = not heldout and run.count >= self._options.retime_blocks
        plan = (rounds.LONGER if longer else rounds.FINAL)[regime(bench.case)]
        for last in (False, True):
            try:
                halves = [
                    self._half(bench, built, wanted, swapped, plan, rng)
                    for swapped in (False, True)
                ]
            except Unfair as unfair:
                run.problem = unfair.problem
                return
            except (SlotError, HarnessFailed) as fault:
                run.faults += 1
                if run.faults > _FAULTS or last:
                    run.problem = f"infra_error: the machine could not time it: {fault}"
                    return
                continue
            found = self._drift(bench, halves)
            if last or not found:
                run.notes += found
                blocks = run.blocks.setdefault(bench.name, {})
                blocks[len(blocks)] = halves
                return

    def _half(
        self,
        bench: Bench,
        built: Built,
        wanted: list[str],
        swapped: bool,
        plan: rounds.Plan,
        rng: random.Random,
    ) -> list[Times]:
        with self._contest.enter(
            bench, [Contestant("candidate", built)], wanted, fresh=not swapped, swapped=swapped
        ) as arena:
            primary = self._options.baseline
            if primary not in (*arena.baselines, *arena.children):
                primary = "reference"
            done = rounds.run(arena, plan, rng, primary, hopeless_least=1, batches=True)
            arena.fair()
        return done

    def _drift(self, bench: Bench, halves: Halves) -> list[str]:
        """A sentence for each PyTorch baseline that was far off its usual time."""
        found = []
        for name, seconds in rounds.medians([times for half in halves for times in half]).items():
            if name in ("candidate", "reference"):
                continue
            alone = self._contest.alone.get((bench.name, name))
            factor = self._usual.off(bench.name, name, seconds, alone)
            self._usual.add(bench.name, name, seconds)
            if factor != 1.0:
                found.append(
                    f"{bench.case.name}: {name} took {factor:.2f} times its usual time beside"
                    " this kernel, twice"
                )
        return found

    def _finalist(
        self,
        sha: str,
        run: Run,
        benches: Sequence[Bench],
        heldout: Sequence[Bench],
        rivals: int,
    ) -> Finalist:
        if run.problem:
            return Finalist(sha, None, None, run.problem)
        blocks = range(run.count)
        even, odd = [b for b in blocks if b % 2 == 0], [b for b in blocks if b % 2]
        try:
            unseen = self._unseen(run, heldout)
            if rivals == 1:
                return Finalist(sha, None, self._timing(run, benches, list(blocks), unseen))
            select = self._timing(run, benches, even, [])
            return Finalist(sha, select, self._timing(run, benches, odd, unseen))
        except Unfair as unfair:
            return Finalist(sha, None, None, unfair.problem)

    def _unseen(self, run: Run, heldout: Sequence[Bench]) -> list[CaseTiming]:
        blocks = list(range(self._unseen_blocks))
        return [self._case(run, bench, blocks, [bench], heldout=True) for bench in heldout]

    def _case(
        self, run: Run, bench: Bench, blocks: list[int], among: Sequence[Bench], heldout: bool
    ) -> CaseTiming:
        ratios = {name: run.ratio(bench, name, blocks) for name in run.baselines(among, blocks)}
        seconds = run.seconds(bench, blocks)
        return case_timing(bench, self._floor, seconds, ratios, heldout)

    def _timing(
        self, run: Run, benches: Sequence[Bench], blocks: list[int], unseen: list[CaseTiming]
    ) -> Timing:
        """Timing from some blocks: per case and over the cases, by baseline."""
        cases = [self._case(run, bench, blocks, benches, heldout=False) for bench in benches]
        names = run.baselines(benches, blocks)
        speedup = {name: run.overall(benches, name, blocks) for name in names}
        notes = (*self._contest.notes(benches), *dict.fromkeys(run.notes))
        return combine("final", [*cases, *unseen], notes, speedup)
