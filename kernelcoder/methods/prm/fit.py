# SPDX-License-Identifier: Apache-2.0
"""The three heads, all linear: two logistic regressions and a ridge on the same standardized rows.

The logistic fits use the fixed curvature bound X'X / 4, so one Cholesky factor serves every step of
both; the ridge has its own. Plain Python in one fixed order: the same rows give the same weights,
with no library that adds in an order of its own. Sources: Hoerl and Kennard 1970 (ridge), Boehning
and Lindsay 1988 (the bound).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from operator import mul

from kernelcoder.methods.prm.features import SCALE

PENALTY = 40.0  # of each squared weight on a feature of unit variance: 84 of them are a lot
ROUNDS = 6  # steps of a logistic fit; each gains, and few are needed under so strong a penalty
FLOOR = 0.05  # least standard deviation a feature is divided by: a rare word is no giant
DIGITS = 6  # weights are rounded, so that their JSON is short and exact

Row = tuple[int, ...]
Weights = tuple[float, ...]
Columns = list[list[float]]


def dot(weights: Weights, row: Row) -> float:
    """The linear predictor of a row of hundredths; the first feature is the constant."""
    total: float = sum(map(mul, weights, row))
    return total / SCALE


def sigmoid(number: float) -> float:
    """1 / (1 + exp(-x)), at the ends without overflow."""
    return 1.0 / (1.0 + math.exp(-max(-35.0, min(35.0, number))))


@functools.lru_cache(maxsize=64)
def fit(
    rows: tuple[Row, ...],
    correct: tuple[int, ...],
    gained: tuple[int, ...],
    gains: tuple[float, ...],
) -> tuple[Weights, Weights, Weights]:
    """Weights of log odds for ``correct`` and ``gained`` (0 or 1) and of ``gains`` itself.

    A pure function of its arguments; it is remembered because a tree is folded anew for every
    proposal. Raises ``ValueError`` on no rows."""
    if not rows:
        raise ValueError("nothing to fit")
    means, spreads, columns = _standardized(rows)
    gram = [[_dot(columns[i], columns[j]) for j in range(i + 1)] for i in range(len(columns))]
    curved = _cholesky([[one / 4 for one in line] for line in gram])
    straight = _cholesky(gram)
    heads = [_logistic(columns, labels, curved) for labels in (correct, gained)]
    heads.append(_ridge(columns, gains, straight))
    found = tuple(_plain(head, means, spreads) for head in heads)
    return found[0], found[1], found[2]


def _dot(first: Sequence[float], second: Sequence[float]) -> float:
    total: float = sum(map(mul, first, second))
    return total


def _standardized(rows: Sequence[Row]) -> tuple[list[float], list[float], Columns]:
    """Means, spreads, and the columns with mean 0 and about unit variance; not the constant."""
    means, spreads, columns = [], [], []
    for raw in list(zip(*rows, strict=True))[1:]:
        mean = sum(raw) / SCALE / len(raw)
        column = [one / SCALE - mean for one in raw]
        spread = max(FLOOR, math.sqrt(_dot(column, column) / len(column)))
        means.append(mean)
        spreads.append(spread)
        columns.append([one / spread for one in column])
    return means, spreads, columns


def _cholesky(lower: list[list[float]]) -> list[list[float]]:
    """The factor L of the lower triangle of a matrix plus ``PENALTY`` on its diagonal."""
    factor: list[list[float]] = []
    for i, line in enumerate(lower):
        made: list[float] = []
        for j in range(i):
            above = factor[j]
            made.append((line[j] - _dot(made, above[:j])) / above[j])
        made.append(math.sqrt(line[i] + PENALTY - _dot(made, made)))
        factor.append(made)
    return factor


def _solve(factor: list[list[float]], right: Sequence[float]) -> list[float]:
    """x with L L' x = right."""
    half: list[float] = []
    for i, line in enumerate(factor):
        half.append((right[i] - _dot(line, half)) / line[i])
    found = half
    for i in range(len(factor) - 1, -1, -1):
        line = factor[i]
        found[i] /= line[i]
        for j in range(i):
            found[j] -= line[j] * found[i]
    return found


def _ridge(columns: Columns, targets: Sequence[float], factor: list[list[float]]) -> list[float]:
    """The constant first, then a weight per column."""
    mean = sum(targets) / len(targets)
    rest = [one - mean for one in targets]
    return [mean, *_solve(factor, [_dot(column, rest) for column in columns])]


def _logistic(columns: Columns, labels: Sequence[int], factor: list[list[float]]) -> list[float]:
    """The constant first, then a weight per column. The constant begins at the log odds of the
    (smoothed) share of positive labels and is not penalized."""
    count = len(labels)
    rows = list(zip(*columns, strict=True))
    share = (sum(labels) + 0.5) / (count + 1)
    constant = math.log(share / (1.0 - share))
    weights = [0.0] * len(columns)
    for _ in range(ROUNDS):
        scores = [constant + _dot(weights, row) for row in rows]
        rest = [label - sigmoid(score) for label, score in zip(labels, scores, strict=True)]
        slope = [_dot(column, rest) for column in columns]
        slope = [one - PENALTY * weight for one, weight in zip(slope, weights, strict=True)]
        weights = [old + step for old, step in zip(weights, _solve(factor, slope), strict=True)]
        half = 0.5 - sigmoid(constant)  # half a positive and half a negative label more
        constant += (sum(rest) + half) / (0.25 * (count + 1))
    return [constant, *weights]


def _plain(head: Sequence[float], means: Sequence[float], spreads: Sequence[float]) -> Weights:
    """Weights for rows as they are, not standardized."""
    slopes = [weight / spread for weight, spread in zip(head[1:], spreads, strict=True)]
    constant = head[0] - _dot(slopes, means)
    return (round(constant, DIGITS), *(round(one, DIGITS) for one in slopes))
