# SPDX-License-Identifier: Apache-2.0
"""Intervals of a mean over tasks that stand in families and were run with several seeds.

Source: reference specification of methods, 3.6. Resampled is what a repetition would draw anew:
families of operators, tasks inside a family, seeds inside a task. Below :data:`FEW_FAMILIES`
families their resampling says little, so tasks and seeds are resampled and the cluster-robust
standard error stands beside the interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder.report import stats
from kernelcoder.report.stats import DRAWS, Interval

FEW_FAMILIES = 10
_CHUNK = 2_000_000  # numbers drawn at once

# Family -> task -> one value for each seed.
Tree = Mapping[str, Mapping[str, Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Spread:
    """The uncertainty of a mean over tasks. ``interval`` is 95 %, None below two tasks;
    ``resampled`` says over what; ``cluster_se`` is the cluster-robust standard error, None below
    two families."""

    interval: Interval | None
    resampled: str
    cluster_se: float | None


def spread(tree: Tree, draws: int = DRAWS, seed: int = 0) -> Spread:
    """The spread of the mean over all tasks, a task's value being the mean over its seeds."""
    tasks = [values for family in tree.values() for values in family.values()]
    means = [[math.fsum(values) / len(values) for values in f.values()] for f in tree.values()]
    error = cluster_error(means)
    if len(tasks) < 2:
        return Spread(None, "nothing", error)
    seeds = max(map(len, tasks)) > 1
    if len(tree) >= FEW_FAMILIES:
        levels = [list(family.values()) for family in tree.values()]
        what = "families, tasks and seeds" if seeds else "families and tasks"
    elif seeds:
        levels, what = [tasks], "tasks and seeds"
    else:
        return Spread(stats.mean_interval([v for (v,) in tasks], draws, seed), "tasks", error)
    found = hierarchical_means(levels, draws, seed)
    low, high = int(0.025 * (draws - 1)), math.ceil(0.975 * (draws - 1))
    return Spread((float(found[low]), float(found[high])), what, error)


def hierarchical_means(
    levels: Sequence[Sequence[Sequence[float]]], draws: int = DRAWS, seed: int = 0
) -> Any:
    """Means of ``draws`` resamples of families, then of tasks inside each, then of seeds inside
    each: a sorted float64 array of shape [draws]. A resample's mean weighs its tasks equally."""
    import numpy

    sizes = numpy.array([len(tasks) for tasks in levels])
    seeds = numpy.zeros((len(levels), sizes.max()), dtype=numpy.int64)
    values = numpy.zeros((*seeds.shape, max(len(t) for tasks in levels for t in tasks)))
    for f, tasks in enumerate(levels):
        for t, each in enumerate(tasks):
            seeds[f, t] = len(each)
            values[f, t, : len(each)] = each
    rng = numpy.random.Generator(numpy.random.PCG64(seed))
    shape = (len(levels), int(sizes.max()), values.shape[2])
    rows = max(1, _CHUNK // math.prod(shape))
    parts = []
    for start in range(0, draws, rows):
        n = min(rows, draws - start)
        family = rng.integers(0, shape[0], size=(n, shape[0]))
        many = sizes[family][:, :, None]
        task = (rng.random((n, *shape[:2])) * many).astype(numpy.int64)
        used = numpy.arange(shape[1]) < many
        count = seeds[family[:, :, None], task][..., None]
        which = (rng.random((n, *shape)) * count).astype(numpy.int64)
        drawn = values[family[:, :, None, None], task[..., None], which]
        kept = numpy.arange(shape[2]) < count
        each = numpy.where(kept, drawn, 0.0).sum(axis=3) / numpy.maximum(count[..., 0], 1)
        total = numpy.where(used, each, 0.0).sum(axis=(1, 2))
        parts.append(total / used.sum(axis=(1, 2)))
    return numpy.sort(numpy.concatenate(parts))


def cluster_error(families: Sequence[Sequence[float]]) -> float | None:
    """Cluster-robust standard error of the mean over all tasks:
    (1/T) sqrt(sum over families of (sum of d_i - mean)^2); None below two families."""
    every = [value for family in families for value in family]
    if len(families) < 2:
        return None
    mean = math.fsum(every) / len(every)
    squares = (math.fsum(value - mean for value in family) ** 2 for family in families)
    return math.sqrt(math.fsum(squares)) / len(every)
