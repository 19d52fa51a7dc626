# SPDX-License-Identifier: Apache-2.0
"""Declared contrasts as a table in text and as a section of the page."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report import claims
from kernelcoder.report.contrasts import Declared, Family
from kernelcoder.report.quote import esc
from kernelcoder.report.svg import interval_plot
from kernelcoder.report.table import grid
from kernelcoder.report.tables import table
from kernelcoder.wording import UNKNOWN, tally

HEAD = ("against", "member", "tasks", "verified", "ratio", "95 % interval", "p", "Holm")
NOTE = (
    "Ratio: geometric mean over tasks of the member's speed divided by its control's, failures at "
    "1.0 on both sides. Intervals: bootstrap over tasks, their seeds, and ten or more families. "
    "p: two-sided sign-flip test over tasks; "
    "Holm: corrected for all declared contrasts, {n} of them. Verified: only the member, only the "
    "control. A test over few tasks finds large effects only; the last column says how large."
)


def section(found: Family) -> str:
    """The HTML section: one table for each axis and set of other axes."""
    if not found.contrasts and not found.notes:
        return "<p>No contrast was declared.</p>"
    out = [f"<p>{esc(NOTE.format(n=len(found.contrasts)))}</p>"] if found.contrasts else []
    for where, rows in _tables(found.contrasts):
        body = [
            [*map(esc, cells), _plot(one), esc(_found(one))]
            for one, cells in ((one, _cells(one)) for one in rows)
        ]
        out.append(f"<h3>{esc(where)}</h3>{table([*HEAD, '0.25 to 4', 'detectable'], body)}")
    out += [f"<p>{esc(note)}.</p>" for note in found.notes]
    return "".join(out)


def lines(found: Family) -> list[str]:
    """The same as text."""
    out: list[str] = []
    for where, rows in _tables(found.contrasts):
        body = [[*_cells(one), _found(one)] for one in rows]
        out += ["", where, *grid([*HEAD, "detectable"], body)]
    if found.contrasts:
        out += ["", NOTE.format(n=len(found.contrasts))]
    return [*out, *(f"note: {note}" for note in found.notes)]


def records(found: Family) -> list[dict[str, object]]:
    """One JSON object for each contrast."""
    return [
        {
            "axis": one.axis, "member": one.member, "control": one.control, "where": one.where,
            "seeds": len(one.contrast.seeds), "tasks": len(one.contrast.tasks),
            "only_member": one.contrast.only_b, "only_control": one.contrast.only_a,
            "p_verified": one.contrast.p_verified, "ratio": one.contrast.ratio,
            "interval": one.contrast.ratio_interval, "p": one.contrast.p_speed,
            "p_holm": one.contrast.p_holm, "detectable": one.contrast.detectable,
        }
        for one in found.contrasts
    ]  # fmt: skip


def _tables(contrasts: Sequence[Declared]) -> list[tuple[str, list[Declared]]]:
    tables: dict[str, list[Declared]] = {}
    for one in contrasts:
        tables.setdefault(f"{one.axis}, within {one.where}", []).append(one)
    return list(tables.items())


def _cells(one: Declared) -> list[str]:
    c = one.contrast
    seeds = "" if len(c.seeds) == 1 else f" x {tally(len(c.seeds), 'seed')}"
    interval = c.ratio_interval
    span = f"{claims.times(interval[0])} - {claims.times(interval[1])}" if interval else UNKNOWN
    return [
        one.control, one.member, f"{len(c.tasks)}{seeds}", f"+{c.only_b} -{c.only_a}",
        "not timed" if c.ratio is None else claims.times(c.ratio),
        "-" if c.ratio is None else span, _p(c.p_speed), _p(c.p_holm),
    ]  # fmt: skip


def _found(one: Declared) -> str:
    found = one.contrast.detectable
    return "-" if found is None else claims.times(found)


def _p(value: float | None) -> str:
    return "-" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _plot(one: Declared) -> str:
    c = one.contrast
    if c.ratio is None or c.ratio_interval is None:
        return "-"
    return interval_plot(c.ratio_interval[0], c.ratio, c.ratio_interval[1], 0.25, 4.0)
