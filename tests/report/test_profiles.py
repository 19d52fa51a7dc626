# SPDX-License-Identifier: Apache-2.0
"""Area under the curve, budget to target, data and performance profiles, by hand and by search."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report import synthetic

from kernelcoder.report import curves, profiles, source

SPEED = st.floats(0.25, 8.0)


def test_the_area_of_a_constant_speed_is_that_speed() -> None:
    assert profiles.area([(1.0, 2.0)], 1.0, 100.0) == pytest.approx(2.0)


def test_the_area_weighs_by_the_logarithm_of_the_budget() -> None:
    # 1 up to 10, then 4 up to 100: half of the logarithm each, so the geometric mean of 1 and 4
    assert profiles.area([(10.0, 4.0)], 1.0, 100.0) == pytest.approx(2.0)
    assert profiles.area([(1.0, 2.0), (10.0, 8.0)], 1.0, 100.0) == pytest.approx(4.0)
    assert profiles.area([(1.0, 2.0)], 5.0, 5.0) is None
    assert profiles.area([(1.0, 2.0)], 0.0, 5.0) is None


@given(st.lists(st.tuples(st.floats(0.1, 50.0), SPEED), min_size=1, max_size=8))
def test_the_area_is_the_integral(points: list[tuple[float, float]]) -> None:
    points = sorted(points)
    steps = 4000
    total = 0.0
    for i in range(steps):
        budget = math.exp(math.log(0.5) + (i + 0.5) / steps * math.log(20.0 / 0.5))
        held = [speed for at, speed in points if at <= budget]
        total += math.log(held[-1]) / steps if held else 0.0
    found = profiles.area(points, 0.5, 20.0)
    assert found is not None
    assert math.log(found) == pytest.approx(total, abs=0.02)


@given(st.lists(st.one_of(st.none(), st.floats(0.0, 20.0)), min_size=1, max_size=12))
def test_the_restricted_mean_is_the_area_above_the_data_profile(
    budgets: list[float | None],
) -> None:
    limit = 10.0
    edges = sorted({0.0, limit, *(b for b in budgets if b is not None and b < limit)})
    above = sum(
        (right - left) * (1 - profiles.reached(budgets, left))
        for left, right in zip(edges, edges[1:], strict=False)
    )
    assert profiles.restricted_mean(budgets, limit) == pytest.approx(above)


def test_the_budget_to_a_target_is_the_first_that_reached_it(tmp_path: Path) -> None:
    spec = synthetic.Spec("refine", rate=0.7, tasks=synthetic.TASKS[:6])
    run = source.load(synthetic.cell(tmp_path, spec))
    best = profiles.best_known(run.tasks)
    for task in run.tasks:
        for axis in ("attempts", "seconds", "device", "wall"):
            spent = curves.positions(task, axis)
            assert spent is not None
            target = best.get(task.id, 1.0)
            found = profiles.to_target(task, axis, target)
            reached = [
                at
                for at, t in zip(spent, task.judged, strict=True)
                if math.exp(curves.utility(t, task.baseline)) >= target - 1e-9
            ]
            assert found == (min(reached) if reached else None)
        assert profiles.to_target(task, "attempts", 2 * target) is None


def test_a_performance_profile_by_hand() -> None:
    found = profiles.performance_profile(
        {"a": {"1": 2.0, "2": 1.0, "3": None}, "b": {"1": 1.0, "2": 1.5, "3": None}}
    )
    assert found["a"] == [(1.0, pytest.approx(1 / 3)), (1.5, pytest.approx(2 / 3)),
                          (2.0, pytest.approx(2 / 3))]  # fmt: skip
    assert found["b"][-1] == (2.0, pytest.approx(2 / 3))


@given(
    st.dictionaries(
        st.sampled_from("abc"),
        st.fixed_dictionaries({t: st.one_of(st.none(), SPEED) for t in "123"}),
        min_size=1,
    )
)
def test_a_performance_profile_counts_tasks(speeds: dict[str, dict[str, float | None]]) -> None:
    found = profiles.performance_profile(speeds)
    for name, steps in found.items():
        assert steps == sorted(steps)
        for theta, share in steps:
            good = 0
            for task in "123":
                own = speeds[name][task]
                top = max((s for each in speeds.values() if (s := each[task])), default=None)
                good += own is not None and top is not None and top / own <= theta
            assert share == pytest.approx(good / 3)


def test_wall_time_leaves_out_the_pause_between_sessions(tmp_path: Path) -> None:
    from kernelcoder.ledger import Event
    from kernelcoder.report import clocks

    def event(seq: int, time: float, op: str = "") -> Event:
        return Event(seq, time, "control" if op else "ask", None, None, {"op": op}, "", "")

    events = [event(0, 0.0, "open"), event(1, 2.0), event(2, 100.0, "resume"), event(3, 103.0)]
    assert clocks.running(events) == [0.0, 2.0, 2.0, 5.0]
    assert clocks.wall(events) == 5.0
