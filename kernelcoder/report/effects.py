# SPDX-License-Identifier: Apache-2.0
"""What pieces of learnt context did to the attempts that were shown them.

Source: reference specification of methods, 6.3. Each item is withheld from some prompts by a draw,
so the attempts it was withheld from are its control: the difference of the means is an unbiased
estimate of the effect of showing it. One (attempt, item) pair is one use; intervals resample tasks,
because uses on one task go together. The effects of single items are shrunk toward their common
mean (DerSimonian and Laird 1986 for the spread between items).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kernelcoder import ledger
from kernelcoder.report import stats
from kernelcoder.report.curves import right, utility
from kernelcoder.report.source import CellRun

HELD = "withheld:"


@dataclass(frozen=True, slots=True)
class Arm:
    """Uses on one side: how many, how many ended verified, sum of max(0, log search speedup)."""

    uses: int = 0
    verified: int = 0
    gain: float = 0.0

    def __add__(self, other: Arm) -> Arm:
        return Arm(
            self.uses + other.uses, self.verified + other.verified, self.gain + other.gain
        )  # fmt: skip

    @property
    def share(self) -> float | None:
        """Share that ended verified, None for no uses."""
        return self.verified / self.uses if self.uses else None


@dataclass(frozen=True, slots=True)
class Effect:
    """Shown against withheld. ``points`` is the difference of the shares verified, ``ratio`` the
    ratio of geometric mean speedups with failures at 1.0; both None without uses on both sides.
    ``found`` is the difference in share this many uses find with 80 % power."""

    shown: Arm
    held: Arm
    points: float | None
    points_interval: stats.Interval | None
    ratio: float | None
    ratio_interval: stats.Interval | None
    found: float | None


@dataclass(frozen=True, slots=True)
class ItemEffect:
    """One item: its arms, and the difference in share, as seen and shrunk toward all items'."""

    id: str
    shown: Arm
    held: Arm
    points: float | None
    shrunk: float | None


Uses = Mapping[str, Mapping[str, tuple[Arm, Arm]]]  # task -> item -> (shown, withheld)


def uses(runs: Sequence[CellRun]) -> Uses:
    """All uses of all judged attempts, those on tasks a memory learnt from included."""
    found: dict[str, dict[str, tuple[Arm, Arm]]] = {}
    for run in runs:
        for task in (*run.tasks, *run.lessons):
            for attempt in task.judged:
                one = Arm(1, int(right(attempt)), utility(attempt, task.baseline))
                for name in attempt.context:
                    item, held = name.removeprefix(HELD), name.startswith(HELD)
                    mine = found.setdefault(task.id, {})
                    shown, kept = mine.get(item, (Arm(), Arm()))
                    mine[item] = (shown, kept + one) if held else (shown + one, kept)
    return found


def effect(found: Uses, draws: int = stats.DRAWS, seed: int = 0) -> Effect:
    """The effect of showing any item."""
    by_task = [
        (sum((s for s, _ in items.values()), Arm()), sum((h for _, h in items.values()), Arm()))
        for items in found.values()
    ]
    shown, held = sum((s for s, _ in by_task), Arm()), sum((h for _, h in by_task), Arm())
    if not shown.uses or not held.uses:
        return Effect(shown, held, None, None, None, None, None)
    points = shown.verified / shown.uses - held.verified / held.uses
    log_ratio = shown.gain / shown.uses - held.gain / held.uses
    low = _resampled(by_task, draws, seed)
    both = (shown.verified + held.verified) / (shown.uses + held.uses)
    noise = math.sqrt(both * (1 - both) * (1 / shown.uses + 1 / held.uses))
    return Effect(
        shown, held, points, low[0], math.exp(log_ratio),
        (math.exp(low[1][0]), math.exp(low[1][1])) if low[1] else None,
        (1.959964 + 0.841621) * noise,
    )  # fmt: skip


