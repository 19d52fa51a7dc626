# SPDX-License-Identifier: Apache-2.0
"""How many blocks a final timing has, and what it then says, on made-up clocks."""

from __future__ import annotations

import contextlib
import math
import random
import statistics
import time
from collections.abc import Iterator
from typing import Any

import pytest

from kernelcoder.records import Ratio
from kernelcoder.task import Case
from kernelcoder.verify import Finalist, VerifyOptions, stopping
from kernelcoder.verify.drift import Usual
from kernelcoder.verify.finals import Finals
from kernelcoder.verify.intervals import blocks_ratio, half_width, mean_of, median_error

LEAST = 6


class Clocks:
    """An arena of made-up clocks: the candidate's ``log_speedup`` with a bias of the process."""

    baselines: tuple[str, ...] = ()
    children = ("candidate", "reference")
    restarts = 0

    def __init__(self, log_speedup: float, noise: float, rng: random.Random) -> None:
        self.log_speedup, self.noise, self.rng = log_speedup, noise, rng

    def round(self, rng: random.Random) -> list[dict[str, float]]:
        def one(log_seconds: float) -> float:
            return 1e-4 * math.exp(log_seconds + self.rng.gauss(0, self.noise))

        return [{"candidate": one(-self.log_speedup), "reference": one(0.0)} for _ in range(4)]

    def wild_round(self, rng: random.Random) -> None:
        pass

    def fair(self) -> None:
        pass


class Machine:
    """A contest on made-up clocks. ``speedups`` by candidate, ``noise`` the scatter of a batch,
    ``bias`` that of a block (standard deviations of the logarithm), ``pause`` seconds a half."""

    def __init__(
        self, speedups: dict[str, float], noise: float, bias: float = 0.0, pause: float = 0.0
    ) -> None:
        self.speedups, self.noise, self.bias, self.pause = speedups, noise, bias, pause
        self.rng, self.alone = random.Random(3), dict[tuple[str, str], float]()
        self.halves = dict.fromkeys(speedups, 0)
        self._tilt = 0.0

    @contextlib.contextmanager
    def enter(
        self, bench: Any, entrants: Any, wanted: Any, fresh: bool, swapped: bool
    ) -> Iterator[Clocks]:
        name = entrants[0].built
        self.halves[name] += 1
        time.sleep(self.pause)
        if fresh:
            self._tilt = self.rng.gauss(0, self.bias)
        yield Clocks(math.log(self.speedups[name]) + self._tilt, self.noise, self.rng)

    def notes(self, benches: Any) -> tuple[str, ...]:
        return ()


class Bench:
    """A bench of which only the name is asked for."""

    name = "relu:hot"
    case = Case("hot-8x8", {"x": (8, 8)}, "f32")
    working_set = 512

    class task:  # noqa: N801
        class _Input:
            name = "x"

        inputs = (_Input,)


class NoFloor:
    def fraction(self, bench: Any, seconds: float) -> float:
        return 0.5


def final(machine: Machine, seconds: int = 60, seed: int = 1) -> list[Finalist]:
    options = VerifyOptions(True, 10, 60, 512, 1, "reference", False, LEAST, seconds)
    finals = Finals(options, machine, NoFloor(), Usual())  # type: ignore[arg-type]
    builds: Any = [(name, name) for name in machine.speedups]
    return finals.run(None, builds, [Bench()], [], random.Random(seed))  # type: ignore[arg-type, list-item]


def report(finalist: Finalist) -> tuple[Ratio, str]:
    assert finalist.report is not None, finalist.reason
    return finalist.report.speedup["reference"], " ".join(finalist.report.notes)


def test_a_calm_machine_needs_the_least_blocks() -> None:
    (found,) = final(Machine({"one": 1.0}, noise=0.005))
    ratio, notes = report(found)
    assert ratio.n == LEAST
    assert half_width(ratio) <= 0.01
    assert "was known to" in notes


def test_a_restless_machine_gets_blocks_until_the_speedup_is_known() -> None:
    machine = Machine({"one": 1.0}, noise=0.04, bias=0.012)
    (found,) = final(machine)
    ratio, notes = report(found)
    assert ratio.n > LEAST
    assert half_width(ratio) <= 0.01
    assert f"{ratio.n} blocks" in notes
    assert machine.halves["one"] == 2 * ratio.n


def test_when_the_time_is_up_the_interval_is_what_it_is_and_that_is_said() -> None:
    (found,) = final(Machine({"one": 1.0}, noise=0.02, bias=0.05, pause=0.07), seconds=1)
    ratio, notes = report(found)
    assert half_width(ratio) > 0.01
    assert "and not to 1.0%" in notes
    assert "was known to" not in notes


