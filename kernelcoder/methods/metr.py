# SPDX-License-Identifier: Apache-2.0
"""METR's search: drafts first, then children of kernels drawn in proportion to their speed.

Source: reference specification of methods, M4, and METR's kernel study. After ``DRAFTS`` drafts a
parent is drawn, with replacement, with weight speedup ** (POWER_PERCENT / 100), never below
``FLOOR_PERCENT`` of the largest weight. With ``RAMP`` the power moves to POWER_LAST_PERCENT over
that many attempts after the drafts: wide first, greedy later. Kernels that differ in comments and
white space only share one lot. The reference itself is sample 0 with a speedup of 1: its child is
a draft, as the reference stands in every prompt. Only verified kernels are parents; while there is
none, half of the proposals debug a failure drawn by how far it came.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import History
from kernelcoder.methods.evolution.sources import fingerprint
from kernelcoder.records import Attempt, Proposal

draft_only = False
anytime = True


@dataclass(frozen=True, slots=True)
class Options:
    """``drafts`` before the first parent; ``power_percent``, ``floor_percent``, ``ramp`` and
    ``power_last_percent`` as above, ``ramp`` 0 for one power throughout."""

    drafts: int
    power_percent: int
    floor_percent: int
    ramp: int
    power_last_percent: int


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """Draft, refine one drawn parent, or debug while nothing is verified."""
    if history.issued("draft") < options.drafts:
        return Proposal("draft")
    pool = [attempt for attempt in history.correct if attempt.duplicate_of is None]
    if not pool:
        return _debug(history, rng)
    drawn = rng.choices([None, *pool], weights(history, pool, options))[0]
    return Proposal("draft") if drawn is None else Proposal("refine", parents=(drawn.ordinal,))


def weights(history: History, pool: list[Attempt], options: Options) -> list[float]:
    """Weights of the reference and then of each attempt, relative to the largest (which is 1, or
    was before equal kernels shared it)."""
    alpha = power(history, options)
    logs = [0.0, *(_score(history, attempt) * alpha for attempt in pool)]
    top = max(logs)
    floored = [max(math.exp(one - top), options.floor_percent / 100) for one in logs]
    prints = ["", *(_fingerprint(attempt) for attempt in pool)]
    equals = Counter(prints)
    return [one / equals[name] for one, name in zip(floored, prints, strict=True)]


def power(history: History, options: Options) -> float:
    """The exponent of the speedup at this ordinal: POWER_PERCENT / 100, or on its way to the last
    one. Seeds before the drafts do not count."""
    if not options.ramp:
        return options.power_percent / 100
    since = history.ordinal - history.issued("seed", "probe") - options.drafts
    share = min(1.0, max(0.0, since / options.ramp))
    span = options.power_last_percent - options.power_percent
    return (options.power_percent + span * share) / 100


def _fingerprint(attempt: Attempt) -> str:
    """Equal for equal code. A verified attempt has a candidate."""
    assert attempt.candidate is not None
    return fingerprint(attempt.candidate.source, attempt.candidate.language)


def _score(history: History, attempt: Attempt) -> float:
    """log speedup, clipped at what the machine's roof allows: an outlier beyond it is no record."""
    timing = attempt.verdict.timing
    share = timing.roofline_fraction if timing else None
    return history.score(attempt) - (math.log(share) if share and share > 1 else 0.0)


def _debug(history: History, rng: random.Random) -> Proposal:
    """Half the time a draft; else mend a failure, drawn by its shaped value. A seed that does not
    fit this task is not worth mending."""
    failed = [
        attempt
        for attempt in history.attempts
        if attempt.candidate is not None and not attempt.proposal.given
    ]
    if not failed or rng.random() < 0.5:
        return Proposal("draft")
    drawn = rng.choices(failed, [history.shaped(attempt) for attempt in failed])[0]
    return Proposal("debug", parents=(drawn.ordinal,))