def _resampled(
    by_task: Sequence[tuple[Arm, Arm]], draws: int, seed: int
) -> tuple[stats.Interval | None, stats.Interval | None]:
    """95 % intervals of both differences; None below two tasks. Resamples that hold uses of one
    side only say nothing and are left out."""
    import numpy

    n = len(by_task)
    if n < 2:
        return None, None
    rng = numpy.random.Generator(numpy.random.PCG64(seed))
    weights = rng.multinomial(n, [1 / n] * n, size=draws).astype(numpy.float64)
    sums: list[Any] = [
        weights @ numpy.array([[arm.uses, arm.verified, arm.gain] for arm in side])
        for side in zip(*by_task, strict=True)
    ]
    kept = (sums[0][:, 0] > 0) & (sums[1][:, 0] > 0)
    means = [side[kept, 1:] / side[kept, :1] for side in sums]
    low, high = numpy.percentile(means[0] - means[1], (2.5, 97.5), axis=0)
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))


def items(found: Uses) -> list[ItemEffect]:
    """Every item, the most used first."""
    arms: dict[str, tuple[Arm, Arm]] = {}
    for each in found.values():
        for item, (shown, held) in each.items():
            before = arms.get(item, (Arm(), Arm()))
            arms[item] = (before[0] + shown, before[1] + held)
    seen = {
        item: (shown.verified / shown.uses - held.verified / held.uses, _variance(shown, held))
        for item, (shown, held) in arms.items()
        if shown.uses and held.uses
    }
    small = dict(zip(seen, shrink(list(seen.values())), strict=True))
    out = [
        ItemEffect(item, shown, held, seen[item][0] if item in seen else None, small.get(item))
        for item, (shown, held) in arms.items()
    ]
    return sorted(out, key=lambda one: (-one.shown.uses - one.held.uses, one.id))


def _variance(shown: Arm, held: Arm) -> float:
    """Of a difference of shares, each share with one success and one failure added so that few
    uses are never certain."""
    return math.fsum(
        (p := (arm.verified + 1) / (arm.uses + 2)) * (1 - p) / arm.uses for arm in (shown, held)
    )


def shrink(estimates: Sequence[tuple[float, float]]) -> list[float]:
    """(effect, variance) of each item -> its effect drawn toward the common mean: with the variance
    t between items, (d/v + m/t) / (1/v + 1/t), and m itself where t is 0."""
    weights = [1 / v for _, v in estimates]
    total = math.fsum(weights)
    if not estimates:
        return []
    mean = math.fsum(w * d for w, (d, _) in zip(weights, estimates, strict=True)) / total
    q = math.fsum(w * (d - mean) ** 2 for w, (d, _) in zip(weights, estimates, strict=True))
    scale = total - math.fsum(w * w for w in weights) / total
    between = max(0.0, (q - (len(estimates) - 1)) / scale) if scale > 1e-12 else 0.0
    if not between:
        return [mean] * len(estimates)
    return [(d / v + mean / between) / (1 / v + 1 / between) for d, v in estimates]


def learnt(run: CellRun) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Item -> (its text, the attempts it was learnt from) of every item that a prompt of the cell
    was meant to hold, from the memory's snapshots, the newest that knows it."""
    tries = (t for task in (*run.tasks, *run.lessons) for t in task.tries)
    wanted = {name.removeprefix(HELD) for t in tries for name in t.context}
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for sha in reversed(run.snapshots):
        if not wanted - found.keys():
            break
        _gather(json.loads(ledger.read_blob(run.folder, sha)), wanted, found)
    return found


def _gather(node: Any, wanted: set[str], found: dict[str, tuple[str, tuple[str, ...]]]) -> None:
    """Any object of a snapshot that has an ``id`` and a ``provenance`` is an item."""
    if isinstance(node, list):
        for each in node:
            _gather(each, wanted, found)
    elif isinstance(node, dict):
        name, places = node.get("id"), node.get("provenance")
        if isinstance(name, str) and name in wanted and isinstance(places, list):
            parts = (node.get(field) for field in ("title", "text", "content", "name"))
            text = ": ".join(part for part in parts if isinstance(part, str) and part)
            found.setdefault(name, (text, tuple(map(str, places))))
        for each in node.values():
            _gather(each, wanted, found)
