# SPDX-License-Identifier: Apache-2.0
"""Tasks down, configurations across: what the chosen kernel came to, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report import claims, stats
from kernelcoder.report.lines import MANY
from kernelcoder.report.quote import esc
from kernelcoder.report.rows import Row, speedup
from kernelcoder.report.source import TaskRun
from kernelcoder.report.standings import League, Standing
from kernelcoder.report.svg import interval_plot
from kernelcoder.report.tables import table

BASELINES = ("eager", "compile", "reference", "library")
STEPS = ((0.8, 0), (1.0, 1), (1.25, 2), (1.6, 3), (2.0, 4), (3.0, 5))  # below -> tint


def section(
    rows: Sequence[Row], tasks: Sequence[Row], labels: Sequence[str], leagues: Sequence[League]
) -> str:
    """Few cells side by side with their intervals; many as a tinted grid of configurations."""
    details = _details(rows, tasks, labels)
    if len(rows) <= MANY:
        return _overview(rows, tasks, labels) + details
    grids = "".join(_heat(league) for league in leagues)
    fold = f"<details><summary>Every cell, task by task</summary>{details}</details>"
    return grids + fold


def _heat(league: League) -> str:
    """Geometric means over seeds, columns by rank; the numbers of the columns are spelled below."""
    everyone = league.everyone
    names = sorted({task.id for one in everyone for run in one.group.runs for task in run.tasks})
    found = [one.group.tasks() for one in everyone]
    body = []
    for name in names:
        cells = [
            _heat_cell(one, each.get(name, [])) for one, each in zip(everyone, found, strict=True)
        ]
        body.append([esc(name), *cells])
    head = ["task", *(f'<abbr title="{esc(o.group.label)}">{n}</abbr>'
                      for n, o in enumerate(everyone, 1))]  # fmt: skip
    key = ", ".join(f"{n} {esc(one.group.label)}" for n, one in enumerate(everyone, 1))
    return (
        "<p>Final speedup of the chosen kernel, geometric mean over the seeds that have one; a "
        "small number says how many of the seeds do, where not all. Columns in the order of the "
        "ranking.</p>"
        f'{table(head, body, kind="heat")}<p class="soft">{key}.</p>'
    )


def _heat_cell(one: Standing, tasks: Sequence[TaskRun]) -> str:
    speeds = [s for task in tasks if (s := speedup(task)) is not None]
    good = sum(task.winner is not None for task in tasks)
    mean = stats.geomean(speeds)
    if mean is None:
        word = "untimed" if good else "none" if tasks else "-"
        return f'<span class="tint none">{word}</span>'
    step = next((tint for limit, tint in STEPS if mean < limit), 6)
    share = f"<small> {good}/{one.n_seeds}</small>" if good < one.n_seeds else ""
    return f'<span class="tint h{step}">{claims.times(mean)}{share}</span>'


def _ratio(row: Row, name: str, plot: bool = False) -> str:
    median, lo, hi = row[name], row[f"{name}_lo"], row[f"{name}_hi"]
    if median is None:
        return "-"
    text = f"{claims.times(median)} <small>[{claims.times(lo)}, {claims.times(hi)}]</small>"
    return (interval_plot(lo, median, hi, 0.25, 8.0) if plot else "") + text


def _overview(rows: Sequence[Row], tasks: Sequence[Row], labels: Sequence[str]) -> str:
    """Tasks down, cells across: the final speedup of the chosen kernel, or why there is none."""
    by = {(task["cell"], task["task"]): task for task in tasks}
    names = sorted({task["task"] for task in tasks})
    body = [
        [esc(name), *(_overview_cell(by.get((row["cell"], name)), len(rows)) for row in rows)]
        for name in names
    ]
    note = (
        "<p>Final speedup of the chosen kernel over the baseline, with its 95% interval on a "
        "logarithmic scale from 0.25 to 8; the rule is 1. Words say why there is no number.</p>"
    )
    return note + table(["task", *(esc(label) for label in labels)], body)


def _overview_cell(task: Row | None, cells: int) -> str:
    """With many cells side by side the interval is drawn only; the tables below spell it out."""
    if task is None:
        return '<span class="soft">not begun</span>'
    if task["outcome"] == "verified" and task[task["baseline"]] is not None:
        text = _ratio(task, task["baseline"], plot=True)
        return text if cells <= 3 else text.partition(" <small>")[0]
    kind = "ok" if task["outcome"] == "verified" else "none"
    text = claims.task_claim(task) if kind == "ok" else claims.outcome_words(task["outcome"])
    return f'<span class="{kind}">{esc(text)}</span>'


def _details(rows: Sequence[Row], tasks: Sequence[Row], labels: Sequence[str]) -> str:
    """Per cell: every task against every baseline, roofline share, search to final shrinkage."""
    out = []
    for index, (row, label) in enumerate(zip(rows, labels, strict=True)):
        mine = [task for task in tasks if task["cell"] == row["cell"]]
        used = [b for b in BASELINES if any(task[b] is not None for task in mine)]
        head = ["task", "what may be said", *(f"over {b}" for b in used), "roofline", "search",
                "right / attempts", "winner"]  # fmt: skip
        body = []
        for number, task in enumerate(mine):
            chosen = task["chosen"]
            link = "-" if chosen is None else (
                f'<a href="#t-{index}-{number}" data-attempt="{chosen}">#{chosen}</a>'
            )  # fmt: skip
            roof = task["roofline_fraction"]
            body.append(
                [esc(task["task"]), esc(claims.task_claim(task)),
                 *(_ratio(task, b, plot=b == task["baseline"]) for b in used),
                 "-" if roof is None else f"{100 * roof:.0f}%",
                 claims.times(task["search"]),
                 f"{task['verified_attempts']} / {task['attempts']}", link]
            )  # fmt: skip
        out.append(
            f"<details><summary>{esc(label)}: {row['n_verified']} of {row['n_tasks']} tasks "
            f"verified</summary>{table(head, body, kind='stack ends')}</details>"
        )
    return "".join(out)
