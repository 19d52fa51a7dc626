# SPDX-License-Identifier: Apache-2.0
"""Successive halving among variants of one kernel, each look at a variant one verification.

All variants are judged once; the better half is judged again, and so on, until one is left. What
is compared is the mean log speedup over all looks, so that the winner is not the one that was
lucky once. Source: successive halving, Jamieson and Talwalkar 2016; the resource is repetition.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kernelcoder.records import Verdict

# What other constants cannot mend: variants of such a kernel are not tried.
HOPELESS = ("compile_error", "refused", "cheating")


@dataclass(slots=True)
class _Arm:
    at: int
    logs: list[float] = field(default_factory=list)
    alive: bool = True

    def mean(self) -> float:
        return sum(self.logs) / len(self.logs) if self.logs else 0.0


def looks(arms: int) -> int:
    """Verifications that halving spends on so many variants: n + n/2 + n/4 + ..., each rounded
    up, down to a pair."""
    total = arms
    while arms > 1:
        arms = math.ceil(arms / 2)
        total += arms if arms > 1 else 0
    return total


def affordable(budget: int) -> int:
    """The most variants that can be halved with ``budget`` verifications."""
    arms = 1
    while looks(arms + 1) <= budget:
        arms += 1
    return arms


def best(
    sources: Sequence[str],
    judge: Callable[[str], Verdict],
    baseline: str,
) -> int | None:
    """The place of the best source, the first of equals; None if no source is right.

    A source that fails one look is out. Without timing the first that is right is the best, and
    nothing is judged again. Nothing else is judged after a first source that no constant mends."""
    arms = [_Arm(at) for at in range(len(sources))]
    timed = True
    while True:
        for arm in arms:
            verdict = judge(sources[arm.at])
            if arm.at == 0 and verdict.status in HOPELESS:
                return None
            arm.alive = verdict.verified
            speedup = _speedup(verdict, baseline)
            timed = timed and (speedup is not None or not verdict.verified)
            arm.logs.append(math.log(speedup) if speedup else 0.0)
            if arm.alive and not timed:
                return arm.at
        arms = sorted((arm for arm in arms if arm.alive), key=lambda arm: (-arm.mean(), arm.at))
        arms = arms[: math.ceil(len(arms) / 2)]
        if len(arms) <= 1:
            return arms[0].at if arms else None


def _speedup(verdict: Verdict, baseline: str) -> float | None:
    ratio = verdict.timing.speedup.get(baseline) if verdict.timing else None
    return ratio.median if ratio else None
