# SPDX-License-Identifier: Apache-2.0
"""Point and interval of repeated log ratios. Plain Python: short lists, no numpy."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence

from kernelcoder.records import Ratio

# Two-sided 95 % quantiles of Student's t by degrees of freedom 1 ... 30.
_T95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
# Standard deviation between blocks that is taken for granted: what a process's place in memory does
# to it. A few blocks that agree by chance must not look as if there were nothing of the kind.
_BETWEEN = 0.005
# Binomial ranks are exact up to so many values; 2.0**n ends at 1023.
_EXACT = 200


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median and its distribution-free 95 % interval by order statistics (binomial ranks).

    The largest k with P[Bin(n, 1/2) < k] <= 0.025 gives the interval (x_(k), x_(n+1-k)); for n < 6
    no such k exists and the range is returned, which covers with probability 1 - 2^(1-n)."""
    ordered, n = sorted(values), len(values)
    k = _rank(n)
    return statistics.median(ordered), ordered[k - 1], ordered[n - k]


@functools.cache
def _rank(n: int) -> int:
    """The k of ``median_interval``, at least 1; of many values by the normal approximation."""
    if n > _EXACT:
        return int(n / 2 - 0.98 * math.sqrt(n))
    below, k = 0.0, 0
    while k < n // 2:
        below += math.comb(n, k) / 2.0**n
        if below > 0.025:
            break
        k += 1
    return max(k, 1)


def pairs_ratio(log_ratios: Sequence[float]) -> Ratio:
    """Speedup from interleaved pairs of one process: median and order-statistic interval."""
    middle, lo, hi = median_interval(log_ratios)
    return Ratio(math.exp(middle), math.exp(lo), math.exp(hi), len(log_ratios))


def blocks_ratio(means: Sequence[float], errors: Sequence[float] = ()) -> Ratio:
    """Speedup from blocks in fresh processes: log ratios and their standard errors (none given:
    all alike), as a random-effects mean with its 95 % interval.

    Between-process layout bias stays however long a block is, so the block, not the pair, is the
    unit. A block from a disturbed minute weighs less: by 1 / (its variance + that between blocks),
    the latter estimated by DerSimonian and Laird, Controlled Clinical Trials 7 (1986), and never
    taken for less than ``_BETWEEN``. The interval is that of Hartung and Knapp, Statistics in
    Medicine 20 (2001), with k - 1 degrees of freedom, and never narrower than the errors allow.
    A single block has no spread: its interval is a factor of 10 either way, which says so."""
    n = len(means)
    if n < 2:
        return Ratio(math.exp(means[0]), math.exp(means[0]) / 10, math.exp(means[0]) * 10, n)
    own = [error * error for error in errors] or [0.0] * n
    between = max(_BETWEEN**2 if errors else 0.0, _between(means, own))
    weights = [1.0 / (variance + between) if variance + between else 1.0 for variance in own]
    mean, scatter = _weighted(means, weights)
    factor = scatter / (n - 1)
    if errors:
        factor = max(1.0, factor)
    half = _T95[min(n - 2, 29)] * math.sqrt(factor / sum(weights))
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), n)


def _weighted(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float]:
    """The weighted mean, and the weighted sum of squares around it."""
    mean = math.fsum(w * v for w, v in zip(weights, values, strict=True)) / math.fsum(weights)
    return mean, math.fsum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True))


def _between(means: Sequence[float], own: Sequence[float]) -> float:
    """The variance between blocks, beyond what each one's own variance explains."""
    if not all(own):
        return 0.0
    weights = [1.0 / variance for variance in own]
    total = math.fsum(weights)
    _, scatter = _weighted(means, weights)
    excess = scatter - (len(means) - 1)
    return max(0.0, excess / (total - math.fsum(w * w for w in weights) / total))


def median_error(values: Sequence[float]) -> float:
    """Standard error of a median, from the width of its interval; of fewer than six values, whose
    range is all one has, it is rather too large."""
    _, lo, hi = median_interval(values)
    return (hi - lo) / (2 * 1.96)


def mean_of(ratios: Sequence[Ratio]) -> Ratio:
    """Geometric mean of independent ratios; the square of its interval's half width is the sum of
    theirs divided by their number, squared. The least ``n``."""
    k = len(ratios)
    middle = statistics.fmean(math.log(ratio.median) for ratio in ratios)
    up = math.hypot(*(math.log(ratio.hi / ratio.median) for ratio in ratios)) / k
    down = math.hypot(*(math.log(ratio.median / ratio.lo) for ratio in ratios)) / k
    n = min(ratio.n for ratio in ratios)
    return Ratio(math.exp(middle), math.exp(middle - down), math.exp(middle + up), n)


def half_width(ratio: Ratio) -> float:
    """Half the width of an interval, as a logarithm: 0.01 is one per cent either way."""
    return math.log(ratio.hi / ratio.lo) / 2
