# SPDX-License-Identifier: Apache-2.0
"""How many rounds a timing has: enough for the decision at hand, and no more.

The least number gives an interval at all; the most bounds the cost of a kernel whose rounds
scatter. Between them rounds stop when the median's interval is narrow, when the kernel is clearly
slower than the best so far, or when its share of time is used up.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kernelcoder.verify.arena import Arena, Times
from kernelcoder.verify.intervals import median_interval


@dataclass(frozen=True, slots=True)
class Plan:
    """``warm`` rounds do not count: a fresh process first meets its page tables and branch
    predictors. ``least`` and ``most`` are counted rounds, ``seconds`` the wall time after which
    there are no more than ``least``, ``enough`` half the width at which the median is known."""

    warm: int
    least: int
    most: int
    seconds: float
    enough: float


# Six pairs are the fewest whose range is a 95 % interval of their median.
SEARCH = {"hot": Plan(1, 6, 40, 0.25, 0.01), "cold": Plan(1, 6, 12, 0.25, 0.02)}
# Of half a block; the roles are changed between the halves.
FINAL = {"hot": Plan(1, 6, 60, 0.3, 0.005), "cold": Plan(1, 3, 6, 0.25, 0.005)}
# Of half a block beyond the first ones, which is there to be precise: starting it costs 0.2 s.
LONGER = {"hot": Plan(1, 6, 200, 0.8, 0.004), "cold": Plan(1, 6, 40, 0.8, 0.004)}
# A warm-up of slow kernels ends here: seconds.
_WARM_SECONDS = 0.25
# A round this slow makes precision pointless: the plan's time alone decides from then on.
_HOPELESS_SECONDS = 0.5


def run(
    arena: Arena,
    plan: Plan,
    rng: random.Random,
    primary: str,
    decided: Callable[[Sequence[float]], bool] | None = None,
    hopeless_least: int = 6,
    batches: bool = False,
) -> list[Times]:
    """The counted rounds of one visit to an arena, and one wild round at a random place among them
    (at the end, which no kernel can tell, if they end before that place). Of each round the mean
    over its batches, or with ``batches`` every one of them: disturbances are shorter than windows,
    so the median over batches leaves more of them out.

    ``primary`` is the baseline whose ratio must become narrow; ``decided`` looks at the log ratios
    so far, once there are enough for an interval, and may end the rounds. Kernels slower than half
    a second a round get ``hopeless_least`` rounds."""
    start = time.monotonic()
    wild = rng.randrange(plan.warm + plan.most)
    rounds: list[list[Times]] = []
    logs: list[float] = []
    done, restarts = 0, arena.restarts
    while True:
        if done == wild:
            arena.wild_round(rng)
        times = arena.round(rng)
        times = times if batches else [over_batches(times)]
        done += 1
        now = time.monotonic() - start
        # The first round never counts: a fresh process faults every page in then.
        if done == 1 or (done <= plan.warm and now < _WARM_SECONDS):
            continue
        if restarts != arena.restarts:  # windows have become longer: not to be mixed
            restarts, rounds, logs = arena.restarts, [], []
            continue
        rounds.append(times)
        logs += [
            math.log(one[primary] / one["candidate"])
            for one in times
            if primary in one and "candidate" in one
        ]
        least = plan.least if now < _HOPELESS_SECONDS * done else min(plan.least, hopeless_least)
        if _over(plan, least, len(rounds), logs, now, decided):
            break
    if done <= wild:
        arena.wild_round(rng)
    return [times for one in rounds for times in one]


def over_batches(batches: Sequence[Times]) -> Times:
    """Mean seconds per call of each contestant over the batches of one round."""
    names = batches[0] if batches else ()
    return {name: statistics.fmean(times[name] for times in batches) for name in names}


def _over(
    plan: Plan,
    least: int,
    count: int,
    logs: Sequence[float],
    now: float,
    decided: Callable[[Sequence[float]], bool] | None,
) -> bool:
    if count < least:
        return False
    if count < plan.most and logs and decided is not None and decided(logs):
        return True
    if count >= plan.most or now > plan.seconds:
        return True
    return bool(logs) and _narrow(logs, plan.enough)


def _narrow(logs: Sequence[float], enough: float) -> bool:
    _, lo, hi = median_interval(logs)
    return (hi - lo) / 2 <= enough


def medians(rounds: Sequence[Times]) -> Times:
    """The median seconds of each contestant that was in every round."""
    names = set.intersection(*(set(times) for times in rounds)) if rounds else set()
    return {name: statistics.median(times[name] for times in rounds) for name in sorted(names)}
