# SPDX-License-Identifier: Apache-2.0
"""Two or more sets of cells side by side, paired per task.

Ratios are B / A: above 1 means B's kernels are the faster ones. Every task both sides have ended
counts, failures at 1.0. Several seeds of one configuration are replicates: a task's value is their
mean in logarithms, so one task is one observation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kernelcoder.errors import Error, Problem
from kernelcoder.records import sha256
from kernelcoder.report import naive, resampling, stats
from kernelcoder.report.environment import NOT_A_SETTING, show
from kernelcoder.report.rows import speedup, value_at_one
from kernelcoder.report.source import CellRun, TaskRun
from kernelcoder.wording import SIMULATED

AXES = ("method", "memory", "model", "backend", "suite")


@dataclass(frozen=True, slots=True)
class Side:
    """One letter of the comparison: what the user named and the cells it stands for."""

    letter: str
    name: str
    runs: tuple[CellRun, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Cells of one configuration that differ in the seed only."""

    label: str
    axes: tuple[str, ...]
    by_seed: Mapping[str, CellRun]


@dataclass(frozen=True, slots=True)
class PairedTask:
    """One task on both sides: share of seeds verified, geometric mean of the speedup (None where
    no seed has a measured kernel), and the difference log B - log A with failures at 1.0."""

    task: str
    a_verified: float
    b_verified: float
    a_speed: float | None
    b_speed: float | None
    difference: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """B against A over common tasks. ``p_verified`` is exact McNemar with one seed, else sign-flip
    on the shares; ``ratio`` is exp(mean difference), its interval over what ``resampled`` names and
    ``cluster_se`` the standard error of its logarithm over families. ``timed`` is False if a side
    has no timing: then there is no ratio."""

    a: str
    b: str
    letters: str
    baseline: str
    seeds: tuple[str, ...]
    tasks: tuple[PairedTask, ...]
    left_out: tuple[str, ...]
    both: int
    only_a: int
    only_b: int
    none: int
    p_verified: float
    verified_test: str
    timed: bool
    a_geomean: float | None
    b_geomean: float | None
    ratio: float | None
    ratio_interval: tuple[float, float] | None
    p_speed: float | None
    p_holm: float | None
    improvement: float | None
    detectable: float | None
    resampled: str = "tasks"
    cluster_se: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All contrasts against A, and what to know before reading them."""

    sides: tuple[Side, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...]
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...]


def compare(sides: Sequence[Side], force: bool = False) -> Comparison:
    """Contrasts of every side against the first. Raises ``Error`` where the numbers could not mean
    what they say: other machines, other verifier, other tasks (``force`` overrides)."""
    notes = _comparable(sides, force)
    first, contrasts = sides[0], []
    groups = _groups([side.runs for side in sides])
    for number, other in enumerate(sides[1:], 1):
        pairs, unmatched = _pairs(groups[0], groups[number], first, other)
        notes += [f"{name} has no partner and is left out" for name in unmatched]
        letters = f"{first.letter}{other.letter}"
        contrasts += [contrast(a, b, letters) for a, b in pairs]
    ps = [c.p_speed for c in contrasts]
    known = [p for p in ps if p is not None]
    adjusted = iter(stats.holm(known))
    contrasts = [
        _with_holm(c, next(adjusted) if c.p_speed is not None else None) for c in contrasts
    ]
    return Comparison(tuple(sides), tuple(_settings(sides)), tuple(contrasts), tuple(notes))


def _with_holm(contrast: Contrast, p: float | None) -> Contrast:
    return replace(contrast, p_holm=p)


def _comparable(sides: Sequence[Side], force: bool) -> list[str]:
    problems = [
        Problem(side.letter, f"{side.name}: no results", "make bench runs it")
        for side in sides
        if not side.runs
    ]
    if problems:
        raise Error("there is nothing to compare", problems=problems)
    runs = [run for side in sides for run in side.runs]
    differing = []
    for what, read in (
        ("machine", lambda run: {run.machine}),
        ("verifier version", lambda run: {str(run.meta.get("verify_version"))}),
        ("baseline", lambda run: {task.baseline for task in run.tasks}),
    ):
        found = sorted(set().union(*(read(run) for run in runs)))
        if len(found) > 1:
            differing.append(f"{what}s differ: {', '.join(found)}")
    digests: dict[str, set[str]] = {}
    for run in runs:
        for task in run.tasks:
            digests.setdefault(task.id, set()).add(task.digest)
    if moved := sorted(task for task, found in digests.items() if len(found) > 1):
        differing.append(f"tasks changed between the runs: {', '.join(moved)}")
    if differing and not force:
        raise Error(
            "these results cannot be compared",
            fix="run both sides again under the same conditions, or add --force",
            problems=[Problem("", line) for line in differing],
        )
    notes = [f"compared by --force although {line}" for line in differing]
    notes += [f"{run.id} is unfinished" for run in runs if not run.finished]
    if any(run.model_id.startswith("sim:") for run in runs):
        notes.append(SIMULATED)
    return notes + naive.notes(runs)


def _groups(sides: Sequence[Sequence[CellRun]]) -> list[list[Group]]:
    """Each side's cells by configuration, seeds together, named by the axes in which any of them
    differ; configurations with equal axes also by a digest of their settings."""
    found: list[dict[tuple[str, ...], dict[str, CellRun]]] = []
    for runs in sides:
        found.append({})
        for run in runs:
            axes = run.meta.get("axes", {})
            values = sorted((k, show(v)) for k, v in run.values.items() if not k.startswith("RUN_"))
            key = (*(str(axes.get(axis)) for axis in AXES), sha256(repr(values)))
            found[-1].setdefault(key, {})[str(run.meta.get("seed"))] = run
    every = {key for side in found for key in side}
    differing = [i for i in range(len(AXES)) if len({key[i] for key in every}) > 1] or [0]

    def label(key: tuple[str, ...]) -> str:
        twins = sum(other[:-1] == key[:-1] for other in every)
        return " ".join(key[i] for i in differing) + (f" {key[-1][:6]}" if twins > 1 else "")

    return [[Group(label(key), key[:-1], seeds) for key, seeds in side.items()] for side in found]


def _pairs(
    left: Sequence[Group], right: Sequence[Group], a: Side, b: Side
) -> tuple[list[tuple[Group, Group]], list[str]]:
    """Which configuration meets which: a single one meets all of the other side; else equal axes.
    A pair of the very same cells says nothing and is dropped."""
    if len(left) == 1 or len(right) == 1:
        pairs = [(x, y) for x in left for y in right]
    else:
        pairs = [(x, y) for x in left for y in right if x.axes == y.axes]
    used = {id(group) for pair in pairs for group in pair}
    unmatched = [
        f"{side.letter}'s {group.label}"
        for side, groups in ((a, left), (b, right))
        for group in groups
        if id(group) not in used
    ]
    different = [
        (x, y)
        for x, y in pairs
        if {run.folder for run in x.by_seed.values()} != {run.folder for run in y.by_seed.values()}
    ]
    if pairs and not different:
        raise Error(
            f"{a.letter} and {b.letter} are the same cells", fix="name two different configurations"
        )
    if not pairs:
        raise Error(
            f"no cell of {a.letter} has a partner in {b.letter}",
            fix="pair them by hand: A='<id or glob of one cell>' B='<id or glob>'",
            problems=[Problem("", name) for name in unmatched],
        )
    return different, unmatched


def contrast(a: Group, b: Group, letters: str) -> Contrast:
    """B against A over the tasks and seeds that both have ended. Raises ``Error`` if there are
    none."""
    seeds = [seed for seed in a.by_seed if seed in b.by_seed]
    if not seeds:
        raise Error(
            f"{a.label} and {b.label} share no seed",
            fix="run them with the same SEEDS; pairs are made per task and seed",
        )
    ended = [
        [
            {task.id: task for task in group.by_seed[seed].tasks if task.ended}
            for group in (a, b)
        ]
        for seed in seeds
    ]  # fmt: skip
    names = sorted(set.intersection(*(set(tasks) for pair in ended for tasks in pair)))
    every = {name for pair in ended for tasks in pair for name in tasks}
    if not names:
        raise Error(f"{a.label} and {b.label} have no ended task in common")
    paired = tuple(
        _paired(name, [x[name] for x, _ in ended], [y[name] for _, y in ended]) for name in names
    )
    return _analyze(a, b, letters, tuple(seeds), paired, tuple(sorted(every - set(names))), ended)


def _paired(name: str, a: Sequence[TaskRun], b: Sequence[TaskRun]) -> PairedTask:
    def good(tasks: Sequence[TaskRun]) -> float:
        return sum(task.winner is not None for task in tasks) / len(tasks)

    def mean(tasks: Sequence[TaskRun]) -> float:
        return math.fsum(math.log(value_at_one(task)) for task in tasks) / len(tasks)

    def speed(tasks: Sequence[TaskRun]) -> float | None:
        return stats.geomean([s for task in tasks if (s := speedup(task)) is not None])

    return PairedTask(name, good(a), good(b), speed(a), speed(b), mean(b) - mean(a))


def _analyze(
    a: Group,
    b: Group,
    letters: str,
    seeds: tuple[str, ...],
    paired: tuple[PairedTask, ...],
    left_out: tuple[str, ...],
    ended: Sequence[Sequence[Mapping[str, TaskRun]]],
) -> Contrast:
    only_a = sum(t.a_verified > t.b_verified for t in paired)
    only_b = sum(t.b_verified > t.a_verified for t in paired)
    both = sum(t.a_verified == t.b_verified > 0 for t in paired)
    if len(seeds) == 1:
        p_verified, test = stats.mcnemar(only_a, only_b), "exact McNemar"
    else:
        shares = [t.b_verified - t.a_verified for t in paired]
        p_verified, test = stats.sign_flip(shares) or 0.0, "sign flip on shares over seeds"
    timed = all(_has_timing(paired, column, ended) for column in (0, 1))
    differences = [t.difference for t in paired]
    log_a, log_b = ([math.exp(v) for v in _logs(paired, ended, column)] for column in (0, 1))
    found = resampling.spread(_tree(paired, ended))
    spread = found.interval
    return Contrast(
        a=a.label, b=b.label, letters=letters,
        baseline=next(iter(ended[0][0].values())).baseline, seeds=seeds, tasks=paired,
        left_out=left_out, both=both, only_a=only_a, only_b=only_b,
        none=len(paired) - both - only_a - only_b, p_verified=p_verified, verified_test=test,
        timed=timed,
        a_geomean=stats.geomean(log_a) if timed else None,
        b_geomean=stats.geomean(log_b) if timed else None,
        ratio=math.exp(math.fsum(differences) / len(differences)) if timed else None,
        ratio_interval=(math.exp(spread[0]), math.exp(spread[1])) if timed and spread else None,
        p_speed=stats.sign_flip(differences) if timed else None,
        p_holm=None,
        improvement=stats.superiority(differences) if timed else None,
        detectable=stats.detectable(differences) if timed else None,
        resampled=found.resampled,
        cluster_se=found.cluster_se if timed else None,
    )  # fmt: skip


def _tree(
    paired: Sequence[PairedTask], ended: Sequence[Sequence[Mapping[str, TaskRun]]]
) -> dict[str, dict[str, list[float]]]:
    """Differences log B - log A by family, task and seed."""
    tree: dict[str, dict[str, list[float]]] = {}
    for t in paired:
        pairs = [(a[t.task], b[t.task]) for a, b in ended]
        gaps = [math.log(value_at_one(b)) - math.log(value_at_one(a)) for a, b in pairs]
        tree.setdefault(pairs[0][0].family, {})[t.task] = gaps
    return tree


def _logs(
    paired: Sequence[PairedTask], ended: Sequence[Sequence[Mapping[str, TaskRun]]], column: int
) -> list[float]:
    return [
        math.fsum(math.log(value_at_one(pair[column][t.task])) for pair in ended) / len(ended)
        for t in paired
    ]


def _has_timing(
    paired: Sequence[PairedTask], column: int, ended: Sequence[Sequence[Mapping[str, TaskRun]]]
) -> bool:
    """Whether a side's speeds are known: every verified kernel was timed over the baseline."""
    tasks = [pair[column][t.task] for pair in ended for t in paired]
    good = [task for task in tasks if task.winner is not None]
    return all(speedup(task) is not None for task in good)


def _settings(sides: Sequence[Side]) -> list[tuple[str, tuple[str, ...]]]:
    """Symbols whose set of values differs between sides; several values of one side are listed."""
    names = sorted({name for side in sides for run in side.runs for name in run.values})
    out = []
    for name in names:
        values = tuple(
            ", ".join(sorted({show(run.values.get(name)) for run in side.runs} - {"-"})) or "-"
            for side in sides
        )
        if len(set(values)) > 1 and not name.startswith(NOT_A_SETTING):
            out.append((name, values))
    for axis in AXES:
        values = tuple(
            ", ".join(sorted({str(run.meta.get("axes", {}).get(axis)) for run in side.runs}))
            for side in sides
        )
        if len(set(values)) > 1:
            out.insert(0, (axis, values))
    return out
