# SPDX-License-Identifier: Apache-2.0
"""What memories did, as a section of the page: shown against withheld, whole and item by item."""

from __future__ import annotations

from collections.abc import Sequence

from kernelcoder.report import claims, effects
from kernelcoder.report.effects import Arm, Effect
from kernelcoder.report.groups import Group
from kernelcoder.report.quote import esc, evidence
from kernelcoder.report.svg import interval_plot
from kernelcoder.report.tables import table

MOST_ITEMS = 40


def section(found: Sequence[Group]) -> str:
    """One row per configuration whose prompts had learnt items, and its items folded."""
    having = [(group, uses) for group in found if (uses := effects.uses(group.runs))]
    if not having:
        return "<p>No prompt held anything learnt.</p>"
    body, details = [], []
    for group, uses in having:
        one = effects.effect(uses)
        body.append([esc(group.label), *_cells(one)])
        details.append(
            f"<details><summary>{esc(group.label)}, item by item</summary>"
            f"{_items(group, effects.items(uses))}</details>"
        )
    head = ["configuration", "shown", "verified", "withheld", "verified", "difference",
            "speed, shown / withheld", "0.5 to 2", "detectable"]  # fmt: skip
    return (
        "<p>A use is one item in one prompt. Items are withheld from prompts by a draw, so the "
        "prompts an item was withheld from are its control: the difference is the effect of "
        "showing it. Intervals are 95%, resampling tasks. Speed is of search timings, failures at "
        "1.0. Detectable: the difference in points that so many uses would find with 80% power, "
        "were they independent. Without withheld uses there is no control and no effect is "
        f"claimed.</p>{table(head, body)}{''.join(details)}"
    )


def _arm(arm: Arm) -> list[str]:
    return [str(arm.uses), "-" if arm.share is None else f"{100 * arm.share:.0f}%"]


def _cells(one: Effect) -> list[str]:
    cells = [*_arm(one.shown), *_arm(one.held)]
    if one.points is None or one.ratio is None:
        return [*cells, "no control", "-", "-", "-"]
    lo, hi = one.points_interval or (None, None)
    points = f"{100 * one.points:+.0f} points"
    if lo is not None and hi is not None:
        points += f" <small>[{100 * lo:+.0f}, {100 * hi:+.0f}]</small>"
    ratio, plot = claims.times(one.ratio), "-"
    if one.ratio_interval:
        low, high = one.ratio_interval
        ratio += f" <small>[{claims.times(low)}, {claims.times(high)}]</small>"
        plot = interval_plot(low, one.ratio, high, 0.5, 2.0)
    found = "-" if one.found is None else f"{100 * one.found:.0f} points"
    return [*cells, points, ratio, plot, found]


def _items(group: Group, every: Sequence[effects.ItemEffect]) -> str:
    known: dict[str, tuple[str, tuple[str, ...]]] = {}
    for run in group.runs:
        known |= effects.learnt(run)
    body = []
    for one in every[:MOST_ITEMS]:
        text, places = known.get(one.id, ("", ()))
        where = "".join(map(esc, places[:1])) + (
            f" and {len(places) - 1} more" if len(places) > 1 else ""
        )
        body.append(
            [
                f"<code>{esc(one.id)}</code>", evidence(text) if text else "-",
                *_arm(one.shown), *_arm(one.held),
                "-" if one.points is None else f"{100 * one.points:+.0f}",
                "-" if one.shrunk is None else f"{100 * one.shrunk:+.1f}",
                f"<small>{where or '-'}</small>",
            ]
        )  # fmt: skip
    rest = len(every) - MOST_ITEMS
    more = f"<p>The {MOST_ITEMS} most used; {rest} more.</p>" if rest > 0 else ""
    head = ["item", "text", "shown", "verified", "withheld", "verified", "points",
            "shrunk", "learnt from"]  # fmt: skip
    return (
        "<p>Points: difference of the shares verified. Few uses say little about one item; shrunk "
        "toward the mean of all items is the better guess.</p>"
        f"{more}{table(head, body, kind='words')}"
    )
