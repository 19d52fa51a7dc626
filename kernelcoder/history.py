# SPDX-License-Identifier: Apache-2.0
"""What a method may know when it is asked for the next proposal, and its source of randomness."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

from kernelcoder.records import Attempt, Proposal, Verdict, sha256


class _Stop:
    """The single value STOP: the method has nothing more to propose for this task."""

    def __repr__(self) -> str:
        return "STOP"


STOP = _Stop()

# Share of the way to a right kernel, by how far the attempt came (methods.md 4.6). Never reported.
FEEDBACK = 0.05  # the most that feedback of people shifts a shaped value
_WRONG_LEAST, _WRONG_MOST = 0.01, 0.49  # a failure with code stays drawable, and below the right
_SHAPED_FAILURE = {"generated": 0.05, "compiled": 0.15, "smoke_passed": 0.35}


@dataclass(frozen=True, slots=True)
class History:
    """Attempts of one task visible at ordinal ``ordinal``: exactly 0 ... ordinal - window, in
    order. ``pending`` are proposals issued but not visible yet, as (ordinal, proposal).

    ``baseline`` is the one speedups are judged by; ``noise`` the relative gain below which two
    kernels count as equally fast; ``budget`` the attempts this task may use in all. ``learnt`` is
    what the method itself carries from earlier tasks, None if it carries nothing."""

    task: str
    ordinal: int
    attempts: tuple[Attempt, ...]
    pending: tuple[tuple[int, Proposal], ...]
    budget: int
    window: int
    baseline: str
    noise: float = 0.02
    learnt: Any = None

    @property
    def correct(self) -> tuple[Attempt, ...]:
        """Verified attempts, in ordinal order, duplicates included."""
        return tuple(a for a in self.attempts if a.verdict.verified)

    def issued(self, *roles: str) -> int:
        """How many known proposals, pending ones included, have one of these roles. Seeds may come
        before what a method proposes itself, so it counts its drafts, never ordinals."""
        known = (*(one.proposal for one in self.attempts), *(one for _, one in self.pending))
        return sum(one.role in roles for one in known)

    def score(self, attempt: Attempt) -> float:
        """log speedup of a verified attempt over the baseline; 0 where timing is off."""
        speedup = attempt.speedup(self.baseline)
        return math.log(speedup) if speedup else 0.0

    def best(self) -> Attempt | None:
        """The fastest verified attempt; the earlier one on a tie; None if there is none."""
        return max(self.correct, key=lambda a: (self.score(a), -a.ordinal), default=None)

    def shaped(self, attempt: Attempt) -> float:
        """Progress in [0, 1] used to choose among failures and for trees; never a result.

        Source: reference specification 4.6: stage reached, fraction of cases right, then
        0.5 + 0.5 * sigmoid(score / 0.35) for verified kernels. The mean score that people gave
        shifts it by at most ``FEEDBACK``, and never across the line between right and wrong."""
        verdict: Verdict = attempt.verdict
        said = FEEDBACK * opinion(attempt)
        if verdict.verified:
            value = 0.5 + 0.5 / (1.0 + math.exp(-self.score(attempt) / 0.35))
            return min(1.0, max(0.5, value + said))
        if verdict.status == "no_candidate":
            return 0.0
        base = _SHAPED_FAILURE.get(verdict.stage, 0.05)
        right = (
            sum(case.ok for case in verdict.cases) / len(verdict.cases) if verdict.cases else 0.0
        )
        return min(_WRONG_MOST, max(_WRONG_LEAST, base + 0.1 * right + said))


def opinion(attempt: Attempt) -> float:
    """The mean of the scores people gave an attempt, in [-1, 1]; 0 without any."""
    scores = [score for score, _ in attempt.feedback]
    return math.fsum(scores) / len(scores) if scores else 0.0


def random_key(*parts: object) -> str:
    """Counter-based random key: SHA-256 of the parts. The same parts give the same key for ever."""
    return sha256("\x1f".join(str(part) for part in parts))


def rng_of(key: str) -> random.Random:
    """A private generator seeded by a key; no global generator is ever used."""
    return random.Random(int(key[:32], 16))
