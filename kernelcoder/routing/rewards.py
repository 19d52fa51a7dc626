# SPDX-License-Identifier: Apache-2.0
"""What an attempt was worth to a router.

Source: reference specification of methods, 4.6: 1 for becoming right, and the gain in log speedup
over what the model was shown, never below 0. Scores of people shift it. Neither is a result: no
report ever shows a reward as one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from kernelcoder.history import opinion
from kernelcoder.records import Attempt
from kernelcoder.routing.features import parents_of

MOST = 3.0  # one outlier (log speedup 3 is 20 times) must not outweigh a hundred honest attempts
FEEDBACK = 0.5  # reward of a score of 1: half of becoming right


def reward(attempt: Attempt, known: Mapping[int, Attempt], baseline: str) -> float:
    """The reward of a judged attempt, in [-0.5, 3.5]. ``known`` are the task's attempts by ordinal
    (only those it was shown are looked at), ``baseline`` what a speedup is divided by.

    It is 1 if the kernel is verified and none it was shown was, plus max(0, s - max(0, s_shown))
    with s the log speedup and s_shown the best of the verified kernels it was shown."""
    found = 0.0
    if attempt.verdict.verified:
        right = [one for one in parents_of(attempt, known) if one.verdict.verified]
        before = max((_score(one, baseline) for one in right), default=0.0)
        found = (0.0 if right else 1.0) + max(0.0, _score(attempt, baseline) - max(0.0, before))
    return min(MOST, found) + FEEDBACK * opinion(attempt)


def _score(attempt: Attempt, baseline: str) -> float:
    speedup = attempt.speedup(baseline)
    return math.log(speedup) if speedup else 0.0
