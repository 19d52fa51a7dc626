# SPDX-License-Identifier: Apache-2.0
"""Cells of one configuration as one group, its seeds together, and which groups may be ranked.

A matrix is read by configuration: seeds are replicates and no rows of their own. Groups stand in
one league when the same ruler measured them: same machine (its folder names the mode), backend,
tasks, baseline and verifier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernelcoder.records import sha256
from kernelcoder.report.environment import show
from kernelcoder.report.source import CellRun, TaskRun

AXES = ("method", "memory", "model", "backend", "suite", "machine")


@dataclass(frozen=True, slots=True)
class Group:
    """Cells that differ in nothing but their seed. ``label`` names the axes in which the groups of
    the page differ; ``places`` are the cells' positions on the page."""

    label: str
    axes: Mapping[str, str]
    by_seed: Mapping[str, CellRun]
    places: tuple[int, ...]

    @property
    def runs(self) -> tuple[CellRun, ...]:
        """The cells in the order of their seeds."""
        return tuple(self.by_seed.values())

    @property
    def finished(self) -> bool:
        """Whether every cell is."""
        return all(run.finished for run in self.runs)

    def tasks(self) -> dict[str, list[TaskRun]]:
        """Task id -> the task in every seed that ended it."""
        found: dict[str, list[TaskRun]] = {}
        for run in self.runs:
            for task in run.tasks:
                if task.ended:
                    found.setdefault(task.id, []).append(task)
        return found

    def league(self) -> tuple[str, ...]:
        """What must be equal for two groups to be ranked against each other."""
        runs = self.runs
        tasks = sorted({(task.id, task.digest) for run in runs for task in run.tasks})
        return (
            self.axes["machine"], self.axes["backend"], self.axes["suite"],
            "+".join(sorted({task.baseline for run in runs for task in run.tasks})),
            "+".join(sorted({str(run.meta.get("verify_version")) for run in runs})),
            sha256(repr(tasks)),
        )  # fmt: skip


def groups(runs: Sequence[CellRun]) -> list[Group]:
    """The groups in the order of their first cell. Configurations with equal axes are told apart
    by a digest of their settings; RUN_* settings and the seed make no configuration."""
    found: dict[tuple[str, ...], dict[str, tuple[int, CellRun]]] = {}
    for place, run in enumerate(runs):
        axes = run.meta.get("axes", {})
        values = sorted((k, show(v)) for k, v in run.values.items() if not k.startswith("RUN_"))
        names = (*(str(axes.get(axis)) for axis in AXES[:-1]), run.machine)
        key = (*names, sha256(repr(values)))
        found.setdefault(key, {})[str(run.meta.get("seed"))] = (place, run)
    differing = [i for i in range(len(AXES)) if len({key[i] for key in found}) > 1] or [0]

    def label(key: tuple[str, ...]) -> str:
        twins = sum(other[:-1] == key[:-1] for other in found)
        return " ".join(key[i] for i in differing) + (f" {key[-1][:6]}" if twins > 1 else "")

    return [
        Group(
            label(key),
            dict(zip(AXES, key, strict=False)),
            {seed: run for seed, (_, run) in sorted(cells.items(), key=_by_number)},
            tuple(place for place, _ in cells.values()),
        )
        for key, cells in found.items()
    ]


def _by_number(item: tuple[str, object]) -> tuple[int, str]:
    return (int(item[0]) if item[0].lstrip("-").isdigit() else 0, item[0])


def varying(found: Sequence[Group]) -> list[str]:
    """Axes with more than one member among the groups."""
    return [axis for axis in AXES if len({group.axes[axis] for group in found}) > 1]


def leagues(found: Sequence[Group]) -> list[list[Group]]:
    """Groups that one ruler measured, the largest league first."""
    by: dict[tuple[str, ...], list[Group]] = {}
    for group in found:
        by.setdefault(group.league(), []).append(group)
    return sorted(by.values(), key=lambda league: -len(league))
