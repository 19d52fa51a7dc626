# SPDX-License-Identifier: Apache-2.0
"""The rules of timing on made-up clocks: charging, stopping, drift, places, held-out shapes."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.core import load, names
from kernelcoder.task import Case
from kernelcoder.verify import rounds
from kernelcoder.verify.drift import Usual
from kernelcoder.verify.heldout import SPREAD, case_of
from kernelcoder.verify.placing import Places
from kernelcoder.verify.refresh import Bench
from kernelcoder.verify.threads import charge, own

MS = 1_000_000


def accounts(**spent: int) -> dict[int, int]:
    """Milliseconds on a processor of t1, t2, ..."""
    return {int(name[1:]): on * MS for name, on in spent.items()}


NONE = accounts(t1=0, t2=0)


def test_one_thread_is_charged_all_its_cpu_time() -> None:
    assert charge({}, {}, 7 * MS, 9 * MS, 1) == 7 * MS
    assert charge(NONE, accounts(t1=3, t2=4), 7 * MS, 4 * MS, 1) == 7 * MS


def test_work_done_side_by_side_is_charged_to_the_busiest() -> None:
    after = accounts(t1=6, t2=4)
    assert charge(NONE, after, 10 * MS, 6 * MS, 2) == 6 * MS


def test_passing_work_from_thread_to_thread_gains_no_more_than_a_quarter() -> None:
    # 10 ms of work, 5 in each thread, one after the other: the wall shows it
    after = accounts(t1=5, t2=5)
    assert charge(NONE, after, 10 * MS, 10 * MS, 2) == 8 * MS


def test_waiting_on_a_busy_machine_is_charged_up_to_the_sum_and_no_more() -> None:
    # truly parallel, but a neighbor held one processor for 20 ms: not to be told from serial work
    assert charge(NONE, accounts(t1=5, t2=5), 10 * MS, 25 * MS, 2) == 10 * MS


def test_threads_that_end_take_their_work_nowhere() -> None:
    # 9 of 10 ms are missing from the accounts of those still there
    assert charge(NONE, accounts(t1=1), 10 * MS, 2 * MS, 2) == 5 * MS


def test_the_charge_is_never_more_than_all_cpu_time_nor_less_than_a_fair_share() -> None:
    rng = random.Random(4)
    for _ in range(300):
        count = rng.randint(1, 4)
        spent = {i: rng.randrange(9 * MS) for i in range(count)}
        total = sum(spent.values()) + rng.randrange(3 * MS)
        allowed = rng.randint(2, 4)
        found = charge({}, spent, total, rng.randrange(20 * MS), allowed)
        assert total / allowed <= found <= total


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="no accounts per thread")
def test_the_system_keeps_accounts_of_our_threads() -> None:
    found = own()
    assert os.getpid() in found
    assert all(on >= 0 for on in found.values())


def test_places_go_round() -> None:
    places = Places(1, (2, 3, 5))
    assert {places.next() for _ in range(3)} == {2, 3, 5}
    assert places.members(3) == {3}
    assert Places(2, (0, 1)).next() == -1  # there is only one set
    assert {Places(2, (0, 1, 4, 5)).next() for _ in range(4)} <= {0, 4}
    assert Places(2, (0, 2, 4)).next() == -1  # no two neighbors
    assert Places(1, ()).next() == -1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be chosen")
def test_the_judge_gets_its_processors_back() -> None:
    before = os.sched_getaffinity(0)
    places = Places(1)
    with places.judge_there(places.next()), places.first_of_all([]):
        during = os.sched_getaffinity(0)
    assert os.sched_getaffinity(0) == before
    assert during == before if len(before) == 1 else len(during) == 1
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.skipif(not hasattr(os, "sched_setscheduler"), reason="no real-time priority")
def test_a_process_is_hurried_and_let_go_again() -> None:
    if os.geteuid() != 0:
        pytest.skip("real-time priority needs root")
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        with Places(1).first_of_all([sleeper.pid]):
            hurried = os.sched_getscheduler(sleeper.pid), os.sched_getparam(0).sched_priority
            theirs = os.sched_getparam(sleeper.pid).sched_priority
        assert hurried[0] == os.SCHED_FIFO
        assert theirs < hurried[1], "the judge must be able to interrupt what it times"
        assert os.sched_getscheduler(sleeper.pid) == os.SCHED_OTHER
        sleeper.kill()


class Clocks:
    """Rounds from a made-up clock: the candidate is ``speedup`` times as fast as eager, both
    scatter by ``noise`` (standard deviation of the logarithm)."""

    def __init__(self, speedup: float, noise: float, restart_at: int = -1) -> None:
        self.speedup, self.noise, self.restart_at = speedup, noise, restart_at
        self.rng = random.Random(8)
        self.restarts = self.done = 0
        self.wild: list[int] = []

    def round(self, rng: random.Random) -> list[dict[str, float]]:
        self.done += 1
        slow = self.done <= self.restart_at
        self.restarts = int(self.done >= self.restart_at > 0)
        eager = 1e-3 * self.rng.lognormvariate(0, self.noise)
        mine = 1e-3 / self.speedup * self.rng.lognormvariate(0, self.noise)
        return [{"eager": eager, "candidate": mine * (50 if slow else 1)}]

    def wild_round(self, rng: random.Random) -> None:
        self.wild.append(self.done)


PLAN = rounds.Plan(warm=2, least=8, most=40, seconds=60.0, enough=0.01)


def run(clocks: Any, seed: int = 1, **more: Any) -> list[dict[str, float]]:
    return rounds.run(clocks, PLAN, random.Random(seed), "eager", **more)


def test_rounds_stop_when_the_interval_is_narrow_and_not_before_the_least() -> None:
    assert len(run(Clocks(2.0, 0.001))) == PLAN.least
    assert len(run(Clocks(2.0, 0.3))) == PLAN.most


def test_rounds_stop_early_only_when_told_that_it_is_decided() -> None:
    seen: list[int] = []

    def decided(logs: Any) -> bool:
        seen.append(len(logs))
        return len(logs) >= 11

    assert len(run(Clocks(2.0, 0.3), decided=decided)) == 11
    assert min(seen) >= PLAN.least


def test_the_first_round_never_counts_however_long_it_took() -> None:
    import time

    class Faulting(Clocks):
        def round(self, rng: random.Random) -> list[dict[str, float]]:
            times = super().round(rng)
            if self.done == 1:
                time.sleep(0.3)  # more than a warm-up may take
                times[0]["candidate"] = 1.0
            return times

    assert max(times["candidate"] for times in run(Faulting(1.0, 0.001))) < 0.5


def test_every_visit_has_one_wild_round_at_a_place_that_varies() -> None:
    places = set()
    for seed in range(30):
        clocks = Clocks(1.0, 0.3)
        run(clocks, seed)
        assert len(clocks.wild) == 1
        places.add(clocks.wild[0])
    assert len(places) > 10
    narrow = Clocks(1.0, 0.0001)
    run(narrow, 3)
    assert len(narrow.wild) == 1


def test_what_was_measured_before_windows_became_longer_does_not_count() -> None:
    found = run(Clocks(1.0, 0.001, restart_at=6))
    assert max(times["candidate"] for times in found) < 2e-3


def test_a_baseline_off_its_usual_time_is_noticed_either_way() -> None:
    usual = Usual()
    assert usual.off("bench", "eager", 2.0, None) == 1.0  # nothing to compare with
    assert usual.off("bench", "eager", 2.0, 1.0) == 2.0  # slower than it was alone
    for seconds in (1.0, 1.1, 0.9, 1.05):
        usual.add("bench", "eager", seconds)
    assert usual.off("bench", "eager", 1.2, None) == 1.0
    assert usual.off("bench", "eager", 1.6, None) == pytest.approx(1.6 / 1.025)
    assert usual.off("bench", "eager", 0.6, None) < 0.7
    usual.forget("bench")
    assert usual.off("bench", "eager", 9.0, None) == 1.0


@pytest.mark.parametrize("name", names())
def test_held_out_shapes_are_odd_near_and_accepted_by_the_reference(name: str) -> None:
    task, rng = load(name), random.Random(5)
    case = next(case for case in task.timing if case.name.startswith("hot"))
    unseen = case_of(task, case, rng)
    assert unseen is not None
    changed = 0
    for tensor, shape in case.shapes.items():
        for old, new in zip(shape, unseen.shapes[tensor], strict=True):
            assert abs(new - old) <= SPREAD * old
            assert new == old or new % 2 == 1
            changed += new != old
    assert changed
    assert unseen.name.startswith("hot-heldout-")
    inputs = task.make_inputs(unseen, 1)
    assert tuple(task.reference(*inputs, *unseen.scalars.values()).shape) == tuple(
        unseen.shapes[task.outputs[0].name]
    )


def small_bench(name: str, calls: int = 2) -> Bench:
    task = load(name)
    shapes = {arg.name: (16, 256) for arg in (*task.inputs, *task.outputs)}
    if name == "sum_last":
        shapes["y"] = (16, 1)
    return Bench(task, Case("hot-16x256", shapes, "f32"), calls, random.Random(7))


def test_no_window_is_a_shifted_or_scaled_copy_of_an_earlier_one() -> None:
    """Kept prefix sums are of use only if ``x[i + 2] - x[i] : x[i + 1] - x[i]`` comes again: these
    are the same in every copy that is scaled and shifted."""
    bench = small_bench("sum_last")
    try:
        known: set[int] = set()
        again = total = 0
        for _ in range(12):
            bench.refresh()
            for call in range(bench.count):
                x = bench.regions.input(call, 0).double().flatten()
                ratio = (x[2:] - x[:-2]) / (x[1:-1] - x[:-2])
                marks = (ratio * 1000).round().long() * 1_000_003
                marks = marks[:-1] + (ratio[1:] * 1000).round().long()
                again += sum(mark in known for mark in marks.tolist())
                total += len(marks)
                known |= set(marks.tolist())
        assert again / total < 0.05
    finally:
        bench.close()


def test_positive_inputs_stay_positive() -> None:
    bench = small_bench("sqrt")
    try:
        for renew in (bench.refresh, bench.run_wild):
            for _ in range(5):
                renew()
                assert float(bench.regions.input(0, 0).min()) >= 0.0
    finally:
        bench.close()


def test_wild_inputs_are_extreme_finite_and_checked() -> None:
    import torch

    bench = small_bench("relu")
    try:
        seen = []
        for _ in range(20):
            bench.run_wild()
            x = bench.regions.input(1, 0)
            assert bool(torch.isfinite(x).all())
            seen.append(float(x.abs().median()))
            bench.poison()
            check = bench.choose(1, 1)
            assert check.call == 1
            assert bench.wrong(check)
            bench.regions.output(1).copy_(torch.relu(x))
            assert bench.wrong(check) == ""
        assert max(seen) > 80
        assert min(seen) < 1e-3
        assert statistics.median(seen) != seen[0]
    finally:
        bench.close()
