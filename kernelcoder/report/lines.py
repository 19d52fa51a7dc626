# SPDX-License-Identifier: Apache-2.0
"""Which configurations the charts of a page draw in color, and the switches that choose others.

More than six lines cannot be told apart. Where there are more groups, the best of each member of
the first axis that varies is drawn; the others are thin and gray behind them until chosen.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from kernelcoder.report.groups import Group, varying
from kernelcoder.report.quote import esc
from kernelcoder.report.standings import League

MANY = 6


@dataclass(frozen=True, slots=True)
class Line:
    """A group as every chart draws it: ``index`` picks color and dash, ``off`` is gray."""

    group: Group
    index: int
    off: bool = False


def lines(found: Sequence[Group], leagues: Sequence[League]) -> list[Line]:
    """The groups, those that are drawn in color first."""
    if len(found) <= MANY:
        return [Line(group, index) for index, group in enumerate(found)]
    ranked = [one.group for league in leagues for one in league.everyone]
    axes = varying(found)
    best: dict[str, Group] = {}
    for group in ranked:
        best.setdefault(group.axes[axes[0]] if axes else group.label, group)
    shown = list(best.values())[:MANY]
    shown += [group for group in ranked if group not in shown][: MANY - len(shown)]
    rest = [group for group in found if group not in shown]
    return [
        *(Line(group, index) for index, group in enumerate(shown)),
        *(Line(group, index, off=True) for index, group in enumerate(rest, len(shown))),
    ]


def chooser(found: Sequence[Line]) -> str:
    """Boxes for every line and a menu for every axis that varies; hidden until the script runs,
    nothing where all lines are shown."""
    if not any(line.off for line in found):
        return ""
    groups = [line.group for line in found]
    menus = []
    for axis in varying(groups):
        members = "".join(
            f"<option>{esc(name)}</option>" for name in dict.fromkeys(g.axes[axis] for g in groups)
        )
        menus.append(
            f'<label>{esc(axis)} <select data-axis="{esc(axis)}"><option value="">any</option>'
            f"{members}</select></label>"
        )
    boxes = "".join(
        f'<label><input type="checkbox" data-serie="{line.index}" '
        f'data-axes="{esc(json.dumps(dict(line.group.axes)))}"'
        f'{"" if line.off else " checked"}><span class="key k{line.index % 6}" aria-hidden="true">'
        f"</span>{esc(line.group.label)}</label>"
        for line in found
    )
    shown = sum(not line.off for line in found)
    return (
        f'<fieldset class="chooser" hidden><legend>Lines in color in every chart</legend>'
        f'<p class="menus">{"".join(menus)} <button type="button">as at first</button> '
        f"<small>{shown} of {len(found)} at first: the best of each</small></p>"
        f'<div class="boxes">{boxes}</div></fieldset>'
    )
