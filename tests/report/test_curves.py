# SPDX-License-Identifier: Apache-2.0
"""Curves end where the attempts end, never fall, and say when they cannot be drawn."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
from report import synthetic

from kernelcoder.records import Verdict
from kernelcoder.report import groups, lines, source
from kernelcoder.report.charts import budget_section
from kernelcoder.report.curves import AXES, curve, group_curve, right, utility


def test_curves_rise_and_end_at_the_best_so_far(tmp_path: Path) -> None:
    for folder in synthetic.tree(tmp_path)[:4]:
        run = source.load(folder)
        best = [
            max((utility(t, task.baseline) for t in task.tries), default=0) for task in run.tasks
        ]
        share = sum(any(map(right, task.tries)) for task in run.tasks) / len(run.tasks)
        for axis in ("attempts", "seconds"):
            points = curve(run, axis).points
            assert points[-1][1] == pytest.approx(share)
            assert points[-1][2] == pytest.approx(math.exp(sum(best) / len(best)))
            for (_, at, speed), (low, high, slow, fast) in zip(
                points, curve(run, axis).bands, strict=True
            ):
                assert low - 1e-9 <= at <= high + 1e-9
                assert slow - 1e-9 <= speed <= fast + 1e-9
            assert points[-1][1] == 1.0 or curve(run, axis).bands[-1][0] < points[-1][1]
            for column in (0, 1, 2):
                one = [p[column] for p in points]
                assert all(a <= b + 1e-12 for a, b in zip(one, one[1:], strict=False))


def test_only_independent_drafts_use_the_estimator(tmp_path: Path) -> None:
    drafts = source.load(synthetic.cell(tmp_path, synthetic.Spec("best_of_n")))
    chain = source.load(synthetic.cell(tmp_path, synthetic.Spec("refine")))
    assert curve(drafts, "attempts").expected
    assert not curve(chain, "attempts").expected
    first = curve(drafts, "attempts").points[0]
    shares = [sum(map(right, task.judged)) / len(task.judged) for task in drafts.tasks]
    assert first[1] == pytest.approx(sum(shares) / len(shares))


def test_unknown_prices_give_no_curve_and_a_reason(tmp_path: Path) -> None:
    run = source.load(synthetic.cell(tmp_path, synthetic.Spec(tokens=True)))
    assert curve(run, "cost").points == ()
    assert "unknown" in curve(run, "cost").unknown
    assert curve(run, "tokens").points


def test_what_the_machine_failed_is_in_no_curve(tmp_path: Path) -> None:
    """Replacing attempts by failures of the machine changes pass@1 as leaving them out does."""
    clean = source.load(synthetic.cell(tmp_path, synthetic.Spec(rate=0.8, rng_seed=2)))
    lost = Verdict("infra_error", "compiled", "the slot process was killed")
    tasks = tuple(
        dataclasses.replace(
            task,
            tries=tuple(
                dataclasses.replace(t, verdict=lost) if t.ordinal % 3 == number % 4 else t
                for t in task.tries
            ),
        )
        for number, task in enumerate(clean.tasks)
    )
    found = curve(dataclasses.replace(clean, tasks=tasks), "attempts")
    assert found.expected
    shares = [sum(map(right, task.judged)) / len(task.judged) for task in tasks]
    assert len({len(task.judged) for task in tasks}) > 1
    assert found.points[0][1] == pytest.approx(sum(shares) / len(shares))
    ends = [float(any(map(right, task.judged))) for task in tasks]
    assert found.points[-1][1] == pytest.approx(sum(ends) / len(ends))


def test_tasks_not_begun_yet_are_in_the_denominator(tmp_path: Path) -> None:
    run = source.load(synthetic.cell(tmp_path, synthetic.Spec(rate=1.0, tasks=synthetic.TASKS[:4])))
    planned = dataclasses.replace(run, meta={**run.meta, "tasks": list(synthetic.TASKS[:8])})
    whole, half = curve(run, "seconds").points[-1], curve(planned, "seconds").points[-1]
    assert half[1] == pytest.approx(whole[1] / 2)
    assert math.log(half[2]) == pytest.approx(math.log(whole[2]) / 2)
    assert not curve(planned, "attempts").expected


def test_what_was_not_timed_has_no_speed(tmp_path: Path) -> None:
    untimed = source.load(synthetic.cell(tmp_path, synthetic.Spec(timed=False)))
    timed = source.load(synthetic.cell(tmp_path, synthetic.Spec("metr", rng_seed=5)))
    assert not curve(untimed, "attempts").timed
    assert curve(timed, "attempts").timed
    alone = budget_section(lines.lines(groups.groups([untimed]), ()))
    assert "Speed was not measured." in alone
    assert "1.00x" not in alone
    both = budget_section(lines.lines(groups.groups([untimed, timed]), ()))
    assert "Speed was not measured." not in both


def test_seeds_make_the_mean_of_their_curves(tmp_path: Path) -> None:
    small = {"tasks": synthetic.TASKS[:6], "tokens": True, "cost": 0.01}
    one, two = (
        source.load(synthetic.cell(tmp_path, synthetic.Spec("metr", seed=s, rng_seed=s, **small)))
        for s in (1, 2)
    )
    for axis in AXES:
        both = group_curve((one, two), axis)
        ends = [curve(run, axis).points[-1] for run in (one, two)]
        assert both.points[-1][1] == pytest.approx(sum(end[1] for end in ends) / 2)
        logs = [math.log(end[2]) for end in ends]
        assert math.log(both.points[-1][2]) == pytest.approx(sum(logs) / 2)
        assert len(both.bands) == len(both.points)
