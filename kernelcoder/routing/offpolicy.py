# SPDX-License-Identifier: Apache-2.0
"""What another router would have earned, judged from the ledger of the one that ran.

IPS weighs every reward by target probability / logged probability and divides by the number of
decisions: unbiased where every arm the target takes had a chance. SNIPS divides by the sum of the
weights instead: a little biased, far less noisy (Horvitz and Thompson 1952; Swaminathan and
Joachims 2015). Intervals are percentiles of a bootstrap over tasks, because attempts at one task
are not independent.

It judges a choice in the situations that the logged router came to: another router would have come
to others, with other parents. It is a screening of arms, not the result of an experiment.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

RESAMPLES = 2000
Target = Callable[["Logged"], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Logged:
    """One decision: the task it was taken on, the arm taken, what chance every arm had, and the
    reward that followed."""

    task: str
    arm: str
    propensities: Mapping[str, float]
    reward: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A target's mean reward of a decision with 95 % intervals, from ``n`` decisions on ``tasks``
    tasks; ``effective`` is the number of equally weighted decisions that carry as much. All None
    with a ``reason`` where the ledger cannot tell."""

    n: int
    tasks: int
    effective: float
    ips: float | None = None
    ips_lo: float | None = None
    ips_hi: float | None = None
    snips: float | None = None
    snips_lo: float | None = None
    snips_hi: float | None = None
    reason: str = ""


def always(arm: str) -> Target:
    """The target that always takes one arm."""
    return lambda logged: {name: float(name == arm) for name in logged.propensities}


def uniform(logged: Logged) -> Mapping[str, float]:
    """The target that draws among equals."""
    return {name: 1.0 / len(logged.propensities) for name in logged.propensities}


def evaluate(decisions: Sequence[Logged], target: Target, seed: int = 0) -> Estimate:
    """IPS and SNIPS of a target with their intervals. Intervals need two tasks at least."""
    groups: dict[str, list[tuple[float, float]]] = {}
    blind = 0
    for one in decisions:
        wanted = target(one)
        blind += any(p > 0 and not one.propensities.get(arm) for arm, p in wanted.items())
        weight = wanted.get(one.arm, 0.0) / one.propensities[one.arm]
        groups.setdefault(one.task, []).append((weight, one.reward))
    weights = [weight for rows in groups.values() for weight, _ in rows]
    squares = math.fsum(weight * weight for weight in weights)
    effective = math.fsum(weights) ** 2 / squares if squares else 0.0
    if not decisions or blind or not effective:
        why = "no decisions" if not decisions else "none of its arms was ever taken"
        if blind:
            why = f"at {blind} of {len(decisions)} decisions an arm of it had no chance"
        return Estimate(len(decisions), len(groups), effective, reason=why)
    sums = [_sums(rows) for rows in groups.values()]
    ips, snips = _ips(sums), _snips(sums)
    low, high = _interval(sums, _ips, seed), _interval(sums, _snips, seed)
    return Estimate(len(decisions), len(groups), effective, ips, *low, snips, *high)


Sums = tuple[float, float, float]  # decisions, sum of weights, sum of weighted rewards


def _sums(rows: Sequence[tuple[float, float]]) -> Sums:
    weights = math.fsum(weight for weight, _ in rows)
    return float(len(rows)), weights, math.fsum(weight * reward for weight, reward in rows)


def _ips(sums: Sequence[Sums]) -> float | None:
    return math.fsum(one[2] for one in sums) / math.fsum(one[0] for one in sums)


def _snips(sums: Sequence[Sums]) -> float | None:
    weight = math.fsum(one[1] for one in sums)
    return math.fsum(one[2] for one in sums) / weight if weight else None


def _interval(
    sums: Sequence[Sums], estimate: Callable[[Sequence[Sums]], float | None], seed: int
) -> tuple[float | None, float | None]:
    """The 2.5th and 97.5th percentile over resampled tasks; None with a single task."""
    if len(sums) < 2:
        return None, None
    rng = random.Random(seed)
    drawn = (estimate(rng.choices(sums, k=len(sums))) for _ in range(RESAMPLES))
    values = sorted(value for value in drawn if value is not None)
    last = len(values) - 1
    return values[round(0.025 * last)], values[round(0.975 * last)]
