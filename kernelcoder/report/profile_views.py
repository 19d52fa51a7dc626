# SPDX-License-Identifier: Apache-2.0
"""Area under the curve, budget to target and the performance profile, for the page."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report import claims, profiles, stats
from kernelcoder.report.curves import Curve
from kernelcoder.report.lines import Line
from kernelcoder.report.quote import esc
from kernelcoder.report.rows import speedup
from kernelcoder.report.svg import Frame, Series, compact, line_chart
from kernelcoder.report.tables import table

MOST_THETA = 4.0


def budget_table(lines: Sequence[Line], curves: Sequence[Curve], axis: str) -> str:
    """One row per group over the range of budgets that all of them cover."""
    known = [c for c in curves if c.points]
    if not known:
        return "<p>No curve.</p>"
    low = max(next((p[0] for p in c.points if p[0] > 0), 0.0) for c in known)
    high = min(c.points[-1][0] for c in known)
    best = profiles.best_known([t for line in lines for run in line.group.runs for t in run.tasks])
    body = []
    for line, c in zip(lines, curves, strict=True):
        if not c.points:
            continue
        tasks = [task for run in line.group.runs for task in run.tasks]
        total = sum(run.n_tasks for run in line.group.runs)
        goals = [
            profiles.to_target(task, axis, max(1.0, profiles.NEAR * best.get(task.id, 1.0)))
            if best.get(task.id, 1.0) > 1.0
            else None
            for task in tasks
        ]
        goals += [None] * (total - len(goals))
        area = profiles.area([(p[0], p[2]) for p in c.points], low, high) if c.timed else None
        body.append(
            [
                esc(line.group.label),
                claims.times(area),
                f"{100 * profiles.reached(goals, high):.0f}%",
                compact(float(f"{profiles.restricted_mean(goals, high):.4g}")),
            ]
        )
    span = f"from {compact(float(f'{low:.4g}'))} to {compact(float(f'{high:.4g}'))}"
    return (
        f"<p>Over the budgets that all lines cover, {span}. Area: geometric mean of the speed so "
        "far over the logarithm of the budget. Target: 95% of the best search speed that any "
        "configuration of this page found on the task; a task that never got there is charged the "
        "whole budget.</p>"
        + table(["configuration", "area", "reached the target", "mean budget to it"], body)
    )


def figure(lines: Sequence[Line]) -> str:
    """Performance profile on final timings over the tasks of all groups; "" for one group, or where
    groups stand on other tasks."""
    names = {frozenset(t.id for run in line.group.runs for t in run.tasks) for line in lines}
    if len(lines) < 2 or len(names) != 1:
        return ""
    speeds = {str(line.index): _speeds(line) for line in lines}
    found = profiles.performance_profile(speeds)
    frame = Frame(
        "Performance profile: share of tasks within a factor of the best configuration's time",
        "factor behind the best", 0.0, 1.0, lambda y: f"{100 * y:.0f}%", x_low=1.0, legend=True,
    )  # fmt: skip
    series = [
        Series(line.group.label, _cut(found[str(line.index)]), line.index, steps=True, off=line.off)
        for line in lines
    ]
    return (
        "<figure><figcaption>Performance profile (depends on the set shown)</figcaption>"
        f"{line_chart(frame, series, 'c-profile')}</figure>"
    )


def _speeds(line: Line) -> dict[str, float | None]:
    """Per task the geometric mean over seeds, None unless every seed has a timed kernel."""
    found: dict[str, list[float | None]] = {}
    for run in line.group.runs:
        for task in run.tasks:
            found.setdefault(task.id, []).append(speedup(task))
    return {
        task: None if None in values else stats.geomean([v for v in values if v is not None])
        for task, values in found.items()
    }


def _cut(steps: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    inside = [step for step in steps if step[0] <= MOST_THETA]
    return [*inside, (min(MOST_THETA, steps[-1][0]), inside[-1][1] if inside else 0.0)]
