# SPDX-License-Identifier: Apache-2.0
"""The settings in which cells differ: side by side for few, by value for a whole matrix."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report import environment
from kernelcoder.report.groups import Group
from kernelcoder.report.lines import MANY
from kernelcoder.report.quote import esc
from kernelcoder.report.source import CellRun
from kernelcoder.report.tables import table


def section(runs: Sequence[CellRun], labels: Sequence[str], found: Sequence[Group]) -> str:
    """One row per setting that differs, RUN_* left out."""
    if len(runs) < 2:
        return "<p>One cell: nothing to compare. Its settings are below.</p>"
    differing = environment.differing(runs)
    if not differing:
        return "<p>No setting differs beside the axes in the cells' names.</p>"
    if len(runs) <= MANY:
        body = [[_symbol(name), *map(esc, values)] for name, values in differing]
        return "<p>Settings that differ between cells; - is out of scope.</p>" + table(
            ["setting", *map(esc, labels)], body
        )
    body = []
    for name, values in differing:
        for value in dict.fromkeys(values):
            has = [g for g in found if values[g.places[0]] == value]
            body.append([_symbol(name), esc(value), str(len(has)), _who(has, len(found))])
    note = "<p>Settings that differ, with the configurations of each value; - is out of scope.</p>"
    return note + table(["setting", "value", "configurations", "which"], body, kind="words")


def _symbol(name: str) -> str:
    return f"<code>CONFIG_{esc(name)}</code>"


def _who(has: Sequence[Group], total: int) -> str:
    if len(has) > total / 2:
        return "the others" if len(has) < total else "all"
    names = [group.label for group in has]
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return esc(", ".join(names[:MANY])) + more
