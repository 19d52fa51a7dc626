# SPDX-License-Identifier: Apache-2.0
"""Score against budget, from search timings: what a run knew while it ran.

Two scores: the share of tasks verified so far, and exp(mean u) with u = max(0, log speedup) of the
best kernel so far: a failed or slower kernel would not be deployed, so it counts as the baseline
itself. Where all attempts of a cell are independent drafts the curve over attempts is the unbiased
expectation over their orders (pass@k, best-of-k); else it is the one order that happened.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from kernelcoder.report import stats
from kernelcoder.report.source import CellRun, TaskRun, Try

AXES: dict[str, str] = {
    "attempts": "attempts per task",
    "tokens": "tokens per task",
    "cost": "US dollars per task",
    "seconds": "charged seconds per task (model and verifier)",
    "device": "seconds of the verifier per task",
    "wall": "wall seconds per task",
}
MOST_POINTS = 100
BAND_DRAWS = 1000

Scores = list[tuple[float, list[float], list[float]]]


@dataclass(frozen=True, slots=True)
class Curve:
    """Points (budget, share verified, speedup so far) and, for each, a 95 % band (share low, high,
    speedup low, high). ``expected`` marks the estimator over
    orders; ``unknown`` says why there are no points, "" if there are; ``timed`` whether anything
    was, for else there are no speedups."""

    axis: str
    points: tuple[tuple[float, float, float], ...]
    expected: bool = False
    unknown: str = ""
    bands: tuple[tuple[float, float, float, float], ...] = ()
    timed: bool = True


def utility(attempt: Try, baseline: str) -> float:
    """max(0, log search speedup) of a verified attempt, else 0."""
    verdict = attempt.verdict
    if verdict is None or not verdict.verified or verdict.timing is None:
        return 0.0
    ratio = verdict.timing.speedup.get(baseline)
    return max(0.0, math.log(ratio.median)) if ratio else 0.0


def right(attempt: Try) -> bool:
    """Whether the verifier called this attempt verified."""
    return attempt.verdict is not None and attempt.verdict.verified


def independent(task: TaskRun) -> bool:
    """Whether every attempt is a draft that saw no other attempt and no memory."""
    return all(
        t.proposal.role == "draft" and not t.proposal.shown and not t.context for t in task.tries
    )


def curve(run: CellRun, axis: str) -> Curve:
    """The curve of one cell over one of :data:`AXES`. Quarantined attempts are not in it."""
    return group_curve((run,), axis)


def group_curve(runs: Sequence[CellRun], axis: str) -> Curve:
    """The same of cells that differ in their seed: the mean over tasks and seeds. Bands resample
    tasks, each with all its seeds."""
    tasks = [task for run in runs for task in run.tasks]
    verdicts = [t.verdict for task in tasks for t in task.judged if t.verdict is not None]
    right_ones = [one for one in verdicts if one.verified]
    timed = not right_ones or any(one.timing is not None for one in right_ones)
    return replace(_curve_of(runs, axis), timed=timed)


def _curve_of(runs: Sequence[CellRun], axis: str) -> Curve:
    every = [task for run in runs for task in run.tasks]
    tasks = [task for task in every if task.judged]
    names, total = [task.id for task in tasks], sum(run.n_tasks for run in runs)
    if not tasks:
        return Curve(axis, (), unknown="no attempt was judged")
    if axis == "attempts":
        asked = {sum(t.verdict is not None for t in task.tries) for task in every}
        whole = len(every) == total and len(asked) == 1
        if whole and all(map(independent, tasks)):
            return _curve(axis, _expected(tasks), names, total, True)
    spent = [positions(task, axis) for task in tasks]
    if any(row is None for row in spent):
        return Curve(axis, (), unknown=f"{axis} of some calls are unknown")
    known = [row for row in spent if row is not None]
    return _curve(axis, _stepwise(tasks, known), names, total)


def positions(task: TaskRun, axis: str) -> list[float] | None:
    """The budget at which each judged attempt's verdict was known, None if it is unknown."""
    price = {
        "tokens": _tokens, "cost": _cost, "seconds": _seconds, "device": _device, "wall": _wall,
    }.get(axis, _one)  # fmt: skip
    prices = [price(t) for t in task.judged]
    known = [p for p in prices if p is not None]
    if len(known) < len(prices):
        return None
    return known if axis == "wall" else list(accumulate(known))


def _one(_: Try) -> float | None:
    return 1.0


def _tokens(t: Try) -> float | None:
    return t.tokens


def _cost(t: Try) -> float | None:
    return t.usage.cost_usd if t.usage else None


