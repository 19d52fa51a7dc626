# SPDX-License-Identifier: Apache-2.0
"""Judging a router from another one's log: right on average, honest about what it cannot know."""

from __future__ import annotations

import random
import statistics

import pytest

from kernelcoder.routing.offpolicy import Estimate, Logged, always, evaluate, uniform

WORTH = {"a": 0.3, "b": 0.7}


def log(seed: int, tasks: int = 20, each: int = 10) -> list[Logged]:
    """A log of a router whose chances differ from decision to decision."""
    rng, found = random.Random(seed), []
    for task in range(tasks):
        for _ in range(each):
            p = rng.uniform(0.1, 0.9)
            arm = "a" if rng.random() < p else "b"
            earned = float(rng.random() < WORTH[arm])
            found.append(Logged(f"t{task}", arm, {"a": p, "b": 1 - p}, earned))
    return found


@pytest.mark.parametrize("arm", ["a", "b"])
def test_the_mean_estimate_is_the_true_worth(arm: str) -> None:
    found = [evaluate(log(seed, 10, 5), always(arm)) for seed in range(60)]
    ips = statistics.mean(one.ips or 0.0 for one in found)
    snips = statistics.mean(one.snips or 0.0 for one in found)
    assert ips == pytest.approx(WORTH[arm], abs=0.06)
    assert snips == pytest.approx(WORTH[arm], abs=0.06)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    found = [evaluate(log(seed), always("b")) for seed in range(40)]
    held = sum((one.snips_lo or 1) <= WORTH["b"] <= (one.snips_hi or 0) for one in found)
    assert held >= 33  # 95 % of 40 is 38; bootstrap intervals of 20 tasks are a little narrow
    wide = evaluate(log(0, tasks=4), always("b"))
    assert spread(wide) > spread(found[0])


def spread(one: Estimate) -> float:
    return (one.snips_hi or 0.0) - (one.snips_lo or 0.0)


def test_it_is_the_plain_mean_where_the_target_is_the_logger() -> None:
    rows = [
        Logged("t", "a", {"a": 0.5, "b": 0.5}, 1.0),
        Logged("u", "b", {"a": 0.5, "b": 0.5}, 0.0),
    ]
    found = evaluate(rows, uniform)
    assert found.ips == found.snips == 0.5
    assert (found.n, found.tasks, found.effective) == (2, 2, 2.0)


def test_what_was_never_possible_is_not_estimated() -> None:
    rows = [Logged("t", "a", {"a": 1.0, "b": 0.0}, 1.0)] * 5
    found = evaluate(rows, always("b"))
    assert found.ips is None and found.snips is None
    assert found.reason == "at 5 of 5 decisions an arm of it had no chance"
    assert evaluate(rows, always("a")).ips == 1.0
    assert evaluate([], always("a")).reason == "no decisions"


def test_one_task_has_no_interval() -> None:
    found = evaluate(log(0, tasks=1), always("a"))
    assert found.ips is not None and found.ips_lo is None and found.ips_hi is None


def test_the_same_log_gives_the_same_interval() -> None:
    assert evaluate(log(1), always("a")) == evaluate(log(1), always("a"))
