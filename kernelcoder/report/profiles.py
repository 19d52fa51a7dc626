# SPDX-License-Identifier: Apache-2.0
"""Single numbers and profiles of a search: area under its curve, budget to a target, and how often
it is best and how far behind otherwise.

Source: reference specification of methods, 3.5; performance profiles after Dolan and More, 2002.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from kernelcoder.report.curves import positions, utility
from kernelcoder.report.source import TaskRun

NEAR = 0.95  # a target of "nearly the best that anybody found"


def area(points: Sequence[tuple[float, float]], low: float, high: float) -> float | None:
    """exp of the mean of log speed over log budget: [1 / log(high/low)] times the integral of
    log S(b) d log b from ``low`` to ``high``. ``points`` are (budget > 0, speed) in order; the
    speed holds from its budget to the next and is 1 before the first. None unless 0 < low < high.
    """
    if not 0 < low < high:
        return None
    total, at, value = 0.0, low, 0.0
    for budget, speed in points:
        if budget >= high:
            break
        if budget > at:
            total += value * math.log(budget / at)
            at = budget
        value = math.log(speed)
    total += value * math.log(high / at)
    return math.exp(total / math.log(high / low))


def to_target(task: TaskRun, axis: str, target: float) -> float | None:
    """The budget at which a task's best search speedup reached ``target``; None if it never did or
    the budget is unknown."""
    spent = positions(task, axis)
    if spent is None:
        return None
    pairs = sorted(zip(spent, task.judged, strict=True), key=lambda pair: pair[0])
    goal = math.log(target)
    return next((at for at, t in pairs if utility(t, task.baseline) >= goal - 1e-12), None)


def reached(budgets: Sequence[float | None], budget: float) -> float:
    """Data profile: the share of tasks that reached their target by ``budget``. Tasks that never
    did stay in the denominator."""
    return sum(b is not None and b <= budget for b in budgets) / len(budgets)


def restricted_mean(budgets: Sequence[float | None], limit: float) -> float:
    """Mean budget to target where nobody is charged more than ``limit``: the area above the data
    profile up to there."""
    return math.fsum(limit if b is None else min(b, limit) for b in budgets) / len(budgets)


def best_known(tasks: Sequence[TaskRun]) -> dict[str, float]:
    """The best search speedup of each task, at least 1."""
    found: dict[str, float] = {}
    for task in tasks:
        for attempt in task.judged:
            value = math.exp(utility(attempt, task.baseline))
            found[task.id] = max(found.get(task.id, 1.0), value)
    return found


def performance_profile(
    speeds: Mapping[str, Mapping[str, float | None]],
) -> dict[str, list[tuple[float, float]]]:
    """Group -> steps (theta, share of tasks whose time is within theta of the best group's).

    ``speeds`` is group -> task -> speedup, None where there is no kernel: infinitely slow. A task
    that nobody solved counts in every denominator. The last step stands at the largest theta."""
    tasks = sorted({task for each in speeds.values() for task in each})
    best = {
        task: max((s for each in speeds.values() if (s := each.get(task))), default=None)
        for task in tasks
    }
    ratios = {
        name: sorted(top / own for task in tasks if (own := each.get(task)) and (top := best[task]))
        for name, each in speeds.items()
    }
    last = max([1.0, *(r for each in ratios.values() for r in each)])
    out = {}
    for name, each in ratios.items():
        steps = [(theta, sum(r <= theta for r in each) / len(tasks)) for theta in sorted({*each})]
        start = [] if steps and steps[0][0] == 1.0 else [(1.0, 0.0)]
        out[name] = [*start, *steps, (last, len(each) / len(tasks))]
    return out
