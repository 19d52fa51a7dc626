# SPDX-License-Identifier: Apache-2.0
"""Result sections of the page: headline, cells, tasks, funnel, attempts. Static HTML strings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kernelcoder import wording
from kernelcoder.records import STAGES
from kernelcoder.report import claims
from kernelcoder.report.charts import table
from kernelcoder.report.quote import esc, evidence
from kernelcoder.report.rows import Row
from kernelcoder.report.source import CellRun
from kernelcoder.report.svg import bar, interval_plot

BASELINES = ("eager", "compile", "reference", "library")


def headline(rows: Sequence[Row], labels: Sequence[str]) -> str:
    """One card per cell: what may be claimed, with interval and denominator."""
    cards = []
    for index, (row, label) in enumerate(zip(rows, labels, strict=True)):
        first, *rest = claims.headline(row)
        key = f'<span class="key k{index % 6}" aria-hidden="true"></span>'
        lines = "".join(f"<p>{_sentence(line)}</p>" for line in rest)
        cards.append(
            f'<article class="card"><h3>{key}{esc(label)}{_flag(row)}</h3>'
            f'<p class="lead">{_sentence(first)}</p>'
            f'{lines}<p class="by">{esc(claims.proposer(row))}</p></article>'
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def cells_table(rows: Sequence[Row], labels: Sequence[str]) -> str:
    """All cells, all numbers, each with n and interval."""
    other = claims.second_baseline(rows)
    head = [
        "cell", "mode", "tasks", "verified", "fast_1", "geomean, all tasks",
        "geomean, verified only", f"vs {other}, all", "attempts", "tokens", "cost", "time",
    ]  # fmt: skip
    body = [
        [
            esc(label) + _flag(row),
            esc(row["mode"] or "-"),
            f"{row['n_verified']}/{row['n_tasks']}",
            _value(claims.interval(claims.verified_share(row), "share", percent=True)),
            _value(claims.interval(row, "fast_1", percent=True)),
            _value(claims.interval(row, "geomean_all")),
            _value(claims.interval(row, "geomean_verified"), row["n_timed"]),
            _value(claims.interval(row, f"geomean_all_{other}"), row[f"n_{other}"]),
            str(row["attempts"]),
            esc(claims.tokens(row)),
            esc(claims.cost(row)),
            esc(wording.duration(row["seconds"])),
        ]
        for row, label in zip(rows, labels, strict=True)
    ]
    notes = "".join(f"<li>{esc(line)}</li>" for line in claims.DEFINITIONS)
    return table(head, body, kind="stack") + (
        f'<details><summary>How the numbers are defined</summary><ul class="notes">{notes}</ul>'
        "</details>"
    )


def _flag(row: Row) -> str:
    return "" if row["finished"] else ' <span class="flag">unfinished</span>'


def _value(text: str, n: int | None = None) -> str:
    """A number in normal type, its interval and n in small type."""
    head, bracket, rest = text.partition(" [")
    small = (f"[{esc(rest)}" if bracket else "") + ("" if n is None else f" n={n}")
    return esc(head) + (f" <small>{small.strip()}</small>" if small else "")


def _sentence(text: str) -> str:
    """A claim as HTML whose intervals do not break over lines."""
    return re.sub(r"\[[^\]]*\]", r'<b class="unit">\g<0></b>', esc(text))


def _ratio(row: Row, name: str, plot: bool = False) -> str:
    median, lo, hi = row[name], row[f"{name}_lo"], row[f"{name}_hi"]
    if median is None:
        return "-"
    text = f"{claims.times(median)} <small>[{claims.times(lo)}, {claims.times(hi)}]</small>"
    return (interval_plot(lo, median, hi, 0.25, 8.0) if plot else "") + text


def tasks_overview(rows: Sequence[Row], tasks: Sequence[Row], labels: Sequence[str]) -> str:
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


def tasks_details(rows: Sequence[Row], tasks: Sequence[Row], labels: Sequence[str]) -> str:
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


def funnel(rows: Sequence[Row], labels: Sequence[str]) -> str:
    """How far attempts came and how each ended, per cell, in numbers and bars."""
    out = []
    stages = ("generated", "candidates", *STAGES[1:])
    for row, label in zip(rows, labels, strict=True):
        total = row["attempts"]
        lines = [
            [
                esc("a kernel in the reply" if s == "candidates" else claims.STAGE_WORDS[s]),
                bar(row["funnel"][s] / total if total else 0.0, "fill"),
                str(row["funnel"][s]),
                _percent(row["funnel"][s], total),
            ]
            for s in stages
        ]
        bad = sorted(
            ((n, s) for s, n in row["statuses"].items() if s != "verified"),
            key=lambda p: (-p[0], p[1]),
        )
        ends = [
            [f"<code>{esc(s)}</code>", esc(claims.STATUS_WORDS[s]), str(n), _percent(n, total)]
            for n, s in bad
        ]
        repeat = f" ({row['duplicates']} repeated an earlier kernel)" if row["duplicates"] else ""
        causes = table(["ended as", "meaning", "attempts", "share"], ends, kind="ends")
        out.append(
            f"<section><h3>{esc(label)}</h3><p>{wording.tally(total, 'attempt')}{repeat}.</p>"
            f"{_quarantine(row)}{_noticed(row)}"
            f'<div class="pair funnel">{table(["reached", "", "attempts", "share"], lines)}'
            f"{causes if ends else ''}</div>"
            "</section>"
        )
    return "".join(out)


def _quarantine(row: Row) -> str:
    """Attempts the machine failed: counted apart, with the most frequent reason as reported."""
    if not row["quarantined"]:
        return ""
    lost = wording.tally(row["quarantined"], "attempt")
    why = evidence(row["quarantined_reasons"][0][1])
    return f"<p>{lost} quarantined (infra_error), in no other count; most often {why}.</p>"


def _noticed(row: Row) -> str:
    """What the judge noticed in attempts that failed for what they did, label by label."""
    parts = [
        f"{esc(claims.STATUS_WORDS[status])}: "
        + ", ".join(f"{esc(label)} ({n})" for label, n in row["labels"][status].items())
        for status in ("cheating", "refused")
        if row["labels"].get(status)
    ]
    return f"<p>Noticed in attempts: {'; '.join(parts)}.</p>" if parts else ""


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%" if whole else "-"


def attempts(runs: Sequence[CellRun], tasks: Sequence[Row], labels: Sequence[str]) -> str:
    """Skeleton of cells and tasks; the script fills a task when it is opened."""
    by = {(task["cell"], task["task"]): task for task in tasks}
    out = []
    for i, (run, label) in enumerate(zip(runs, labels, strict=True)):
        inner = []
        for j, task in enumerate(run.tasks):
            row = by[(run.id, task.id)]
            inner.append(
                f'<details class="task" id="t-{i}-{j}" data-cell="{i}" data-task="{j}"><summary>'
                f"<b>{esc(task.id)}</b> <span>{esc(claims.task_claim(row))}</span> "
                f"<small>{row['verified_attempts']} right of {row['attempts']}"
                f"{_endings(row['statuses'])}</small></summary>"
                '<div class="slot"></div></details>'
            )
        out.append(f"<details><summary>{esc(label)}</summary>{''.join(inner)}</details>")
    return (
        "<p>Open a task for its attempts: prompt, reply, code and difference to its parent, "
        "verdict with evidence, timing. Text in quotation color is reported material, not a "
        "claim.</p>"
        "<noscript><p>Single attempts need JavaScript; attempts.csv beside this file holds the "
        "same facts.</p></noscript>" + "".join(out)
    )


def _endings(statuses: Mapping[str, int]) -> str:
    bad = sorted((s, n) for s, n in statuses.items() if s != "verified")
    return "".join(f", {n} {esc(s)}" for s, n in bad)