def test_without_seconds_there_are_the_least_blocks_and_nothing_is_said() -> None:
    (found,) = final(Machine({"one": 1.0}, noise=0.02, bias=0.05), seconds=0)
    ratio, notes = report(found)
    assert ratio.n == LEAST
    assert notes == ""


def test_far_from_one_a_wider_interval_will_do() -> None:
    machine = Machine({"near": 1.0, "far": 3.0}, noise=0.02, bias=0.02)
    near, far = (report(found)[0] for found in final(machine))
    assert machine.halves["far"] < machine.halves["near"] or near.hi < far.lo
    assert stopping.goal(Ratio(3.0, 2.9, 3.1, 6), 1) == pytest.approx(0.05 * math.log(3.0))
    assert stopping.goal(Ratio(1.0, 0.9, 1.1, 6), 1) == 0.01
    assert stopping.goal(Ratio(1.0, 0.9, 1.1, 6), 2) > 0.01


def test_a_finalist_that_is_clearly_worse_gets_no_more_blocks() -> None:
    machine = Machine({"good": 1.05, "bad": 0.9}, noise=0.02, bias=0.02)
    good, bad = final(machine)
    assert machine.halves["bad"] == 2 * LEAST
    assert machine.halves["good"] > 2 * LEAST
    assert report(bad)[0].n == LEAST // 2
    assert report(good)[0].hi > report(bad)[0].hi


def test_stopping_at_a_narrow_interval_keeps_it_honest() -> None:
    """Identical kernels on machines whose blocks are disturbed unequally: how often does the
    interval at which the timing stops contain 1?"""
    rng = random.Random(11)
    hits = narrow = 0
    trials = 300
    for _ in range(trials):
        bias = rng.choice((0.0, 0.004, 0.012, 0.02))
        means: list[float] = []
        errors: list[float] = []
        while True:
            tilt, noise = rng.gauss(0, bias), 0.05 * rng.lognormvariate(0, 0.7)
            halves = [[tilt + rng.gauss(0, noise) for _ in range(30)] for _ in range(2)]
            means.append(statistics.fmean(map(statistics.median, halves)))
            errors.append(math.hypot(*map(median_error, halves)) / 2)
            if len(means) < LEAST:
                continue
            ratio = blocks_ratio(means, errors)
            if stopping.known(ratio, 1) or len(means) == 30:
                break
        hits += ratio.lo <= 1.0 <= ratio.hi
        narrow += stopping.known(ratio, 1)
    assert hits / trials >= 0.9
    assert narrow / trials > 0.5  # the rule did end most of them


def test_a_disturbed_block_weighs_less_and_agreement_by_chance_is_not_believed() -> None:
    calm = [0.01, 0.012, 0.008, 0.011, 0.009]
    disturbed = blocks_ratio([*calm, 0.31], [0.002] * 5 + [0.15])
    assert disturbed.median == pytest.approx(math.exp(0.01), abs=0.002)
    assert math.log(blocks_ratio([*calm, 0.31]).median) > 0.05
    agreeing = blocks_ratio([0.01] * 6, [0.02] * 6)
    assert half_width(agreeing) > 0.015
    assert half_width(blocks_ratio([0.01] * 6)) == 0.0


def test_cases_are_independent_in_the_mean_over_them() -> None:
    one = Ratio(1.0, math.exp(-0.02), math.exp(0.02), 9)
    two = Ratio(math.exp(0.2), math.exp(0.18), math.exp(0.22), 7)
    found = mean_of([one, two])
    assert math.log(found.median) == pytest.approx(0.1)
    assert half_width(found) == pytest.approx(0.02 / math.sqrt(2))
    assert found.n == 7
    assert mean_of([one]).lo == pytest.approx(one.lo)
    assert mean_of([one]).hi == pytest.approx(one.hi)


def test_the_table_of_repeatability_says_how_wide_and_how_many() -> None:
    from kernelcoder.commands.aa import _markdown
    from kernelcoder.verify.aa import Difference, Repeatability

    same = Repeatability("core/relu hot", "hot", 1, 20, 0.004, 0.012, 19, 0.009, 7.5, 12.0)
    other = Difference("core/softmax hot", 1, 40, 40, 39, 0, 0.951, 11.0)
    table = _markdown([same], [other], {}).splitlines()
    assert "| core/relu hot | 1 | 20 | 0.40% | 1.20% | 19 | 0.90% | 7.5 | 12.0 |" in table
    start = next(i for i, line in enumerate(table) if line.startswith("| A/A"))
    assert len({line.count("|") for line in table[start : start + 3]}) == 1
