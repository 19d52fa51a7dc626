# SPDX-License-Identifier: Apache-2.0
"""Result sections of the page: headline, cells, funnel, attempts. Static HTML strings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kernelcoder import wording
from kernelcoder.records import STAGES
from kernelcoder.report import claims
from kernelcoder.report.lines import MANY
from kernelcoder.report.quote import esc, evidence
from kernelcoder.report.rows import Row
from kernelcoder.report.source import CellRun
from kernelcoder.report.svg import bar
from kernelcoder.report.tables import folded, table


def headline(rows: Sequence[Row], labels: Sequence[str], color: Mapping[int, int]) -> str:
    """One card per cell: what may be claimed, with interval and denominator; ``color`` is the
    index of each cell's line in the charts."""
    cards = []
    for index, (row, label) in enumerate(zip(rows, labels, strict=True)):
        first, *rest = claims.headline(row)
        key = f'<span class="key k{color.get(index, index) % 6}" aria-hidden="true"></span>'
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


def funnel(rows: Sequence[Row], labels: Sequence[str]) -> str:
    """How far attempts came and how each ended, per cell, in numbers and bars."""
    out = []
    stages = ("generated", "candidates", *STAGES[1:])
    many, whole = len(rows) > MANY, ""
    if many:
        head = ["cell", *(claims.STAGE_WORDS.get(s, "a kernel in the reply") for s in stages)]
        short = [
            [esc(label), *(_percent(row["funnel"][s], row["attempts"]) for s in stages[1:])]
            for row, label in zip(rows, labels, strict=True)
        ]
        for line, row in zip(short, rows, strict=True):
            line.insert(1, str(row["attempts"]))
        whole = table(head, short)
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
        text = (
            f"<p>{wording.tally(total, 'attempt')}{repeat}.</p>"
            f"{_quarantine(row)}{_noticed(row)}"
            f'<div class="pair funnel">{table(["reached", "", "attempts", "share"], lines)}'
            f"{causes if ends else ''}</div>"
        )
        out.append(
            f"<details><summary>{esc(label)}</summary>{text}</details>"
            if many
            else f"<section><h3>{esc(label)}</h3>{text}</section>"
        )
    return whole + folded(out, "Cell by cell, with how attempts failed")


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
