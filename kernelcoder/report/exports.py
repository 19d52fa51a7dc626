# SPDX-License-Identifier: Apache-2.0
"""The report on disk: index.html, report.md, CSV files, figures, and the chosen kernels."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kernelcoder import wording
from kernelcoder.report import (
    claims,
    contrasts,
    environment,
    figures,
    html,
    reporting_block,
    shrinkage,
    standings,
    table,
    verdicts,
)
from kernelcoder.report.groups import groups
from kernelcoder.report.quote import code_span, visible
from kernelcoder.report.rows import FAST_P, Row, attempt_rows, cell_row, task_rows
from kernelcoder.report.source import CellRun

ENDINGS = {"cpp": ".cpp", "cuda": ".cu", "python": ".py"}


def write_report(runs: Sequence[CellRun], folder: Path, origin: str = "") -> list[Path]:
    """Write all files of the report and return them, the page first. Same ledgers, same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    cells = [cell_row(run) for run in runs]
    texts = {
        "index.html": html.page(runs, origin),
        "report.md": markdown(runs, origin),
        "rows.csv": csv_text(cells),
        "tasks.csv": csv_text(task_rows(runs)),
        "attempts.csv": csv_text(attempt_rows(runs)),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")
    drawn = figures.figures(texts["index.html"], html.asset("report.css"))
    return [
        *(folder / name for name in texts),
        *_written(drawn, folder / "figures"),
        *_written(_kernels(runs), folder / "kernels"),
    ]


def _kernels(runs: Sequence[CellRun]) -> dict[str, str]:
    """The chosen kernels as files named by task and content, as tasks.csv names them."""
    written = {}
    for run in runs:
        for task in run.tasks:
            winner = task.winner
            if winner is not None and winner.source:
                ending = ENDINGS.get(winner.language, ".txt")
                stem = "".join(c if c.isalnum() or c in "_-" else "-" for c in task.id)
                written[f"{stem}-{winner.candidate[:12]}{ending}"] = run.blob(winner.source)
    return written


def _written(files: Mapping[str, str], folder: Path) -> list[Path]:
    if files:
        folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")
    return [folder / name for name in sorted(files)]


def csv_text(rows: Sequence[Row]) -> str:
    """Rows as CSV: None is an empty field, nested values are JSON, dicts of scalars get a column
    each (``fast_p.1.5``). Texts that a spreadsheet would run as a formula start with a blank."""
    flat = [_flatten(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _flatten(row: Row) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": _field(inner) for key, inner in value.items()}
        else:
            flat[name] = _field(value)
    return flat


def _field(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, dict)):
        return json.dumps(value)
    if isinstance(value, str):
        text = visible(value, multiline=True)
        return f" {text}" if text[:1] in ("=", "+", "-", "@") else text
    return value


def markdown(runs: Sequence[CellRun], origin: str = "") -> str:
    """The report as Markdown: headline, cells, fast_p, tasks, failures, reporting block."""
    rows, tasks = [cell_row(run) for run in runs], task_rows(runs)
    names = claims.labels(rows)
    labels = [_cell(name) for name in names]
    out = ["# KernelCoder report", "", *_verdict(runs, rows)]
    for row, label in zip(rows, labels, strict=True):
        out.append(
            f"- **{label}** ({_cell(claims.proposer(row))}): " + " ".join(claims.headline(row))
        )
    out += ["", "## Cells", "", *_cells(rows, labels), "", "## fast_p", "", *_fast(rows, labels)]
    out += ["", "## Tasks", ""]
    for row, label in zip(rows, labels, strict=True):
        out += [f"### {label}", "", *_tasks([t for t in tasks if t["cell"] == row["cell"]]), ""]
    if shrinkage.known(rows):
        head = ["cell", *(shrinkage.WORDS[name] for name in shrinkage.NAMES)]
        shrunk = [
            [label, *(_cell(text) for text in shrinkage.cell_texts(row))]
            for row, label in zip(rows, labels, strict=True)
        ]
        out += ["## Winner's curse", "", shrinkage.NOTE, "", *_grid(head, shrunk), ""]
    out += ["## Where attempts ended", ""]
    for run, row, label in zip(runs, rows, labels, strict=True):
        steps = ", ".join(f"{n} {stage}" for stage, n in row["funnel"].items())
        out += [f"### {label}", "", f"{steps}. Ended otherwise: {table.failures(row)}.", ""]
        if row["quarantined"]:
            why = code_span(row["quarantined_reasons"][0][1])
            lost = wording.tally(row["quarantined"], "attempt")
            out += [f"{lost} quarantined, in no other count; most often {why}.", ""]
        out += [*_examples(run), ""]
    out += ["## Minimum reporting block", ""]
    block = reporting_block.minimum_block(runs, rows, contrasts.family(runs))
    out += [f"- {_cell(name)}: {_cell(value)}" for name, value in block]
    out += ["", "```sh", *environment.reproduce(runs, origin), "```", ""]
    out += [f"- {line}" for line in claims.DEFINITIONS]
    return "\n".join(out) + "\n"


def _verdict(runs: Sequence[CellRun], rows: Sequence[Row]) -> list[str]:
    """Which configuration won, by how much, how sure, at what cost; for each league of them."""
    found = groups(runs)
    if len(found) < 2:
        return []
    out: list[str] = []
    for league in standings.standings(found, rows):
        said = verdicts.verdict(league)
        out += [f"- {name}? {_cell(text)}" for name, text in said.lines()] if said else []
        if not said:
            names = ", ".join(one.group.label for one in league.everyone)
            out.append(f"- Not ranked: {_cell(names)}.")
        out += [f"- {_cell(verdicts.made_by(league))}", ""]
    return out


def _cell(text: object) -> str:
    """Text for a Markdown table cell: markup characters that could change the page are escaped."""
    safe = visible(str(text))
    for char in "\\`*_<>|[]":
        safe = safe.replace(char, "\\" + char)
    return safe


def _grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    rule = ["---", *("---:" for _ in head[1:])]
    return ["| " + " | ".join(line) + " |" for line in (head, rule, *body)]


def _cells(rows: Sequence[Row], labels: Sequence[str]) -> list[str]:
    other = claims.second_baseline(rows)
    head = ["cell", "tasks", "verified", "fast\\_1", "geomean all", "geomean verified (n)",
            f"all vs {other}", "attempts", "tokens", "cost", "time"]  # fmt: skip
    body = [
        [
            label + ("" if row["finished"] else " (unfinished)"),
            f"{row['n_verified']}/{row['n_tasks']}",
            claims.interval(claims.verified_share(row), "share", percent=True),
            claims.interval(row, "fast_1", percent=True),
            claims.interval(row, "geomean_all"),
            f"{claims.interval(row, 'geomean_verified')} ({row['n_timed']})",
            claims.interval(row, f"geomean_all_{other}"),
            str(row["attempts"]),
            claims.tokens(row),
            claims.cost(row),
            wording.duration(row["seconds"]),
        ]
        for row, label in zip(rows, labels, strict=True)
    ]
    return _grid(head, body)


def _fast(rows: Sequence[Row], labels: Sequence[str]) -> list[str]:
    body = []
    for row, label in zip(rows, labels, strict=True):
        shares = [row["fast_p"][f"{p:g}"] for p in FAST_P]
        body.append([label, *("-" if s is None else f"{100 * s:.0f}%" for s in shares)])
    return _grid(["cell", *(f"p = {p:g}" for p in FAST_P)], body)


def _tasks(tasks: Sequence[Row]) -> list[str]:
    head = ["task", "what may be said", "over eager", "over compile", "over reference", "roofline",
            "right / attempts", "evidence"]  # fmt: skip
    body = []
    for task in tasks:
        roof = task["roofline_fraction"]
        body.append(
            [
                _cell(task["task"]),
                claims.task_claim(task),
                *(claims.interval(task, name) for name in ("eager", "compile", "reference")),
                "-" if roof is None else f"{100 * roof:.0f}%",
                f"{task['verified_attempts']} / {task['attempts']}",
                f"#{task['chosen']} `{task['candidate'][:12]}`" if task["candidate"] else "-",
            ]
        )
    return _grid(head, body)


def _examples(run: CellRun) -> list[str]:
    """The first reason of every failure status, quoted as reported."""
    seen: dict[str, str] = {}
    for task in run.tasks:
        for t in task.tries:
            verdict = t.verdict
            if verdict is not None and not verdict.verified and verdict.status not in seen:
                where = f"{_cell(task.id)} #{t.ordinal}"
                seen[verdict.status] = f"- {verdict.status}, {where}: {code_span(verdict.reason)}"
    return list(seen.values())
