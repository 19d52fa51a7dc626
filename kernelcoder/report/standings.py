# SPDX-License-Identifier: Apache-2.0
"""Which configuration won, by how much, how sure that is, and at what cost.

The leader of a league is the finished group with the largest geometric mean over all tasks. It is
held against every other one, paired per task; as it was picked for being first, p is corrected
(Holm) for all these contrasts, and only what stays below 5 % counts as a difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kernelcoder.errors import Error
from kernelcoder.report import compare, resampling, stats
from kernelcoder.report.compare import Contrast
from kernelcoder.report.groups import Group, leagues
from kernelcoder.report.rows import Row, cell_row, speedup, value_at_one

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Spent:
    """What all cells of a group cost: charged (replayed calls included) and ``paid``. None where
    a server did not say; seconds of the verifier and of the wall clock."""

    attempts: int
    calls: int
    calls_paid: int
    tokens: int | None
    tokens_paid: int | None
    usd: float | None
    usd_paid: float | None
    device_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A group in its league. ``verified`` is the mean share of tasks over seeds; ``speed`` the
    geometric mean over all tasks with failures at 1.0, None where it was not measured;
    ``contrast`` the leader (B) against it (A), None for the leader itself."""

    group: Group
    n_tasks: int
    n_seeds: int
    verified: float
    speed: float | None
    interval: stats.Interval | None
    spent: Spent
    contrast: Contrast | None = None

    @property
    def behind(self) -> bool:
        """Whether the leader's advantage survives the correction."""
        p = self.contrast.p_holm if self.contrast else None
        return p is not None and p < LEVEL


@dataclass(frozen=True, slots=True)
class League:
    """Groups that one ruler measured, best first; ``open`` are unfinished, ``untimed`` have no
    speed: neither is ranked."""

    ranked: tuple[Standing, ...]
    open: tuple[Standing, ...]
    untimed: tuple[Standing, ...]

    @property
    def everyone(self) -> tuple[Standing, ...]:
        """All groups, the ranked ones first."""
        return (*self.ranked, *self.untimed, *self.open)


def standings(found: Sequence[Group], rows: Sequence[Row] = ()) -> list[League]:
    """Every league with its groups ranked, the largest first. ``rows`` are the rows of all cells
    by their places, made here if not given."""
    return [_league(league, rows) for league in leagues(found)]


def _league(found: Sequence[Group], known: Sequence[Row]) -> League:
    every = [_standing(group, known) for group in found]
    ready = [one for one in every if one.group.finished]
    timed = sorted(
        (one for one in ready if one.speed is not None), key=lambda one: -(one.speed or 0.0)
    )
    return League(
        tuple(_against_leader(timed)),
        tuple(one for one in every if not one.group.finished),
        tuple(one for one in ready if one.speed is None),
    )


def _standing(group: Group, known: Sequence[Row]) -> Standing:
    rows = [known[i] for i in group.places] if known else [cell_row(run) for run in group.runs]
    n_tasks = max((row["n_tasks"] for row in rows), default=0)
    shares = [row["n_verified"] / row["n_tasks"] for row in rows if row["n_tasks"]]
    speed, interval = _speed(group)
    return Standing(
        group, n_tasks, len(rows), math.fsum(shares) / len(shares) if shares else 0.0,
        speed, interval, _spent(rows),
    )  # fmt: skip


def _speed(group: Group) -> tuple[float | None, stats.Interval | None]:
    """The mean over tasks and seeds, unknown where a verified kernel was not timed."""
    tree: dict[str, dict[str, list[float]]] = {}
    for name, tasks in group.tasks().items():
        if any(task.winner is not None and speedup(task) is None for task in tasks):
            return None, None
        values = [math.log(value_at_one(task)) for task in tasks]
        tree.setdefault(tasks[0].family, {})[name] = values
    timed = all(run.values.get("VERIFY_TIMING", True) for run in group.runs)
    if not tree or not timed:
        return None, None
    means = [math.fsum(v) / len(v) for family in tree.values() for v in family.values()]
    found = resampling.spread(tree).interval
    interval = (math.exp(found[0]), math.exp(found[1])) if found else None
    return math.exp(math.fsum(means) / len(means)), interval


def _against_leader(timed: Sequence[Standing]) -> list[Standing]:
    if not timed:
        return []
    first, out = _as_side(timed[0].group), []
    for one in timed[1:]:
        try:
            made = compare.contrast(_as_side(one.group), first, "AB")
        except Error:  # no seed or no task in common: it is shown, and held against nothing
            out.append(one)
            continue
        out.append(replace(one, contrast=made))
    ps = [one.contrast.p_speed for one in out if one.contrast and one.contrast.p_speed is not None]
    adjusted = iter(stats.holm(ps))
    out = [
        replace(one, contrast=replace(one.contrast, p_holm=next(adjusted)))
        if one.contrast and one.contrast.p_speed is not None
        else one
        for one in out
    ]
    return [timed[0], *out]


def _as_side(group: Group) -> compare.Group:
    return compare.Group(group.label, tuple(group.axes.values()), group.by_seed)


def _spent(rows: Sequence[Row]) -> Spent:
    def total(name: str) -> int | None:
        values = [row[name] for row in rows]
        return None if None in values else sum(values)

    def dollars(name: str) -> float | None:
        values = [row[name] for row in rows]
        return None if None in values else math.fsum(values)

    return Spent(
        attempts=sum(row["attempts"] for row in rows),
        calls=sum(row["calls"] for row in rows),
        calls_paid=sum(row["calls_paid"] for row in rows),
        tokens=total("tokens"),
        tokens_paid=total("tokens_paid"),
        usd=dollars("cost"),
        usd_paid=dollars("cost_paid"),
        device_s=math.fsum(row["device_seconds"] for row in rows),
        wall_s=math.fsum(row["seconds"] for row in rows),
    )
