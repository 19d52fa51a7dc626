# SPDX-License-Identifier: Apache-2.0
"""How alike two tasks must be before the kernel of one is tried on the other: learnt per entry.

The chance that an entry's kernel is right on a task of similarity s is 1 / (1 + exp(-k (s - c))),
with a center c and a steepness k of its own. Both are unknown: they are held as weights on a grid,
and every trial whose verdict is in multiplies the weights by its likelihood. The threshold is the
least similarity at which the expected chance of a wrong kernel is within the allowed rate; it may
lie above 1, and then the entry is never served. Source: a decision boundary per cached entry with a
bound on errors, as in vCache (Schroeder et al. 2025), with exact weights in place of a fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Trial = tuple[float, bool]  # similarity, and whether the kernel was right

_STEEP = (30.0, 60.0, 120.0)
_CENTERS = tuple(0.5 + 0.02 * step for step in range(41))  # 0.5 to 1.3
_EXPECTED, _SPREAD = 0.9, 0.03  # without trials: near copies of a reference are likely to be it
_STEP = 0.001
NEVER = 1.001  # above every similarity


def chance(trials: Sequence[Trial], similarity: float) -> float:
    """The expected chance that the entry's kernel is right at this similarity."""
    return _expected(_weights(trials), similarity)


def threshold(trials: Sequence[Trial], wrong: float) -> float:
    """The least similarity at which the expected chance of a wrong kernel is at most ``wrong``;
    ``NEVER`` if that is at none up to 1."""
    weights = _weights(trials)
    if 1.0 - _expected(weights, 1.0) > wrong:
        return NEVER
    low, high = 0.0, 1.0  # the expected chance grows with the similarity
    while high - low > _STEP:
        middle = (low + high) / 2
        if 1.0 - _expected(weights, middle) > wrong:
            low = middle
        else:
            high = middle
    return high


Weights = list[tuple[float, float, float]]  # center, steepness, weight


def _weights(trials: Sequence[Trial]) -> Weights:
    """The grid with its normalized weights after these trials."""
    logs = []
    for center in _CENTERS:
        for steep in _STEEP:
            log = -0.5 * ((center - _EXPECTED) / _SPREAD) ** 2
            for similarity, right in trials:
                log += _log_chance(steep * (similarity - center) * (1 if right else -1))
            logs.append((center, steep, log))
    top = max(log for _, _, log in logs)
    raw = [(center, steep, math.exp(log - top)) for center, steep, log in logs]
    total = math.fsum(weight for _, _, weight in raw)
    return [(center, steep, weight / total) for center, steep, weight in raw]


def _expected(weights: Weights, similarity: float) -> float:
    return math.fsum(
        weight * math.exp(_log_chance(steep * (similarity - center)))
        for center, steep, weight in weights
    )


def _log_chance(z: float) -> float:
    """The logarithm of 1 / (1 + exp(-z)), without overflow."""
    return -math.log1p(math.exp(-z)) if z > -30 else z
