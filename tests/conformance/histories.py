# SPDX-License-Identifier: Apache-2.0
"""Histories made by hand, and what a method proposes on them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from doubles import attempt

from kernelcoder.history import History
from kernelcoder.records import Attempt, Proposal

SEED = Proposal("seed", given="a" * 64)
PROBE = Proposal("probe", given="b" * 64)


def history(
    attempts: Sequence[Attempt] = (),
    ordinal: int | None = None,
    pending: Sequence[tuple[int, Proposal]] = (),
    window: int = 1,
) -> History:
    at = len(attempts) + len(pending) if ordinal is None else ordinal
    return History("core/relu", at, tuple(attempts), tuple(pending), 32, window, "eager")


def proposals(module: Any, options: Any, past: History, draws: int = 200) -> list[Any]:
    return [module.propose(past, random.Random(draw), options) for draw in range(draws)]


def seeds(*statuses: str) -> list[Attempt]:
    """Seeds and probes in turn, each with its outcome; right ones are fast."""
    kinds = (SEED, PROBE)
    return [attempt(at, status, 8.0, kinds[at % 2]) for at, status in enumerate(statuses)]
