# SPDX-License-Identifier: Apache-2.0
"""Statistics of results. Every formula is small enough to check by enumeration; the tests do.

Speedups enter as ratios, are averaged as logarithms and leave as ratios. None means "no such
kernel" or "unknown", never zero. Random resampling is seeded, so a report regenerates to the byte.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

Z95 = 1.959963984540054
DRAWS = 10_000
EXACT_UP_TO = 20

Interval = tuple[float, float]


def wilson(successes: int, n: int, z: float = Z95) -> Interval | None:
    """Wilson score interval of a share; None for n = 0.

    (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n); Wilson 1927."""
    if n == 0:
        return None
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    p, z2 = successes / n, z * z
    center = p + z2 / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    lo, hi = (center - half) / (1 + z2 / n), (center + half) / (1 + z2 / n)
    return (0.0 if successes == 0 else lo, 1.0 if successes == n else hi)


def pass_at_k(n: int, c: int, k: int) -> float:
    """Unbiased chance that at least one of k independent drafts succeeds, from c successes in n.

    1 - C(n-c, k) / C(n, k), k <= n; Chen et al. 2021."""
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@{k} of {c} successes in {n}")
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def best_of_k(scores: Sequence[float], k: int) -> float:
    """Unbiased expected maximum of k independent scores, from n of them.

    Sum over i = k..n of C(i-1, k-1) / C(n, k) * g_(i), scores ascending: the mean of the maximum
    over all k-subsets. Valid for independent drafts only."""
    n = len(scores)
    if not 1 <= k <= n:
        raise ValueError(f"best of {k} from {n} scores")
    total = math.comb(n, k)
    ordered = sorted(scores)
    return sum(math.comb(i - 1, k - 1) / total * ordered[i - 1] for i in range(k, n + 1))


def fast_p(speedups: Sequence[float | None], p: float) -> float | None:
    """Share of tasks that are right and more than p times as fast as the baseline. None stands
    for a task without a right kernel; the denominator is always all tasks. None for no tasks."""
    if not speedups:
        return None
    return sum(s is not None and s > p for s in speedups) / len(speedups)


def geomean(ratios: Sequence[float]) -> float | None:
    """Geometric mean of positive ratios; None for none."""
    if not ratios:
        return None
    return math.exp(math.fsum(math.log(r) for r in ratios) / len(ratios))


def bootstrap_means(values: Sequence[float], draws: int = DRAWS, seed: int = 0) -> Any:
    """Means of ``draws`` resamples with replacement: a sorted float64 array of shape [draws]."""
    import numpy

    data = numpy.asarray(values, dtype=numpy.float64)
    rng = numpy.random.Generator(numpy.random.PCG64(seed))
    chunk = max(1, 2_000_000 // len(data))
    parts = []
    for start in range(0, draws, chunk):
        rows = min(chunk, draws - start)
        parts.append(data[rng.integers(0, len(data), size=(rows, len(data)))].mean(axis=1))
    return numpy.sort(numpy.concatenate(parts))


def mean_interval(values: Sequence[float], draws: int = DRAWS, seed: int = 0) -> Interval | None:
    """95 % percentile bootstrap interval of the mean; None for fewer than two values, where
    resampling says nothing about spread."""
    if len(values) < 2:
        return None
    means = bootstrap_means(values, draws, seed)
    low, high = int(0.025 * (draws - 1)), math.ceil(0.975 * (draws - 1))
    return float(means[low]), float(means[high])


def geomean_interval(ratios: Sequence[float], seed: int = 0) -> Interval | None:
    """95 % bootstrap interval of a geometric mean, resampling tasks."""
    found = mean_interval([math.log(r) for r in ratios], seed=seed)
    return None if found is None else (math.exp(found[0]), math.exp(found[1]))


def sign_flip(differences: Sequence[float], draws: int = 100_000, seed: int = 0) -> float | None:
    """Two-sided p of the paired sign-flip permutation test on the mean difference.

    Exact over all 2^n signs for n <= 20; else (1 + hits) / (1 + draws) over random signs."""
    import numpy

    d = numpy.asarray(differences, dtype=numpy.float64)
    if len(d) == 0:
        return None
    observed = abs(d.sum())
    slack = 1e-12 * max(1.0, float(abs(d).sum()))
    if len(d) <= EXACT_UP_TO:
        sums = numpy.zeros(1)
        for value in d:
            sums = numpy.concatenate([sums + value, sums - value])
        return float((abs(sums) >= observed - slack).mean())
    rng = numpy.random.Generator(numpy.random.PCG64(seed))
    hits = 0
    for start in range(0, draws, 10_000):
        rows = min(10_000, draws - start)
        signs = rng.integers(0, 2, size=(rows, len(d))) * 2 - 1
        hits += int((abs(signs @ d) >= observed - slack).sum())
    return (1 + hits) / (1 + draws)


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided McNemar p of discordant pairs: 2 P[Bin(b + c, 1/2) <= min(b, c)], <= 1."""
    n, low = only_a + only_b, min(only_a, only_b)
    return min(1.0, 2.0 * sum(math.comb(n, i) for i in range(low + 1)) / 2.0**n)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    adjusted, worst = [0.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        worst = max(worst, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = worst
    return adjusted


def superiority(differences: Sequence[float]) -> float | None:
    """Probability of improvement: share of pairs won plus half the ties."""
    if not differences:
        return None
    return sum(1.0 if d > 0 else 0.5 if d == 0 else 0.0 for d in differences) / len(differences)


def detectable(differences: Sequence[float]) -> float | None:
    """The true ratio this design finds with 80 % power at the two-sided 5 % level:
    exp((1.96 + 0.84) sd / sqrt(T)); None below two tasks."""
    n = len(differences)
    if n < 2:
        return None
    mean = math.fsum(differences) / n
    sd = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1))
    return math.exp((1.959964 + 0.841621) * sd / math.sqrt(n))
