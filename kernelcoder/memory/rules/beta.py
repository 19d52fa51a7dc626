# SPDX-License-Identifier: Apache-2.0
"""Lower limits of a share, from the posterior Beta distribution."""

from __future__ import annotations

import math

_STEPS = 200


def lower_limit(obeyed: float, pairs: float, confidence: float = 0.8) -> float:
    """The share that lies above it with probability ``confidence`` (one-sided), given that
    ``obeyed`` of ``pairs`` were obeyed and nothing before: the quantile of
    Beta(1 + obeyed, 1 + pairs - obeyed) at 1 - confidence. Counts may be fractions (decay)."""
    a, b = 1.0 + obeyed, 1.0 + pairs - obeyed
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if cumulative(middle, a, b) < 1.0 - confidence:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def cumulative(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b), for a, b > 0.

    Source: DLMF 8.17.22, the continued fraction, evaluated by Lentz's method; it converges fast
    below the mean, so the upper side goes by symmetry."""
    if x <= 0.0 or x >= 1.0:
        return float(x > 0.0)
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - cumulative(1.0 - x, b, a)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    front = math.exp(scale + a * math.log(x) + b * math.log1p(-x)) / a
    value = ratio = 1.0
    inverse = 0.0
    for step in range(_STEPS):
        half = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        else:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        inverse = 1.0 / _away(1.0 + term * inverse)
        ratio = _away(1.0 + term / ratio)
        value *= ratio * inverse
        if step and abs(1.0 - ratio * inverse) < 1e-14:
            break
    return front * (value - 1.0)


def _away(number: float) -> float:
    """Away from zero, where Lentz's method would divide by it."""
    return number if abs(number) > 1e-300 else 1e-300
