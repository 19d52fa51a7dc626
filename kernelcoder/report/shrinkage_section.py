# SPDX-License-Identifier: Apache-2.0
"""The winner's curse as a section of the page."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report.quote import esc
from kernelcoder.report.shrinkage import NAMES, NOTE, WORDS, Row, cell_texts, known
from kernelcoder.report.tables import folded, table


def section(rows: Sequence[Row], tasks: Sequence[Row], labels: Sequence[str]) -> str:
    """The HTML section: means per cell, then every task of every cell."""
    if not known(rows):
        return "<p>No kernel was both timed in the search and timed again.</p>"
    head = ["cell", *(WORDS[name] for name in NAMES)]
    body = [
        [esc(label), *(esc(text) for text in cell_texts(row))]
        for row, label in zip(rows, labels, strict=True)
    ]
    out: list[str] = []
    whole = f"<p>{esc(NOTE)}</p>{table(head, body)}"
    for row, label in zip(rows, labels, strict=True):
        mine = [t for t in tasks if t["cell"] == row["cell"] and t["shrink_final"] is not None]
        if not mine:
            continue
        head = ["task", "search", "final", "held-out", *(WORDS[name] for name in NAMES)]
        lines = [
            [esc(t["task"]), *(_number(t[n]) for n in ("search", t["baseline"], "heldout", *NAMES))]
            for t in mine
        ]
        out.append(f"<details><summary>{esc(label)}</summary>{table(head, lines)}</details>")
    return whole + folded(out, "Task by task")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
