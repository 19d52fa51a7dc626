# SPDX-License-Identifier: Apache-2.0
"""The report page: one self-contained HTML file, readable without a script and without a network.

The page holds nothing that changes from one regeneration to the next: same ledgers, same bytes.
A content policy allows exactly one script, by its hash, so hostile text could not run even if an
escape failed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources

from kernelcoder import wording
from kernelcoder.report import charts, claims, environment, payload, sections, shrinkage_section
from kernelcoder.report.quote import esc, script_json
from kernelcoder.report.rows import Row, cell_row, task_rows
from kernelcoder.report.source import CellRun


def asset(name: str) -> str:
    """Text of a file in ``assets/``."""
    return resources.files("kernelcoder.report").joinpath("assets", name).read_text("utf-8")


def page(runs: Sequence[CellRun], origin: str = "") -> str:
    """The whole page for some cells. ``origin`` names the defconfig they come from, if known."""
    rows = [cell_row(run) for run in runs]
    labels = claims.labels(rows)
    tasks = task_rows(runs)
    parts = [
        ("result", "Result", sections.headline(rows, labels) + sections.cells_table(rows, labels)),
        ("settings", "What differs", _settings(runs, labels)),
        ("curves", "Score against budget", charts.budget_section(runs, labels)),
        ("fast", "How much faster, on how many", charts.fast_section(runs, rows, labels)),
        ("tasks", "Tasks", sections.tasks_overview(rows, tasks, labels)
         + sections.tasks_details(rows, tasks, labels)),
        ("curse", "Winner's curse", shrinkage_section.section(rows, tasks, labels)),
        ("funnel", "Where attempts ended", sections.funnel(rows, labels)),
        ("attempts", "Attempts", sections.attempts(runs, tasks, labels)),
        ("environment", "Environment and reproduction", _environment(runs, rows, labels, origin)),
    ]  # fmt: skip
    data = payload.payload(runs, labels)
    return document("KernelCoder report", _subtitle(runs, origin), parts, script_json(data))


def document(
    title: str, subtitle: str, parts: Sequence[tuple[str, str, str]], data: str = "{}"
) -> str:
    """A page of titled sections (id, heading, HTML) with style, script and data inlined."""
    script = asset("report.js")
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    links = " ".join(f'<a href="#{key}">{esc(name)}</a>' for key, name, _ in parts)
    body = "".join(
        f'<section id="{key}" aria-labelledby="h-{key}"><h2 id="h-{key}">{esc(name)}</h2>'
        f"{html}</section>"
        for key, name, html in parts
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{esc(title)}</title>\n<style>\n{asset('report.css')}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the results</a>\n'
        f'<header><h1>{esc(title)}</h1><p>{subtitle}</p><nav aria-label="Sections">{links}</nav>'
        f'</header>\n<main id="main">\n{body}\n</main>\n'
        f'<script type="application/json" id="data">{data}</script>\n<script>{script}</script>\n'
        "</body>\n</html>\n"
    )


def _subtitle(runs: Sequence[CellRun], origin: str) -> str:
    machines = ", ".join(sorted({run.machine for run in runs}))
    commits = ", ".join(sorted({str(run.meta.get("commit") or "unknown")[:12] for run in runs}))
    last = environment.day(max((run.last for run in runs), default=0.0))
    many = wording.tally(len(runs), "cell")
    from_where = f"{esc(origin)}: " if origin else ""
    return f"{from_where}{many} on {esc(machines)}, commit {esc(commits)}, last event {esc(last)}."


def _settings(runs: Sequence[CellRun], labels: Sequence[str]) -> str:
    found = environment.differing(runs)
    if len(runs) < 2:
        return "<p>One cell: nothing to compare. Its settings are below.</p>"
    if not found:
        return "<p>No setting differs beside the axes in the cells' names.</p>"
    body = [[f"<code>CONFIG_{esc(name)}</code>", *map(esc, values)] for name, values in found]
    return "<p>Settings that differ between cells; - is out of scope.</p>" + charts.table(
        ["setting", *map(esc, labels)], body
    )


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    lines = "".join(f"<dt>{esc(name)}</dt><dd>{esc(value)}</dd>" for name, value in pairs)
    return f'<dl class="facts">{lines}</dl>'


def _environment(
    runs: Sequence[CellRun], rows: Sequence[Row], labels: Sequence[str], origin: str
) -> str:
    commands = "\n".join(environment.reproduce(runs, origin))
    cells = []
    for run, label in zip(runs, labels, strict=True):
        lines = "\n".join(
            f"CONFIG_{name}={environment.show(value)}" for name, value in sorted(run.values.items())
        )
        cells.append(
            f"<details><summary>{esc(label)}</summary>{_pairs(environment.facts(run))}"
            f"<pre>{esc(lines)}</pre></details>"
        )
    return (
        f"<h3>Run it again</h3><pre>{esc(commands)}</pre>"
        f"<h3>Minimum reporting block</h3>{_pairs(environment.minimum_block(runs, rows))}"
        f"<h3>Cells</h3>{''.join(cells)}"
    )
