# SPDX-License-Identifier: Apache-2.0
"""METR's search: drafts first, then children of kernels drawn in proportion to their speed.

Source: reference specification of methods, M4, and METR's kernel study. After ``DRAFTS`` drafts a
parent is drawn, with replacement, with weight speedup ** (POWER_PERCENT / 100), never below
``FLOOR_PERCENT`` of the largest weight. The reference itself is sample 0 with a speedup of 1: its
child is a draft, as the reference stands in every prompt. Only verified kernels are parents;
while there is none, half of the proposals debug a failure drawn by how far it came.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

from kernelcoder.history import History
from kernelcoder.records import Attempt, Proposal

draft_only = False
anytime = True


@dataclass(frozen=True, slots=True)
class Options:
    """``drafts`` before the first parent; ``power_percent`` and ``floor_percent`` as above."""

    drafts: int
    power_percent: int
    floor_percent: int


def propose(history: History, rng: random.Random, options: Options) -> Proposal | Any:
    """Draft, refine one drawn parent, or debug while nothing is verified."""
    if history.ordinal < options.drafts:
        return Proposal("draft")
    pool = [attempt for attempt in history.correct if attempt.duplicate_of is None]
    if not pool:
        return _debug(history, rng)
    drawn = rng.choices([None, *pool], weights(history, pool, options))[0]
    return Proposal("draft") if drawn is None else Proposal("refine", parents=(drawn.ordinal,))


def weights(history: History, pool: list[Attempt], options: Options) -> list[float]:
    """Weights of the reference and then of each attempt, relative to the largest (which is 1)."""
    logs = [0.0, *(_score(history, attempt) * options.power_percent / 100 for attempt in pool)]
    top = max(logs)
    return [max(math.exp(one - top), options.floor_percent / 100) for one in logs]


def _score(history: History, attempt: Attempt) -> float:
    """log speedup, clipped at what the machine's roof allows: an outlier beyond it is no record."""
    timing = attempt.verdict.timing
    share = timing.roofline_fraction if timing else None
    return history.score(attempt) - (math.log(share) if share and share > 1 else 0.0)


def _debug(history: History, rng: random.Random) -> Proposal:
    """Half the time a draft; else mend a failure, drawn by its shaped value."""
    failed = [attempt for attempt in history.attempts if attempt.candidate is not None]
    if not failed or rng.random() < 0.5:
        return Proposal("draft")
    drawn = rng.choices(failed, [history.shaped(attempt) for attempt in failed])[0]
    return Proposal("debug", parents=(drawn.ordinal,))
