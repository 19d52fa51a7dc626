# SPDX-License-Identifier: Apache-2.0
"""The comparisons a configuration declared before it ran: every member of an axis against its
controls, paired per task, all other settings equal.

Source: reference specification of methods, 3.6. The family that Holm's correction runs over is
everything declared; a control that has no cells makes no contrast, and is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kernelcoder.errors import Error
from kernelcoder.report import compare, stats
from kernelcoder.report.compare import AXES, Contrast, Group
from kernelcoder.report.environment import show
from kernelcoder.report.source import CellRun

SYMBOL = "RUN_CONTRASTS"


@dataclass(frozen=True, slots=True)
class Declared:
    """One declared contrast: ``member`` (B) against ``control`` (A) on ``axis``, within ``where``
    (the other axes that vary)."""

    axis: str
    member: str
    control: str
    where: str
    contrast: Contrast


@dataclass(frozen=True, slots=True)
class Family:
    """All declared contrasts of some cells, and a sentence for each that could not be made."""

    contrasts: tuple[Declared, ...]
    notes: tuple[str, ...]


def read(text: str) -> Mapping[str, tuple[str, ...]]:
    """Axis -> controls of a declaration ``axis:member,member axis:member``. Raises ``Error``."""
    found: dict[str, tuple[str, ...]] = {}
    for part in text.split():
        axis, colon, members = part.partition(":")
        names = tuple(name for name in members.split(",") if name)
        if not colon or axis not in AXES or not names:
            raise Error(
                f"not a declaration of contrasts: {part!r}",
                where=SYMBOL,
                fix='write for example "method:best_of_n,scs memory:none"',
            )
        found[axis] = names
    return found


def family(runs: Sequence[CellRun]) -> Family:
    """What the cells declared, with Holm's correction over all of it. Cells that declared
    differently, or nothing, make no family."""
    said = {str(run.values.get(SYMBOL, "")) for run in runs}
    if len(said) > 1:
        return Family((), ("the cells declared different contrasts: none of them counts",))
    declared = read(next(iter(said), ""))
    found: list[Declared] = []
    notes: list[str] = []
    for axis, controls in declared.items():
        groups = _groups(runs, axis)
        members = {group.axes[AXES.index(axis)] for one in groups.values() for group in one}
        if len(members) < 2:
            continue
        notes += [f"no cells of {axis} {name}: nothing is held against it"
                  for name in controls if name not in members]  # fmt: skip
        for number, control in enumerate(controls):
            for alike in groups.values():
                # Two controls meet once: the later named against the earlier.
                fresh = [g for g in alike if g.axes[AXES.index(axis)] not in controls[:number]]
                found += _against(axis, control, fresh, notes)
    known = [one.contrast.p_speed for one in found if one.contrast.p_speed is not None]
    adjusted = iter(stats.holm(known))
    corrected = [
        replace(one, contrast=replace(one.contrast, p_holm=next(adjusted)))
        if one.contrast.p_speed is not None
        else one
        for one in found
    ]
    return Family(tuple(corrected), tuple(dict.fromkeys(notes)))


def _groups(runs: Sequence[CellRun], axis: str) -> dict[tuple[str, ...], list[Group]]:
    """Configurations that differ in one axis (and its members' own options) only."""
    place, own = AXES.index(axis), f"{axis.upper()}_"
    alike: dict[tuple[str, ...], dict[tuple[str, ...], dict[str, CellRun]]] = {}
    for run in runs:
        axes = tuple(str(run.meta.get("axes", {}).get(name)) for name in AXES)
        others = [
            f"{name}={show(value)}"
            for name, value in sorted(run.values.items())
            if not name.startswith((own, "RUN_"))
        ]
        key = (*axes[:place], *axes[place + 1 :], *others)
        options = [show(v) for k, v in sorted(run.values.items()) if k.startswith(own)]
        member = alike.setdefault(key, {}).setdefault((*axes, *options), {})
        member[str(run.meta.get("seed"))] = run
    return {
        key: [Group(group[place], group[: len(AXES)], seeds) for group, seeds in members.items()]
        for key, members in alike.items()
    }


def _against(axis: str, control: str, alike: Sequence[Group], notes: list[str]) -> list[Declared]:
    place, found = AXES.index(axis), []
    base = [group for group in alike if group.axes[place] == control]
    if len(base) > 1:
        notes.append(f"{axis} {control} stands with several options: not held against")
    if len(base) != 1:
        return []
    for group in alike:
        if group is base[0]:
            continue
        where = " ".join(name for at, name in enumerate(group.axes) if at != place)
        try:
            made = compare.contrast(base[0], group, "AB")
        except Error as problem:
            notes.append(f"{group.label} against {control} ({where}): {problem.what}")
            continue
        found.append(Declared(axis, group.label, control, where, made))
    return found
