# SPDX-License-Identifier: Apache-2.0
"""Prequential evaluation: every label is guessed before it is seen, and guesses are added up.

The rival is the constant predictor, the share of positive labels so far. Sources: Dawid 1984
(prequential), Brier 1950 (squared error of a probability).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

BINS = 10
FULL = 200  # labels at which the model has its whole say
LEAST = 16  # scored guesses before it can have any
SURE = 1.64  # standard errors by which it must be better: 5 % of coin flips are


@dataclass(frozen=True, slots=True)
class Scores:
    """Sums over ``n`` guesses of one probability. ``brier`` and ``constant`` are the sums of
    squared errors of the model and of its rival, ``squares`` the sum of the squared differences of
    the two errors; ``bins`` hold (guesses, their sum, positive labels) by tenths of the guess."""

    n: int = 0
    brier: float = 0.0
    constant: float = 0.0
    squares: float = 0.0
    bins: tuple[tuple[int, float, int], ...] = ((0, 0.0, 0),) * BINS

    def add(self, guess: float, rival: float, label: int) -> Scores:
        """With one more guess, made before its label was known."""
        mine, theirs = (guess - label) ** 2, (rival - label) ** 2
        place = min(BINS - 1, int(guess * BINS))
        count, total, right = self.bins[place]
        bins = list(self.bins)
        bins[place] = (count + 1, _short(total + guess), right + label)
        return replace(
            self,
            n=self.n + 1,
            brier=_short(self.brier + mine),
            constant=_short(self.constant + theirs),
            squares=_short(self.squares + (theirs - mine) ** 2),
            bins=tuple(bins),
        )

    def weight(self, labels: int) -> float:
        """The say of the model after so many labels: min(1, labels / 200), and 0 as long as its
        guesses were not better than the constant's by ``SURE`` standard errors of the mean
        difference."""
        if self.n < LEAST:
            return 0.0
        gain = (self.constant - self.brier) / self.n
        spread = max(0.0, self.squares / self.n - gain * gain)
        if gain <= SURE * math.sqrt(spread / self.n) or gain <= 1e-9:
            return 0.0
        return min(1.0, labels / FULL)


def _short(number: float) -> float:
    return round(number, 9)


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rho with mean ranks for ties; None where one side is constant."""
    one, two = _ranks(first), _ranks(second)
    if not one:
        return None
    mean = (len(one) + 1) / 2
    cross = sum((a - mean) * (b - mean) for a, b in zip(one, two, strict=True))
    own = sum((a - mean) ** 2 for a in one) * sum((b - mean) ** 2 for b in two)
    return cross / math.sqrt(own) if own else None


def area(guesses: Sequence[float], labels: Sequence[int]) -> float | None:
    """Area under the ROC curve: how often a positive is guessed above a negative, ties count half
    (Mann-Whitney). None where all labels are the same."""
    positive = sum(labels)
    negative = len(labels) - positive
    if not positive or not negative:
        return None
    ranks = _ranks(guesses)
    total = sum(rank for rank, label in zip(ranks, labels, strict=True) if label)
    return (total - positive * (positive + 1) / 2) / (positive * negative)


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda place: values[place])
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for place in order[start : end + 1]:
            ranks[place] = (start + end) / 2 + 1
        start = end + 1
    return ranks
