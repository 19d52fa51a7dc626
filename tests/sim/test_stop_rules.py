# SPDX-License-Identifier: Apache-2.0
"""Rules that end a task: each by hand, none by default, and a task goes on once a rule lets it."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import replace

import pytest
from doubles import attempt

from kernelcoder import stop_rules
from kernelcoder.budget import Caps
from kernelcoder.records import Attempt
from kernelcoder.stop_rules import OFF, StopRules, expected_gain, goes_on, halt, looser, sights


def on(end: dict[str, object], attempts: int, rules: StopRules = OFF, budget: int = 32) -> bool:
    return goes_on(end, attempts, budget, Caps(), rules)


def runs(*speeds: float | None) -> list[Attempt]:
    """Attempts with these speeds; None is a failure."""
    return [
        attempt(at, "incorrect") if speed is None else attempt(at, speed=speed)
        for at, speed in enumerate(speeds)
    ]


def stops(rules: StopRules, seen: list[Attempt], budget: int = 32) -> str:
    found = halt(rules, seen, budget, "eager", 0.02)
    return str(found["rule"]) if found else ""


def test_no_rule_is_on_by_default() -> None:
    assert stops(OFF, runs(*[1.0] * 40)) == ""
    assert not OFF.any
    assert stop_rules.rules_of({}) == OFF


def test_a_target_stops_when_it_is_reached() -> None:
    rules = replace(OFF, speedup_percent=150)
    assert stops(rules, runs(1.0, None, 1.49)) == ""
    assert stops(rules, runs(1.0, None, 1.5)) == "speedup"
    assert stops(rules, []) == ""


def test_the_share_of_the_roofline() -> None:
    near = attempt(0, speed=2.0)
    assert near.verdict.timing is not None
    timing = replace(near.verdict.timing, roofline_fraction=0.96)
    near = replace(near, verdict=replace(near.verdict, timing=timing))
    assert stops(replace(OFF, roofline_percent=95), [near]) == "roofline"
    assert stops(replace(OFF, roofline_percent=97), [near]) == ""
    assert stops(replace(OFF, roofline_percent=1), runs(1.0)) == "", "no roof is known"


def test_patience_counts_from_the_last_gain_above_the_noise() -> None:
    rules = replace(OFF, patience=4)
    flat = [1.0, 1.01, None, 1.015, 1.0]
    assert sights(runs(*flat), "eager", 0.02)["idle"] == 4
    assert stops(rules, runs(*flat), budget=16) == "idle"
    assert stops(rules, runs(*flat), budget=17) == "", "a quarter of the budget must pass as well"
    assert stops(rules, runs(*flat, 1.03), budget=16) == ""
    assert stops(rules, runs(None, None, None, None), budget=16) == "idle"


def test_slow_gains_that_add_up_are_gains() -> None:
    creeping = [1.0 + 0.01 * step for step in range(12)]
    assert sights(runs(*creeping), "eager", 0.02)["idle"] <= 2


def test_the_expected_gain_is_that_of_many_draws() -> None:
    logs, best = [0.1, 0.3, 0.2, 0.5, 0.0, 0.4], 0.5
    rng = random.Random(1)
    mean, spread = statistics.fmean(logs), statistics.stdev(logs)
    chance = 7 / 12
    draws = [
        max(0.0, rng.gauss(mean, spread) - best) if rng.random() < chance else 0.0
        for _ in range(200_000)
    ]
    error = statistics.stdev(draws) / math.sqrt(len(draws))
    assert expected_gain(logs, 10, best) == pytest.approx(statistics.fmean(draws), abs=4 * error)
    assert expected_gain([0.2] * 4, 4, 0.2) == 0.0


def test_a_low_expected_gain_stops_and_three_right_kernels_say_nothing() -> None:
    rules = replace(OFF, gain_basis_points=50)
    assert stops(rules, runs(2.0, 1.0, 1.5, 1.8, 1.2)) == "", "the next may well be faster"
    assert stops(rules, runs(2.0, *[1.0] * 15, *[1.001] * 15)) == "gain"
    assert stops(rules, runs(2.0, None, 1.0, 1.0)) == ""


def test_a_stopped_task_goes_on_once_the_rule_lets_it() -> None:
    end: dict[str, object] = {"why": "...", "rule": "speedup", "saw": 1.6, "caps": {}}
    assert not on(end, 3, replace(OFF, speedup_percent=150))
    assert on(end, 3, replace(OFF, speedup_percent=170))
    assert on(end, 3), "switched off"
    assert not on(end, 32), "the budget is used up"
    idle: dict[str, object] = {"why": "...", "rule": "idle", "saw": 8, "caps": {}}
    assert not on(idle, 20, replace(OFF, patience=8))
    assert on(idle, 20, replace(OFF, patience=8), budget=64)
    assert not on({"why": "stop"}, 3)
    assert on({"why": "budget"}, 3)


def test_which_settings_are_looser() -> None:
    assert looser("BUDGET_STOP_PATIENCE", 4, 8)
    assert looser("BUDGET_STOP_PATIENCE", 4, 0)
    assert not looser("BUDGET_STOP_PATIENCE", 0, 8)
    assert looser("BUDGET_STOP_GAIN_BASIS_POINTS", 50, 10)
    assert not looser("BUDGET_STOP_GAIN_BASIS_POINTS", 50, 90)
