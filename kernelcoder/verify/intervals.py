# SPDX-License-Identifier: Apache-2.0
"""Point and interval of repeated log ratios. Plain Python: short lists, no numpy."""

from __future__ import annotations

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


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median and its distribution-free 95 % interval by order statistics (binomial ranks).

    The largest k with P[Bin(n, 1/2) < k] <= 0.025 gives the interval (x_(k), x_(n+1-k)); for n < 6
    no such k exists and the range is returned, which covers with probability 1 - 2^(1-n)."""
    ordered, n = sorted(values), len(values)
    below, k = 0.0, 0
    while k < n // 2:
        below += math.comb(n, k) / 2.0**n
        if below > 0.025:
            break
        k += 1
    k = max(k, 1)
    return statistics.median(ordered), ordered[k - 1], ordered[n - k]


def pairs_ratio(log_ratios: Sequence[float]) -> Ratio:
    """Speedup from interleaved pairs of one process: median and order-statistic interval."""
    middle, lo, hi = median_interval(log_ratios)
    return Ratio(math.exp(middle), math.exp(lo), math.exp(hi), len(log_ratios))


def blocks_ratio(block_means: Sequence[float]) -> Ratio:
    """Speedup from blocks in fresh processes: mean of block log ratios and Student's t interval.

    Between-process layout bias dominates, so the block, not the pair, is the unit. A single block
    has no spread: its interval is (0, inf) cut to a factor of 10 either way, which says so."""
    n = len(block_means)
    mean = statistics.fmean(block_means)
    if n < 2:
        return Ratio(math.exp(mean), math.exp(mean) / 10, math.exp(mean) * 10, n)
    half = _T95[min(n - 2, 29)] * statistics.stdev(block_means) / math.sqrt(n)
    return Ratio(math.exp(mean), math.exp(mean - half), math.exp(mean + half), n)
