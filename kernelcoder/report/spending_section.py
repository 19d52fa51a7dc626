# SPDX-License-Identifier: Apache-2.0
"""The cost waterfall: from nothing to what was charged, role by role, and what of it was paid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from kernelcoder.report import lost_calls
from kernelcoder.report.groups import Group
from kernelcoder.report.lines import MANY
from kernelcoder.report.quote import esc
from kernelcoder.report.spending import OWNERS, Part, Waste, parts, wastes
from kernelcoder.report.tables import table
from kernelcoder.wording import count, duration, money, tally

ENDED = {
    "verified": "verified, new",
    "repeated": "repeated an earlier kernel",
    "failed": "failed",
    "quarantined": "the machine failed",
    "not judged": "not judged yet",
}
WIDE, ROW, LEFT, RIGHT = 720, 26, 190, 90


def section(found: Sequence[Group]) -> str:
    """All cells together, then every configuration."""
    runs = [run for group in found for run in group.runs]
    every = parts(runs)
    if not every:
        return "<p>No model was called.</p>"
    out = [
        "<p>Charged is everything asked, answers from recordings included, so that configurations "
        "can be compared; paid leaves those out. Failed attempts cost too.</p>",
        _figure(every),
        _parts_table(every),
        "<h3>What the attempts' money ended as</h3>",
        _wastes_table(wastes(runs)),
        lost_calls.section(runs),
    ]
    rows = []
    for group in found:
        own, lost = parts(group.runs), wastes(group.runs)
        rows.append([esc(group.label), *_sums(own), _share(lost)])
    head = ["configuration", *(f"{OWNERS[owner]}, tokens" for owner in OWNERS), "charged", "paid",
            "model", "attempts that gave a new verified kernel"]  # fmt: skip
    grid = table(head, rows)
    many = f"<details><summary>By configuration ({len(found)})</summary>{grid}</details>"
    out.append(many if len(found) > MANY else f"<h3>By configuration</h3>{grid}")
    return "".join(out)


def _figure(every: Sequence[Part]) -> str:
    """Bars that start where the one before ends; in dollars where prices are known, else tokens,
    else seconds of the model. The solid part was paid."""
    unit, text, axis = _unit(every)
    values = [(*unit(part), _name(part)) for part in every]
    total = math.fsum(v for v, _, _ in values)
    paid = math.fsum(p for _, p, _ in values)
    if not total:
        return ""
    tall = ROW * (len(values) + 2) + 8
    out, at = [], 0.0
    for row, (value, mine, name) in enumerate(values):
        out.append(_bar(row, name, at, value, mine, total, text(value)))
        at += value
    out.append(_bar(len(values), "charged", 0.0, total, 0.0, total, text(total)))
    out.append(_bar(len(values) + 1, "paid", 0.0, paid, paid, total, text(paid)))
    title = f"Cost by role in {axis}: each bar starts where the one before ends"
    return (
        f"<figure><figcaption>Cost by role, {axis}; solid was paid</figcaption>"
        f'<svg class="chart wide" viewBox="0 0 {WIDE} {tall}" role="img" '
        f'aria-labelledby="c-cost-t"><title id="c-cost-t">{esc(title)}</title>{"".join(out)}</svg>'
        "</figure>"
    )


def _unit(
    every: Sequence[Part],
) -> tuple[Callable[[Part], tuple[float, float]], Callable[[float], str], str]:
    """How bars are measured: (charged, paid) of a part, how a value reads, and its name."""
    if any(part.usd for part in every):
        return (lambda p: (p.usd, p.usd_paid)), (lambda v: money(v)), "US dollars"
    if any(part.tokens for part in every):
        return (lambda p: (p.tokens, p.tokens_paid)), (lambda v: count(round(v))), "tokens"

    def seconds(part: Part) -> tuple[float, float]:
        return part.seconds, part.seconds * part.calls_paid / max(1, part.calls)

    return seconds, (lambda v: duration(v)), "seconds of the model"


def _bar(
    row: int, name: str, start: float, value: float, paid: float, total: float, text: str
) -> str:
    scale, y = (WIDE - LEFT - RIGHT) / total, row * ROW + 6
    x, wide = LEFT + start * scale, value * scale
    return (
        f'<text class="tick" x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{esc(name)}</text>'
        f'<rect class="charged" x="{x:.1f}" y="{y}" width="{wide:.1f}" height="16"/>'
        f'<rect class="paid" x="{x:.1f}" y="{y}" width="{paid * scale:.1f}" height="16"/>'
        f'<text class="tick" x="{x + wide + 6:.1f}" y="{y + 12}">{esc(text)}</text>'
    )


def _name(part: Part) -> str:
    return f"{part.owner}: {part.purpose}" if part.purpose else OWNERS[part.owner]


def _parts_table(every: Sequence[Part]) -> str:
    body = [
        [
            esc(OWNERS[part.owner] + (f": {part.purpose}" if part.purpose else "")),
            f"{part.calls_paid}/{part.calls}",
            count(part.tokens), count(part.tokens_paid), money(part.usd), money(part.usd_paid),
            str(part.unknown), duration(part.seconds),
        ]
        for part in every
    ]  # fmt: skip
    head = ["role", "calls paid", "tokens", "paid", "charged", "paid", "price or tokens unknown",
            "latency"]  # fmt: skip
    return table(head, body)


def _wastes_table(lost: Sequence[Waste]) -> str:
    total = sum(one.attempts for one in lost)
    body = [
        [
            ENDED[one.ended], str(one.attempts), f"{100 * one.attempts / total:.0f}%",
            count(one.tokens), money(one.usd), duration(one.device_s),
        ]
        for one in lost
    ]  # fmt: skip
    return table(["ended as", "attempts", "share", "tokens", "charged", "verifier"], body)


def _sums(own: Sequence[Part]) -> list[str]:
    by = [sum(part.tokens for part in own if part.owner == owner) for owner in OWNERS]
    usd = math.fsum(part.usd for part in own)
    paid = math.fsum(part.usd_paid for part in own)
    open_calls = sum(part.unknown for part in own)
    more = f" <small>and {tally(open_calls, 'call')} unknown</small>" if open_calls else ""
    seconds = math.fsum(part.seconds for part in own)
    return [*map(count, by), money(usd) + more, money(paid), duration(seconds)]


def _share(lost: Sequence[Waste]) -> str:
    good = sum(one.attempts for one in lost if one.ended == "verified")
    total = sum(one.attempts for one in lost)
    return f"{100 * good / total:.0f}%" if total else "-"
