# SPDX-License-Identifier: Apache-2.0
"""Ridge regression that forgets, and the chance that one of several normal guesses is the largest.

Plain Python: the matrices have about twenty rows, and results must be the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Matrix = list[list[float]]
_STEPS, _REACH = 120, 5.0  # points of the integral, and how many deviations it spans


def identity(size: int, scale: float = 1.0) -> Matrix:
    """A diagonal matrix."""
    return [[scale if row == column else 0.0 for column in range(size)] for row in range(size)]


def forgotten(matrix: Matrix, keep: float, ridge: float) -> Matrix:
    """``keep * matrix + (1 - keep) * ridge * I``: old evidence fades, the prior does not."""
    lost = (1.0 - keep) * ridge
    return [
        [keep * value + (lost if row == column else 0.0) for column, value in enumerate(line)]
        for row, line in enumerate(matrix)
    ]


def observed(matrix: Matrix, x: Sequence[float]) -> Matrix:
    """``matrix + x x^T``."""
    return [
        [value + x[row] * x[column] for column, value in enumerate(line)]
        for row, line in enumerate(matrix)
    ]


def solve(matrix: Matrix, right: Sequence[float]) -> list[float]:
    """``matrix^-1 right`` of a symmetric positive definite matrix, by Cholesky's factors."""
    size = len(right)
    lower = identity(size, 0.0)
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i][j] - math.fsum(lower[i][k] * lower[j][k] for k in range(j))
            lower[i][j] = math.sqrt(rest) if i == j else rest / lower[j][j]
    half: list[float] = []
    for i in range(size):
        known = math.fsum(lower[i][k] * half[k] for k in range(i))
        half.append((right[i] - known) / lower[i][i])
    found = [0.0] * size
    for i in reversed(range(size)):
        known = math.fsum(lower[k][i] * found[k] for k in range(i + 1, size))
        found[i] = (half[i] - known) / lower[i][i]
    return found


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """The sum of products."""
    return math.fsum(one * other for one, other in zip(a, b, strict=True))


def chances(guesses: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """The probability that each of several independent normal guesses (mean, deviation > 0) is the
    largest: the integral of one's density times the others' distribution functions, by the midpoint
    rule, scaled to a sum of 1. It is the chance with which Thompson sampling takes that arm."""
    width = 2 * _REACH / _STEPS
    found = {}
    for name, (mean, deviation) in guesses.items():
        others = [guess for other, guess in guesses.items() if other != name]
        total = 0.0
        for step in range(_STEPS):
            z = -_REACH + (step + 0.5) * width
            weight = math.exp(-0.5 * z * z)
            for other_mean, other_deviation in others:
                weight *= _below((mean + z * deviation - other_mean) / other_deviation)
            total += weight
        found[name] = total
    whole = math.fsum(found.values())
    return {name: value / whole for name, value in found.items()}


def _below(z: float) -> float:
    """The distribution function of the standard normal."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
