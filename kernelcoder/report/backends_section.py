# SPDX-License-Identifier: Apache-2.0
"""The same configuration on several backends, each against the baseline of its own machine."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report import claims, stats
from kernelcoder.report.groups import AXES, Group
from kernelcoder.report.quote import esc
from kernelcoder.report.rows import speedup
from kernelcoder.report.source import TaskRun
from kernelcoder.report.standings import League, Standing
from kernelcoder.report.tables import table
from kernelcoder.report.verdicts import span

SAME = tuple(axis for axis in AXES if axis not in ("backend", "machine"))


def section(leagues: Sequence[League]) -> str:
    """A row per configuration, a column per backend; then every task of it."""
    everyone = [one for league in leagues for one in league.everyone]
    backends = list(dict.fromkeys(_where(one.group) for one in everyone))
    if len(backends) < 2:
        return "<p>All cells ran on one backend.</p>"
    by: dict[str, dict[str, Standing]] = {}
    for one in everyone:
        name = " ".join(one.group.axes[axis] for axis in SAME)
        by.setdefault(name, {})[_where(one.group)] = one
    body = [
        [esc(name), *(_cell(row.get(backend)) for backend in backends)] for name, row in by.items()
    ]
    details = "".join(
        f"<details><summary>{esc(name)}, task by task</summary>{_tasks(row, backends)}</details>"
        for name, row in by.items()
        if len(row) > 1
    )
    return (
        "<p>Speed over each backend's own baseline, geometric mean over all tasks, failures at "
        "1.0, with the share of the roofline where it is known. Baselines differ, so a larger "
        "number on one backend does not say that its kernels take less time.</p>"
        f"{table(['configuration', *map(esc, backends)], body)}{details}"
    )


def _where(group: Group) -> str:
    return f"{group.axes['backend']} on {group.axes['machine']}"


def _cell(one: Standing | None) -> str:
    if one is None:
        return "-"
    share = f"{100 * one.verified:.0f}% verified"
    if one.speed is None:
        return f"not timed <small>{share}</small>"
    tasks = [task for run in one.group.runs for task in run.tasks]
    roof = stats.geomean([r for r in map(_roofline, tasks) if r])
    of = "" if roof is None else f", {100 * roof:.0f}% of the roofline"
    return f"{claims.times(one.speed)} <small>{span(one.interval).strip()}, {share}{of}</small>"


def _roofline(task: TaskRun) -> float | None:
    return task.final.roofline_fraction if task.final is not None else None


def _tasks(row: dict[str, Standing], backends: Sequence[str]) -> str:
    found = {backend: one.group.tasks() for backend, one in row.items()}
    names = sorted({name for tasks in found.values() for name in tasks})
    body = [
        [esc(name), *(_task(found.get(backend, {}).get(name, [])) for backend in backends)]
        for name in names
    ]
    return table(["task", *map(esc, backends)], body)


def _task(tasks: Sequence[TaskRun]) -> str:
    """The geometric mean over seeds with a timed kernel, and its roofline share."""
    if not tasks:
        return "-"
    speed = stats.geomean([s for task in tasks if (s := speedup(task)) is not None])
    if speed is None:
        good = any(task.winner is not None for task in tasks)
        return "verified, not timed" if good else "no right kernel"
    roof = stats.geomean([r for r in map(_roofline, tasks) if r])
    of = "" if roof is None else f" <small>{100 * roof:.0f}% of the roofline</small>"
    return f"{claims.times(speed)}{of}"