def _seconds(t: Try) -> float | None:
    return t.seconds


def _device(t: Try) -> float | None:
    return t.device


def _wall(t: Try) -> float | None:
    return t.elapsed


def _expected(tasks: Sequence[TaskRun]) -> Scores:
    """Per task pass@k and best-of-k for k = 1..n. A task of which fewer attempts were judged, as
    the machine failed some, stays at its last value from there on."""
    gains = [[utility(t, task.baseline) for t in task.judged] for task in tasks]
    good = [sum(map(right, task.judged)) for task in tasks]
    return [
        (
            float(k),
            [
                stats.pass_at_k(len(row), c, min(k, len(row)))
                for row, c in zip(gains, good, strict=True)
            ],
            [stats.best_of_k(row, min(k, len(row))) for row in gains],
        )
        for k in range(1, max(map(len, gains)) + 1)
    ]


def _stepwise(tasks: Sequence[TaskRun], spent: Sequence[Sequence[float]]) -> Scores:
    """Per task the best so far at each budget; a task that stopped keeps its best."""
    steps = []
    for task, row in zip(tasks, spent, strict=True):
        best, found = 0.0, False
        at, gain, seen = [-math.inf], [0.0], [0.0]
        for position, attempt in sorted(zip(row, task.judged, strict=True), key=lambda p: p[0]):
            best = max(best, utility(attempt, task.baseline))
            found = found or right(attempt)
            at.append(position)
            gain.append(best)
            seen.append(float(found))
        steps.append((at, gain, seen))
    budgets = _thin(sorted({round(b, 9) for at, _, _ in steps for b in at[1:]}))
    scores: Scores = []
    for budget in budgets:
        reached = [bisect_right(at, budget + 1e-9) - 1 for at, _, _ in steps]
        pairs = list(zip(steps, reached, strict=True))
        scores.append((budget, [s[2][i] for s, i in pairs], [s[1][i] for s, i in pairs]))
    return scores


def _curve(
    axis: str, scores: Scores, names: Sequence[str], total: int, expected: bool = False
) -> Curve:
    """Means over all ``total`` tasks (those without an attempt count as nothing found), and 95 %
    bands from resampling tasks by name, the same resamples at every budget."""
    import numpy

    idle = [0.0] * (total - len(names))
    shares = numpy.array([share + idle for _, share, _ in scores])
    gains = numpy.array([gain + idle for _, _, gain in scores])
    place = {name: at for at, name in enumerate(dict.fromkeys(names))}
    of = [*(place[name] for name in names), *range(len(place), len(place) + len(idle))]
    many = of[-1] + 1 if idle else len(place)
    rng = numpy.random.Generator(numpy.random.PCG64(0))
    drawn = rng.multinomial(many, [1 / many] * many, size=BAND_DRAWS).T[of]
    weights = drawn / drawn.sum(axis=0)
    share_band = numpy.percentile(shares @ weights, (2.5, 97.5), axis=1)
    speed_band = numpy.exp(numpy.percentile(gains @ weights, (2.5, 97.5), axis=1))
    speeds = numpy.exp(gains.mean(axis=1))
    return Curve(
        axis,
        tuple(
            zip(
                [x for x, _, _ in scores],
                shares.mean(axis=1).tolist(),
                speeds.tolist(),
                strict=True,
            )
        ),
        expected,
        bands=tuple(zip(*share_band.tolist(), *speed_band.tolist(), strict=True)),
    )


def _thin(values: list[float]) -> list[float]:
    """At most :data:`MOST_POINTS` of sorted values, the last one kept."""
    if len(values) <= MOST_POINTS:
        return values
    stride = (len(values) - 1) / (MOST_POINTS - 1)
    return [values[round(i * stride)] for i in range(MOST_POINTS)]


def fast_curve(
    runs: Sequence[CellRun], speedup: Callable[[TaskRun], float | None]
) -> list[tuple[float, float]]:
    """fast_p against p from 0 to 4 on final numbers over all tasks of the cells, as steps; p = 0 is
    the share verified."""
    tasks, total = [task for run in runs for task in run.tasks], sum(run.n_tasks for run in runs)
    if not tasks:
        return []
    values = [speedup(task) for task in tasks]
    values += [None] * (total - len(tasks))
    good = sum(task.winner is not None for task in tasks)
    edges = sorted({min(4.0, v) for v in values if v is not None} | {4.0})
    points = [(0.0, good / total)]
    points += [(p, stats.fast_p(values, p) or 0.0) for p in edges]
    return points
