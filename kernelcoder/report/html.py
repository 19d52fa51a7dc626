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
from kernelcoder.report import (
    audit_section,
    backends_section,
    charts,
    claims,
    contrast_views,
    contrasts,
    environment,
    groups,
    lines,
    memory_section,
    payload,
    reporting_block,
    sections,
    settings_section,
    shrinkage_section,
    spending_section,
    standings,
    standings_section,
    tasks_section,
)
from kernelcoder.report.lines import Line
from kernelcoder.report.quote import esc, script_json
from kernelcoder.report.rows import Row, cell_row, task_rows
from kernelcoder.report.source import CellRun
from kernelcoder.report.standings import League
from kernelcoder.report.tables import folded


def asset(name: str) -> str:
    """Text of a file in ``assets/``."""
    return resources.files("kernelcoder.report").joinpath("assets", name).read_text("utf-8")


def page(runs: Sequence[CellRun], origin: str = "") -> str:
    """The whole page for some cells. ``origin`` names the defconfig they come from, if known."""
    rows = [cell_row(run) for run in runs]
    labels = claims.labels(rows)
    tasks = task_rows(runs)
    found = groups.groups(runs)
    leagues = standings.standings(found, rows)
    drawn = lines.lines(found, leagues)
    declared = contrasts.family(runs)
    block = _pairs(reporting_block.minimum_block(runs, rows, declared))
    parts = [
        ("result", "Result", _result(rows, labels, leagues, drawn, block)),
        ("curves", "Score against budget", charts.budget_section(drawn)),
        ("contrasts", "Declared contrasts", contrast_views.section(declared) + _block(block)),
        ("fast", "How much faster, on how many", charts.fast_section(drawn, rows, labels)),
        ("tasks", "Tasks", tasks_section.section(rows, tasks, labels, leagues)),
        ("backends", "Across backends", backends_section.section(leagues)),
        ("cost", "What it cost", spending_section.section(found)),
        ("memory", "What memories did", memory_section.section(found)),
        ("curse", "Winner's curse", shrinkage_section.section(rows, tasks, labels)),
        ("funnel", "Where attempts ended", sections.funnel(rows, labels)),
        ("attempts", "Attempts", sections.attempts(runs, tasks, labels)),
        ("audit", "Can it be trusted", audit_section.section(runs, rows, labels)),
        ("settings", "What differs", settings_section.section(runs, labels, found)),
        ("environment", "Environment and reproduction",
         _environment(runs, rows, labels, origin, block)),
    ]  # fmt: skip
    data = payload.payload(runs, labels)
    return document("KernelCoder report", _subtitle(runs, origin), parts, script_json(data))


def _result(
    rows: Sequence[Row],
    labels: Sequence[str],
    leagues: Sequence[League],
    drawn: Sequence[Line],
    block: str,
) -> str:
    """The verdict and the ranking, then every cell with its own claims."""
    first = standings_section.section(leagues, _block(block)) if len(rows) > 1 else ""
    color = {place: line.index for line in drawn for place in line.group.places}
    cells = sections.headline(rows, labels, color) + sections.cells_table(rows, labels)
    if len(rows) == 1:
        return cells + _block(block)
    many = wording.tally(len(rows), "cell")
    fold = "<details>" if len(rows) > lines.MANY else "<details open>"
    return f"{first}{fold}<summary>Each of the {many} by itself</summary>{cells}</details>"


def _block(pairs: str) -> str:
    return f"<details><summary>Minimum reporting block</summary>{pairs}</details>"


def document(
    title: str, subtitle: str, parts: Sequence[tuple[str, str, str]], data: str = "{}"
) -> str:
    """A page of titled sections (id, heading, HTML) with style, script and data inlined."""
    script = asset("charts.js") + asset("report.js")
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


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    lines = "".join(f"<dt>{esc(name)}</dt><dd>{esc(value)}</dd>" for name, value in pairs)
    return f'<dl class="facts">{lines}</dl>'


def _environment(
    runs: Sequence[CellRun], rows: Sequence[Row], labels: Sequence[str], origin: str, block: str
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
        f"<h3>Minimum reporting block</h3>{block}"
        f"<h3>Cells</h3>{folded(cells, 'Settings and machine of every cell')}"
    )
