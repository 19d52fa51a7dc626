# SPDX-License-Identifier: Apache-2.0
"""Islands of elites, folded from a history: who lives where when an ordinal is asked for.

Source: reference specification of methods, M5. Nothing is kept between calls: the same history
gives the same world. Attempt t belongs to island t mod K, seeds too. A grid keeps the fastest
distinct verified kernel of each cell and nothing ever leaves it but for a faster one, so neither an
island's best nor the world's can be lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from kernelcoder.history import History
from kernelcoder.methods.evolution.descriptors import UNKNOWN, Cell, describe
from kernelcoder.records import Attempt

PERIOD = 10  # attempts per island between migrations
PATIENCE = 3  # flat periods before the worst island starts again from the best of all


def cell_of(attempt: Attempt) -> Cell:
    """The grid cell of an attempt; it depends on its source alone."""
    candidate = attempt.candidate
    return UNKNOWN if candidate is None else describe(candidate.source, candidate.language)


@dataclass(slots=True)
class Grid:
    """Cell -> elite, and the score (log speedup) that each elite entered with."""

    elites: dict[Cell, Attempt] = field(default_factory=dict)
    scores: dict[Cell, float] = field(default_factory=dict)

    def add(self, cell: Cell, attempt: Attempt, score: float) -> None:
        """Take the attempt in if its cell is empty or held by a slower one."""
        if cell not in self.elites or score > self.scores[cell]:
            self.elites[cell], self.scores[cell] = attempt, score

    def take(self, other: Grid) -> None:
        """Everything of another grid that improves a cell of this one."""
        for cell, attempt in other.elites.items():
            self.add(cell, attempt, other.scores[cell])

    def best(self) -> Cell | None:
        """The cell of the fastest elite (the earliest of equals), None if the grid is empty."""
        return max(
            self.elites,
            key=lambda cell: (self.scores[cell], -self.elites[cell].ordinal),
            default=None,
        )

    @property
    def top(self) -> float:
        """The best score, minus infinity if the grid is empty."""
        return max(self.scores.values(), default=-math.inf)


@dataclass(slots=True)
class World:
    """The islands, and ``every``: the elites of all of them."""

    islands: list[Grid]
    every: Grid = field(default_factory=Grid)
    _record: float = -math.inf
    _flat: int = 0

    def add(self, island: int, attempt: Attempt, score: float) -> None:
        """A verified kernel made on an island."""
        cell = cell_of(attempt)
        self.islands[island].add(cell, attempt, score)
        self.every.add(cell, attempt, score)

    def turn(self, noise: float) -> None:
        """The end of a period: each island's best is copied to the next one in the ring where it
        improves a cell. After PATIENCE periods without a gain above the timing noise anywhere, the
        worst island (of equally fast ones, as the best travels, the one with the fewest kinds)
        starts again from the elites of the whole world."""
        bests = [(grid.best(), grid) for grid in self.islands]
        moves = [
            (number, cell, grid.elites[cell], grid.scores[cell])
            for number, (cell, grid) in enumerate(bests)
            if cell is not None
        ]
        for number, cell, attempt, score in moves:
            self.islands[(number + 1) % len(self.islands)].add(cell, attempt, score)
        if self.every.top > self._record + math.log1p(noise):
            self._record, self._flat = self.every.top, 0
            return
        self._flat += 1
        if self._flat >= PATIENCE:
            worst = min(self.islands, key=lambda grid: (grid.top, len(grid.elites)))
            worst.take(self.every)
            self._flat = 0


def fold(history: History, count: int) -> World:
    """The world of ``count`` islands after all attempts that ``history`` shows, in their order."""
    world = World([Grid() for _ in range(count)])
    period = boundary = PERIOD * count
    for attempt in history.attempts:
        while attempt.ordinal >= boundary:
            world.turn(history.noise)
            boundary += period
        if attempt.verdict.verified and attempt.duplicate_of is None:
            world.add(attempt.ordinal % count, attempt, history.score(attempt))
    visible = max(0, history.ordinal - history.window + 1)
    while boundary <= visible:
        world.turn(history.noise)
        boundary += period
    return world


def spread(scores: Sequence[float], least: float) -> tuple[float, float]:
    """Median and median absolute deviation of scores, the latter at least ``least``."""
    middle = _median(scores)
    return middle, max(_median([abs(one - middle) for one in scores]), least)


def _median(values: Sequence[float]) -> float:
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2
