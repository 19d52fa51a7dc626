# SPDX-License-Identifier: Apache-2.0
"""The first screen of the page: the verdict in four sentences, and every configuration ranked."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report import claims, verdicts
from kernelcoder.report.groups import varying
from kernelcoder.report.quote import esc
from kernelcoder.report.standings import League, Standing
from kernelcoder.report.svg import interval_plot
from kernelcoder.report.tables import table
from kernelcoder.wording import count, duration, money, tally

TOP = 8  # rows before the rest is folded away
HEAD = (
    "configuration", "0.5 to 4", "speed", "leader / it", "p (Holm)", "verified", "cost", "paid",
    "tokens", "verifier",
)  # fmt: skip


def section(found: Sequence[League], block: str) -> str:
    """Verdict, ranking and, where two axes vary, the grid of each league. ``block`` is the HTML of
    the minimum reporting block, folded under every ranking."""
    out = []
    for number, league in enumerate(found):
        if len(found) > 1:
            out.append(f"<h3>{esc(_ruler(league))}</h3>")
        said = verdicts.verdict(league)
        if said is None:
            out.append("<p>No finished configuration has a measured speed: nothing is ranked.</p>")
        else:
            tiles = "".join(
                f"<div><dt>{esc(name)}</dt><dd>{_whole(text)}</dd></div>"
                for name, text in said.lines()
            )
            out.append(f'<dl class="verdict">{tiles}</dl><p>{esc(verdicts.made_by(league))}</p>')
        out += [_ranking(league), _grid(league)]
        out.append(block)
        if number == 0 and len(found) > 1:
            out.append(
                "<p>Configurations on other machines, backends, tasks or baselines were measured "
                "with another ruler: they are ranked apart, below.</p>"
            )
    return "".join(out)


def _whole(text: str) -> str:
    """A sentence whose intervals do not break over lines."""
    return esc(text).replace("[", '<b class="unit">[').replace("]", "]</b>")


def _ruler(league: League) -> str:
    axes = league.everyone[0].group.axes
    return f"{axes['suite']} on {axes['backend']}, {axes['machine']}"


def _ranking(league: League) -> str:
    everyone = league.everyone
    body = [_row(number, one, league) for number, one in enumerate(everyone, 1)]
    if len(body) <= TOP + 2:
        return table(HEAD, body, kind="rank")
    rest = table(HEAD, body[TOP:], kind="rank")
    return (
        table(HEAD, body[:TOP], kind="rank")
        + f"<details><summary>The other {len(body) - TOP} configurations</summary>{rest}</details>"
    )


def _row(number: int, one: Standing, league: League) -> list[str]:
    c, spent = one.contrast, one.spent
    place = f"{number}. " if one in league.ranked else ""
    ratio = "-" if c is None or c.ratio is None else claims.times(c.ratio)
    ratio += f" <small>{verdicts.span(c.ratio_interval).strip()}</small>" if c and c.ratio else ""
    return [
        f"{place}{esc(one.group.label)}{_flag(one)}",
        "" if one.speed is None or one.interval is None
        else interval_plot(one.interval[0], one.speed, one.interval[1], 0.5, 4.0),
        "not measured" if one.speed is None
        else f"{claims.times(one.speed)} <small>{verdicts.span(one.interval).strip()}</small>",
        ratio,
        _p(one),
        f"{100 * one.verified:.0f}%",
        money(spent.usd),
        money(spent.usd_paid),
        count(spent.tokens),
        duration(spent.device_s),
    ]  # fmt: skip


def _flag(one: Standing) -> str:
    return "" if one.group.finished else ' <span class="flag">unfinished, not ranked</span>'


def _p(one: Standing) -> str:
    p = one.contrast.p_holm if one.contrast else None
    if p is None:
        return "-"
    text = "&lt; 0.001" if p < 0.001 else f"{p:.3f}"
    return f"<b>{text}</b>" if one.behind else text


def _grid(league: League) -> str:
    """Speed by two axes, tinted, where a league varies in two or more: one table for each pair of
    members of the other axes."""
    found = [one for one in league.ranked if one.speed is not None]
    axes = varying([one.group for one in found])
    if len(axes) < 2 or len(found) < 4:
        return ""
    down, across, *others = axes
    parts: dict[str, list[Standing]] = {}
    for one in found:
        parts.setdefault(" ".join(one.group.axes[axis] for axis in others), []).append(one)
    low = min(one.speed or 1.0 for one in found)
    high = max(one.speed or 1.0 for one in found)
    out = []
    for where, some in parts.items():
        columns = list(dict.fromkeys(one.group.axes[across] for one in some))
        by: dict[str, dict[str, list[Standing]]] = {}
        for one in some:
            row = by.setdefault(one.group.axes[down], {})
            row.setdefault(one.group.axes[across], []).append(one)
        body = [
            [esc(name), *(_tint(row.get(column, []), low, high) for column in columns)]
            for name, row in by.items()
        ]
        title = f"{down} by {across}" + (f", {where}" if where else "")
        head = [esc(down), *map(esc, columns)]
        out.append(f"<h4>{esc(title)}</h4>{table(head, body, kind='heat')}")
    many = tally(len(out), "table")
    return f"<details open><summary>Speed by axis ({many})</summary>{''.join(out)}</details>"


def _tint(some: Sequence[Standing], low: float, high: float) -> str:
    """A speed on a background of seven steps; the leader is marked by more than color."""
    if not some:
        return "-"
    best = max(some, key=lambda one: one.speed or 0.0)
    speed = best.speed or 0.0
    step = round(6 * (speed - low) / (high - low)) if high > low else 0
    mark = "" if best.contrast else " *"
    title = f"{best.group.label}{verdicts.span(best.interval)}"
    return f'<span class="tint h{step}" title="{esc(title)}">{claims.times(speed)}{mark}</span>'
